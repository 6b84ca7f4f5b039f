package dev.lanes.token.template;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/** The filters of Jinja 3.1 with {@code tojson} as Hugging Face replaces it. */
final class Filters {
  /** A filter: {@code value | name(arguments)}. */
  interface Filter {
    Object apply(Object value, Arguments arguments, Render render);
  }

  private static final Map<String, Filter> FILTERS = new HashMap<>();
  /** Random, or made for HTML pages and debugging. */
  private static final Set<String> REFUSED = Set.of("pprint", "random", "striptags", "urlize", "wordwrap");

  static {
    TextFilters.addTo(FILTERS);
    SequenceFilters.addTo(FILTERS);
    ValueFilters.addTo(FILTERS);
  }

  private Filters() {}

  /** The filter, or null. */
  static Filter find(String name) {
    return FILTERS.get(name);
  }

  /** Whether Jinja has the filter and this engine has not. */
  static boolean isRefused(String name) {
    return REFUSED.contains(name);
  }

  static boolean exists(String name) {
    return FILTERS.containsKey(name) || REFUSED.contains(name);
  }

  /** Applies a filter whose name is known only now. */
  static Object apply(Object name, Object value, Arguments arguments, Render render) {
    Filter filter = Strings.is(name) ? find(Strings.text(name)) : null;
    if (filter == null) {
      throw Strings.is(name) && isRefused(Strings.text(name)) ? Failure.unsupported("the filter '" + Strings.text(name) + "'")
          : new Failure("no filter named " + Printer.repr(name, render));
    }
    render.charge(Limits.NODE);
    return filter.apply(value, arguments, render);
  }
}
