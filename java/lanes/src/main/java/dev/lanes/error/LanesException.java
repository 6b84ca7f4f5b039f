package dev.lanes.error;

/** Root of the failures that Lanes reports itself; misuse of the API gives the JDK's own types (IllegalArgument, IllegalState, NullPointer). */
public class LanesException extends RuntimeException {
  public LanesException(String message) {
    super(message);
  }

  public LanesException(String message, Throwable cause) {
    super(message, cause);
  }
}
