package dev.lanes.bench.harness;

import java.util.function.DoubleBinaryOperator;
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
 * @param expected what ours should be, given the medians of the peer and of the ceiling; null where nothing is predicted
 */
public record BenchCase(
    String name,
    String unit,
    boolean quick,
    Supplier<Contender> ours,
    Supplier<Contender> peer,
    Supplier<Contender> ceiling,
    DoubleBinaryOperator expected) {
  /** Without a prediction. */
  public BenchCase(
      String name, String unit, boolean quick, Supplier<Contender> ours, Supplier<Contender> peer, Supplier<Contender> ceiling) {
    this(name, unit, quick, ours, peer, ceiling, null);
  }

  /** The same case, left out by {@code --quick}. */
  public BenchCase slow() {
    return new BenchCase(name, unit, false, ours, peer, ceiling, expected);
  }

  /** The same case with a prediction from the medians of the peer and of the ceiling, of the same run. */
  public BenchCase expecting(DoubleBinaryOperator prediction) {
    return new BenchCase(name, unit, quick, ours, peer, ceiling, prediction);
  }
}
