package dev.lanes.token.template;

/** A value that a template can call: a macro, a method of a value, a global function, the loop of a recursive loop. */
interface Callable {
  Object call(Render render, Arguments arguments);
}
