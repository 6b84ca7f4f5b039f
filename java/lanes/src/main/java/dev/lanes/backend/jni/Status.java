package dev.lanes.backend.jni;

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

  private static RuntimeException failure(int status, long requiredBytes) {
    BytePointer text = lanes.lanes_last_error();
    String message = text == null ? "status " + status : text.getString();
    return switch (status) {
      case lanes.LANES_ERROR_INVALID_ARGUMENT -> new IllegalArgumentException(message);
      case lanes.LANES_ERROR_OUT_OF_MEMORY -> new InsufficientMemoryException(message, requiredBytes, -1);
      default -> new NativeException(status, message);
    };
  }
}
