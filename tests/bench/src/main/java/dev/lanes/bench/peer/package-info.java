/** The libraries that ours stands beside. All are dependencies of this module alone. */
package dev.lanes.bench.peer;
