package dev.lanes.token.template;

/** What {@code joiner(sep)} returns: a call gives nothing the first time and the separator ever after. */
final class Joiner implements Callable, Attributed {
  private final Object separator;
  private boolean used;

  Joiner(Object separator) {
    this.separator = separator;
  }

  @Override
  public Object call(Render render, Arguments arguments) {
    arguments.bind("joiner");
    boolean first = !used;
    used = true;
    return first ? "" : separator;
  }

  @Override
  public Object attribute(String name) {
    return switch (name) {
      case "sep" -> separator;
      case "used" -> used;
      default -> Undefined.MISSING;
    };
  }

  @Override
  public String typeName() {
    return "Joiner";
  }
}
