package dev.lanes.error;

import java.nio.file.Path;

/** A well-formed model asks for something that Lanes does not implement (an architecture, a quantization, a template construct). */
public class UnsupportedModelException extends InvalidModelException {
  public UnsupportedModelException(Path file, String item, String problem) {
    super(file, item, problem);
  }
}
