package dev.lanes.token.template;

/** A compiled statement. */
interface Action {
  /** How a statement ends. */
  enum Flow { NEXT, BREAK, CONTINUE }

  Flow run(Frame frame, Output out);
}
