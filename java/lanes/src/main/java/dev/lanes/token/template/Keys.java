package dev.lanes.token.template;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;

/** Hash keys: an object whose Java equality is the Python equality of the value it is made from. */
final class Keys {
  private static final Object NONE = new Object();
  private static final Object UNDEFINED = new Object();

  private record TupleKey(List<Object> items) {}

  private Keys() {}

  static Object canonical(Object value, Render render) {
    if (value instanceof String || value instanceof Long) {
      return value;
    }
    if (value == null) {
      return NONE;
    }
    if (value instanceof Markup markup) {
      return markup.text();
    }
    if (value instanceof Boolean flag) {
      return flag ? 1L : 0L;
    }
    if (value instanceof Double number) {
      boolean whole = !Double.isInfinite(number) && number == Math.rint(number);
      return whole ? Numbers.normalize(new BigDecimal(number).toBigInteger()) : number;
    }
    if (value instanceof Undefined) {
      return UNDEFINED;
    }
    if (value instanceof Tuple tuple) {
      render.charge((4L + tuple.items().size()) * Limits.ELEMENT);
      List<Object> items = new ArrayList<>(tuple.items().size());
      for (Object item : tuple.items()) {
        items.add(canonical(item, render));
      }
      return new TupleKey(items);
    }
    if (!isHashable(value, render)) {
      throw new Failure("unhashable type: '" + Types.name(value) + "'");
    }
    return value;
  }

  static boolean isHashable(Object value, Render render) {
    if (value instanceof Tuple tuple) {
      render.charge(tuple.items().size());
      return tuple.items().stream().allMatch(item -> isHashable(item, render));
    }
    boolean set = value instanceof DictView view && view.kind() != DictView.Kind.VALUES;
    return !set && !(value instanceof List) && !(value instanceof Dict);
  }
}
