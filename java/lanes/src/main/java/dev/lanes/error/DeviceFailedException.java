package dev.lanes.error;

/**
 * A GPU stopped working: its driver reports an error that no later call can get rid of. What was loaded on it is lost; everything that
 * runs there fails with this, and closing still works. Loading the model again may help, in a new process where the driver wants one.
 */
public class DeviceFailedException extends LanesException {
  public DeviceFailedException(String message) {
    super(message);
  }

  public DeviceFailedException(String message, Throwable cause) {
    super(message, cause);
  }
}
