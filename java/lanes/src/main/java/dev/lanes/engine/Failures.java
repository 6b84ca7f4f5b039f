package dev.lanes.engine;

import dev.lanes.error.GenerationFailedException;
import dev.lanes.error.LanesException;

/** Failures as callers see them. */
final class Failures {
  private Failures() {}

  /** Failures that Lanes names are passed on as they are, all others as the cause of a {@link GenerationFailedException}. */
  static RuntimeException of(Throwable failure) {
    return failure instanceof LanesException known ? known
        : new GenerationFailedException("the generation failed: " + failure, failure);
  }
}
