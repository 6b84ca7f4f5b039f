package dev.lanes.token.template;

/** A failure inside a running template; {@link ChatTemplate} adds file and line and hands it out as a {@link TemplateException}. */
final class Failure extends RuntimeException {
  private final boolean raisedByTemplate;

  Failure(String message) {
    this(message, false);
  }

  private Failure(String message, boolean raisedByTemplate) {
    super(message, null, false, false);
    this.raisedByTemplate = raisedByTemplate;
  }

  /** What {@code raise_exception(message)} throws. */
  static Failure raised(String message) {
    return new Failure(message, true);
  }

  /** A valid construct of Python or Jinja that this engine refuses because it could only render it wrongly. */
  static Failure unsupported(String construct) {
    return new Failure("not supported: " + construct);
  }

  boolean raisedByTemplate() {
    return raisedByTemplate;
  }
}
