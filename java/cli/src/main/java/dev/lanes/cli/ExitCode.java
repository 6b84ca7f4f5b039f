package dev.lanes.cli;

import dev.lanes.error.ContextOverflowException;
import dev.lanes.error.InsufficientMemoryException;
import dev.lanes.error.InvalidModelException;
import dev.lanes.error.LanesException;
import dev.lanes.error.UnsupportedRequestException;
import java.io.UncheckedIOException;

/** Exit codes of the command, one for each kind of failure that a script may want to tell apart. */
final class ExitCode {
  static final int OK = 0;
  static final int FAILURE = 1;
  /** Wrong or missing options; also what the model cannot be asked for. */
  static final int USAGE = 2;
  /** The model's files are missing, damaged or not supported. */
  static final int BAD_MODEL = 3;
  /** The prompt does not fit the context. */
  static final int CONTEXT_OVERFLOW = 4;
  /** Model or cache do not fit into memory. */
  static final int OUT_OF_MEMORY = 5;

  private ExitCode() {}

  static int of(Throwable failure) {
    if (failure instanceof ContextOverflowException) {
      return CONTEXT_OVERFLOW;
    }
    if (failure instanceof InvalidModelException) {
      return BAD_MODEL;
    }
    if (failure instanceof InsufficientMemoryException || failure instanceof OutOfMemoryError) {
      return OUT_OF_MEMORY;
    }
    if (failure instanceof IllegalArgumentException || failure instanceof UnsupportedRequestException || failure instanceof UserError) {
      return USAGE;
    }
    return FAILURE;
  }

  /** Whether the message alone tells the user enough, so that a stack trace would only bury it. */
  static boolean isExplained(Throwable failure) {
    return failure instanceof LanesException || failure instanceof IllegalArgumentException || failure instanceof UserError
        || failure instanceof UncheckedIOException;
  }

  /** Something the user can put right, said in one line. */
  static final class UserError extends RuntimeException {
    private static final long serialVersionUID = 1;

    UserError(String message) {
      super(message);
    }

    UserError(String message, Throwable cause) {
      super(message, cause);
    }
  }
}
