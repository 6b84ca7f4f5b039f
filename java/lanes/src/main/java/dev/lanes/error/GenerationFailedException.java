package dev.lanes.error;

/** A request failed while it ran, for a reason that lies neither in its arguments nor in the model's files; the cause says what. */
public class GenerationFailedException extends LanesException {
  public GenerationFailedException(String message, Throwable cause) {
    super(message, cause);
  }
}
