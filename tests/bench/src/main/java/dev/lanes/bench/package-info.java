/** The command behind ci/bench.sh. */
package dev.lanes.bench;
