package dev.lanes.error;

import java.nio.file.Path;

/** A file of a model is missing, damaged or contradicts another: says which file, which tensor or field in it, and what is wrong. */
public class InvalidModelException extends LanesException {
  private final transient Path file;
  private final String item;

  /**
   * @param file the file at fault
   * @param item the tensor, field or byte range in it, or an empty string for the file as a whole
   * @param problem what is wrong, with the offending value and what was expected
   */
  public InvalidModelException(Path file, String item, String problem) {
    this(file, item, problem, null);
  }

  public InvalidModelException(Path file, String item, String problem, Throwable cause) {
    super(file + (item.isEmpty() ? "" : ": " + item) + ": " + problem, cause);
    this.file = file;
    this.item = item;
  }

  /** The file at fault; null only after deserialisation. */
  public Path file() {
    return file;
  }

  /** The tensor or field at fault, or an empty string. */
  public String item() {
    return item;
  }
}
