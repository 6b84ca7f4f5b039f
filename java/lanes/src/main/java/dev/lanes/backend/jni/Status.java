package dev.lanes.backend.jni;

import dev.lanes.error.DeviceFailedException;
import dev.lanes.error.InsufficientMemoryException;
import dev.lanes.error.NativeException;
import dev.lanes.kernels.global.lanes;
import org.bytedeco.javacpp.BytePointer;

/** What a native call returned, as exceptions. */
final class Status {
  private Status() {}

  /** For calls that allocate nothing of a size the caller knows. */
  static void check(int status) {
    if (status != lanes.LANES_OK) {
      throw failure(status, -1);
    }
  }

  /** @param requiredBytes what the call wanted to allocate */
  static void check(int status, long requiredBytes) {
    if (status != lanes.LANES_OK) {
      throw failure(status, requiredBytes);
    }
  }

  /** For calls that give something back: on a device that has failed there is nothing left to give, and that was reported before. */
  static void checkRelease(int status) {
    if (status != lanes.LANES_ERROR_DEVICE) {
      check(status);
    }
  }

  /** What the last call of this thread that failed said: the function's name, and the problem. */
  static String message() {
    BytePointer text = lanes.lanes_last_error();
    return text == null ? "" : text.getString();
  }

  private static RuntimeException failure(int status, long requiredBytes) {
    String message = message();
    return switch (status) {
      case lanes.LANES_ERROR_INVALID_ARGUMENT -> new IllegalArgumentException(message);
      case lanes.LANES_ERROR_OUT_OF_MEMORY -> new InsufficientMemoryException(message, requiredBytes, -1);
      case lanes.LANES_ERROR_DEVICE -> new DeviceFailedException(message);
      default -> new NativeException(status, message);
    };
  }
}
