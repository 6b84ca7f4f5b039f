package dev.lanes.engine;

import dev.lanes.error.DeviceFailedException;
import dev.lanes.error.GenerationFailedException;
import dev.lanes.error.LanesException;

/** Failures as callers see them. */
final class Failures {
  private Failures() {}

  /** What ended the engine, for somebody who asks something of it: one exception for each, as each has a stack of its own. */
  static RuntimeException stopped(Throwable failure) {
    return failure instanceof DeviceFailedException ? new DeviceFailedException(failure.getMessage(), failure)
        : new GenerationFailedException("the engine has stopped after a failure: " + failure, failure);
  }

  /** Failures that Lanes names are passed on as they are, all others as the cause of a {@link GenerationFailedException}. */
  static RuntimeException of(Throwable failure) {
    return failure instanceof LanesException known ? known
        : new GenerationFailedException("the generation failed: " + failure, failure);
  }
}
