package dev.lanes.bench.harness;

/**
 * How long a case is measured.
 *
 * @param rounds turns of each contender
 * @param turnNanos what a turn should last at least; short calls are repeated
 */
public record Effort(int rounds, long turnNanos) {
  public Effort {
    if (rounds < 1 || turnNanos < 1) {
      throw new IllegalArgumentException("rounds " + rounds + " and turnNanos " + turnNanos + " must be positive");
    }
  }
}
