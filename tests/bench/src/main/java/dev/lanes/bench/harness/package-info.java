/**
 * How cases are measured and printed. A case has contenders: ours, at most one peer, and a ceiling of the machine. JMH runs them in
 * turn (ours, peer, ceiling, ours, …) in this one process and one thread, so that whatever disturbs the machine disturbs all alike;
 * a figure is the median of its turns.
 */
package dev.lanes.bench.harness;
