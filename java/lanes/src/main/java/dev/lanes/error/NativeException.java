package dev.lanes.error;

/** The native library refused a call or could not be loaded. */
public class NativeException extends LanesException {
  private final int status;

  public NativeException(int status, String message) {
    super(message);
    this.status = status;
  }

  public NativeException(String message, Throwable cause) {
    super(message, cause);
    this.status = -1;
  }

  /** The {@code LANES_ERROR_*} status of lanes.h, or -1 when the library itself is missing. */
  public int status() {
    return status;
  }
}
