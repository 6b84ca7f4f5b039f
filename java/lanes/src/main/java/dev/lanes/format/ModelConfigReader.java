package dev.lanes.format;

import java.nio.file.Path;

/** Reads config.json. */
final class ModelConfigReader {
  private final Path file;

  ModelConfigReader(Path file) {
    this.file = file;
  }

  ModelConfig read() {
    throw new UnsupportedOperationException(file.toString());
  }
}
