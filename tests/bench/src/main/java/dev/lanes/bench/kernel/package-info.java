/** Cases of every op but attention. */
package dev.lanes.bench.kernel;
