package dev.lanes.engine;

/**
 * Part of a step: the tokens {@code from … from + count - 1} of a sequence.
 *
 * @param from equals {@code sequence.computed()} until the step is done
 */
record Slice(Sequence sequence, int from, int count) {
  /** Rows of logits that the slice gives. */
  int logitRows() {
    return Math.max(0, Math.min(count, from + count - sequence.firstLogits()));
  }
}
