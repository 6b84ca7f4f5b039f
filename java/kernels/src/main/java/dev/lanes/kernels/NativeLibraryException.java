package dev.lanes.kernels;

/** The native library is missing, does not fit this machine, or has another version than its binding; the message says what to do. */
public class NativeLibraryException extends RuntimeException {
  public NativeLibraryException(String message, Throwable cause) {
    super(message, cause);
  }
}
