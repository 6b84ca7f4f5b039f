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
  /** Units of work of one rendering. A unit is about a nanosecond and, for what allocates, about two bytes. */
  static final long WORK = 1L << 28;
  /** Units granted on top for each character and element of the input. */
  static final long WORK_PER_INPUT = 256;
  /** Characters of one text that a template makes. */
  static final long TEXT = 1L << 24;
  /** Characters granted on top for each character and element of the input. */
  static final long TEXT_PER_INPUT = 16;
  /** Units for running a syntax node, or for applying a filter or test to one element. */
  static final long NODE = 16;
  /** Units for a new list element with the object it refers to. */
  static final long ELEMENT = 16;
  /** Units for an element that is copied to another list, or compared. */
  static final long COPY = 4;
  /** Units for an entry of a dict or hash set. */
  static final long ENTRY = 64;

  private Limits() {}
}
