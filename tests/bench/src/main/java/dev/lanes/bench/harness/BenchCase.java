package dev.lanes.bench.harness;

import java.util.function.Supplier;

/**
 * A case before it is opened.
 *
 * @param name unique; {@code --only} matches it
 * @param unit of all figures, larger is better: {@code GFLOP/s}, {@code GB/s} or {@code tok/s}
 * @param quick whether {@code --quick} runs it
 * @param ours opens our side
 * @param peer opens the peer, or null where nobody does this work
 * @param ceiling opens what the machine can do at most; its work is counted in the case's unit
 */
public record BenchCase(
    String name, String unit, boolean quick, Supplier<Contender> ours, Supplier<Contender> peer, Supplier<Contender> ceiling) {
  /** The same case, left out by {@code --quick}. */
  public BenchCase slow() {
    return new BenchCase(name, unit, false, ours, peer, ceiling);
  }
}
