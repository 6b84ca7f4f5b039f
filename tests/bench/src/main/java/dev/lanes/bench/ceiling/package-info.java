/** What the machine can do at most, measured by a small native library of the benchmarks' own (tests/bench/native). */
package dev.lanes.bench.ceiling;
