package dev.lanes.token.template;

import java.util.List;

/** What {@code cycler(...)} returns: goes round its items. */
final class Cycler implements Attributed {
  private final List<Object> items;
  private int position;

  Cycler(List<Object> items) {
    if (items.isEmpty()) {
      throw new Failure("at least one item has to be provided");
    }
    this.items = items;
  }

  @Override
  public Object attribute(String name) {
    return switch (name) {
      case "items" -> new Tuple(items);
      case "pos" -> (long) position;
      case "current" -> items.get(position);
      case "next" -> new Builtin("next", (render, arguments) -> {
        arguments.bind("next");
        Object current = items.get(position);
        position = (position + 1) % items.size();
        return current;
      });
      case "reset" -> new Builtin("reset", (render, arguments) -> {
        arguments.bind("reset");
        position = 0;
        return null;
      });
      default -> Undefined.MISSING;
    };
  }

  @Override
  public String typeName() {
    return "Cycler";
  }
}
