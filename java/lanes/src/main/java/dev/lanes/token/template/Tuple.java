package dev.lanes.token.template;

import java.util.Arrays;
import java.util.List;

/**
 * A Python tuple.
 *
 * @param items never changed
 * @param names attribute names of the items where the tuple has them ({@code groupby}: grouper, list), else empty
 */
record Tuple(List<Object> items, List<String> names) {
  Tuple(List<Object> items) {
    this(items, List.of());
  }

  static Tuple of(Object first, Object second) {
    return new Tuple(Arrays.asList(first, second));
  }
}
