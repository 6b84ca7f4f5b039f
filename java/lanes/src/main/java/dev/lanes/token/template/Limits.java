package dev.lanes.token.template;

/** What an untrusted template may consume; a template that wants more is refused or stopped with a typed error. */
final class Limits {
  /** Characters of a template's source. */
  static final int SOURCE = 1 << 20;
  /** Operators, brackets and statements inside one another in the source; CPython's own parser stops at a like number. */
  static final int NESTING = 200;
  /** Macro, caller and recursive-loop calls inside one another. */
  static final int CALLS = 128;
  /** Lists in lists in lists, in the messages that are rendered and in anything that is printed or compared. */
  static final int DEPTH = 512;
  /** Elements of a range, as in Jinja's sandbox. */
  static final long RANGE = 100_000;
  /** Bits of an integer: a little more than CPython turns into text (4,300 digits). */
  static final int INTEGER_BITS = 16_384;
  /** Units of work of one rendering: syntax nodes run, list elements made or visited, characters made or searched. */
  static final long WORK = 1L << 26;
  /** Units granted on top for each character and element of the input. */
  static final long WORK_PER_INPUT = 256;

  private Limits() {}
}
