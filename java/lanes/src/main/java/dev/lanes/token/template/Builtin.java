package dev.lanes.token.template;

import java.util.Set;

/** A global function, or a method bound to its value. */
record Builtin(String name, Callable body) implements Callable, Attributed {
  /** Those that are classes in Python and have attributes. */
  private static final Set<String> CLASSES = Set.of("cycler", "dict", "joiner", "namespace");

  @Override
  public Object call(Render render, Arguments arguments) {
    return body.call(render, arguments);
  }

  @Override
  public Object attribute(String attribute) {
    if (CLASSES.contains(name)) {
      throw Failure.unsupported("attribute '" + attribute + "' of " + name);
    }
    return Undefined.MISSING;
  }

  @Override
  public String typeName() {
    return "builtin_function_or_method";
  }
}
