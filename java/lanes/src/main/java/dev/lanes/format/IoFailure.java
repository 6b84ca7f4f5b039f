package dev.lanes.format;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;

/** Why a file could not be read, for the end of a message that already names it. */
final class IoFailure {
  private IoFailure() {}

  /** The reason alone: file system exceptions repeat the path, and some say nothing else. */
  static String why(IOException failure) {
    if (failure instanceof AccessDeniedException) {
      return "access denied";
    }
    if (failure instanceof FileSystemException system && system.getReason() != null) {
      return system.getReason();
    }
    return failure.getMessage() == null || failure instanceof FileSystemException
        ? failure.getClass().getSimpleName() : failure.getMessage();
  }
}
