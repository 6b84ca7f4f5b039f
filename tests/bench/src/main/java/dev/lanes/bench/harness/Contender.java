package dev.lanes.bench.harness;

/** One side of a case: what runs in its turns. Memory is allocated and weights are packed before the first turn. */
public interface Contender extends AutoCloseable {
  /** For people: the library, and its setting where there was a choice. */
  String name();

  /** What one {@link #run} does, in the numerator of the case's unit: GFLOP for GFLOP/s, GB for GB/s, tokens for tok/s. */
  double work();

  /** Before each turn, untimed: thread counts, a fresh sequence. */
  default void prepare() {}

  /** The measured call. */
  void run();

  /** Whether a turn may call {@link #run} many times after one {@link #prepare}. */
  default boolean repeatable() {
    return true;
  }

  @Override
  default void close() {}
}
