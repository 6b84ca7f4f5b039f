package dev.lanes.token.template;

import dev.lanes.error.InvalidModelException;
import dev.lanes.error.UnsupportedModelException;
import java.nio.file.Path;

/** Where a template came from; makes the errors of compilation. */
record Origin(Path file) {
  InvalidModelException invalid(int line, String problem) {
    return new InvalidModelException(file, item(line), problem);
  }

  UnsupportedModelException unsupported(int line, String construct) {
    return new UnsupportedModelException(file, item(line), construct + " is not supported");
  }

  private static String item(int line) {
    return "chat_template line " + line;
  }
}
