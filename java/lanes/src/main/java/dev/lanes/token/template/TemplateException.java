package dev.lanes.token.template;

import dev.lanes.error.LanesException;
import java.nio.file.Path;

/**
 * A chat template failed while it ran: it called {@code raise_exception} because it does not accept the conversation, used a value
 * in a way that Python refuses, or exceeded what an untrusted template may consume.
 */
public final class TemplateException extends LanesException {
  private final transient Path file;
  private final int line;
  private final String reason;
  private final boolean raisedByTemplate;

  TemplateException(Path file, int line, String reason, boolean raisedByTemplate) {
    super(file + ": chat_template line " + line + ": " + reason);
    this.file = file;
    this.line = line;
    this.reason = reason;
    this.raisedByTemplate = raisedByTemplate;
  }

  /** The file the template came from; null only after deserialisation. */
  public Path file() {
    return file;
  }

  /** Line of the template, from 1, in the statement that failed. */
  public int line() {
    return line;
  }

  /** The message without file and line; for {@code raise_exception(text)} exactly that text. */
  public String reason() {
    return reason;
  }

  /** Whether the template itself refused the conversation through {@code raise_exception}. */
  public boolean raisedByTemplate() {
    return raisedByTemplate;
  }
}
