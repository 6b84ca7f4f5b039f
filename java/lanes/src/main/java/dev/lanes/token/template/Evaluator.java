package dev.lanes.token.template;

/** A compiled expression. */
interface Evaluator {
  Object evaluate(Frame frame);
}
