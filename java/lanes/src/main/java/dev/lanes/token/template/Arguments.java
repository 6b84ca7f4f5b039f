package dev.lanes.token.template;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The arguments of one call. */
record Arguments(List<Object> positional, Map<String, Object> named) {
  static final Arguments NONE = new Arguments(List.of(), Map.of());

  static Arguments of(Object... positional) {
    return new Arguments(Arrays.asList(positional), Map.of());
  }

  /**
   * Sorts the arguments into parameters as Python does.
   *
   * @param function its name, for messages
   * @param parameters names in order; {@code name?} may be left out, {@code /} in front of a name makes it positional-only
   * @return a value for each parameter, {@link Undefined#MISSING} for one left out
   */
  Object[] bind(String function, String... parameters) {
    if (positional.size() > parameters.length) {
      throw new Failure(function + "() takes at most " + parameters.length + " arguments (" + positional.size() + " given)");
    }
    Object[] values = new Object[parameters.length];
    int bound = 0;
    for (int i = 0; i < parameters.length; i++) {
      String parameter = parameters[i];
      boolean optional = parameter.endsWith("?");
      String name = optional ? parameter.substring(0, parameter.length() - 1) : parameter;
      values[i] = Undefined.MISSING;
      if (i < positional.size()) {
        values[i] = positional.get(i);
      } else if (named.containsKey(name)) {
        values[i] = named.get(name);
        bound++;
      } else if (!optional) {
        throw new Failure(function + "() missing required argument '" + name.replace("/", "") + "'");
      }
    }
    if (bound < named.size()) {
      throw new Failure(function + "() got an unexpected keyword argument, or one given twice, among " + named.keySet());
    }
    return values;
  }

  /** The arguments from the index on, for a function that passes the rest to another. */
  Arguments from(int index) {
    return new Arguments(positional.subList(Math.min(index, positional.size()), positional.size()), named);
  }

  Arguments with(String name, Object value) {
    Map<String, Object> extended = new LinkedHashMap<>(named);
    extended.put(name, value);
    return new Arguments(positional, extended);
  }

  /** Adds what {@code *sequence} and {@code **mapping} of a call hold; {@link Undefined#MISSING} for none. */
  Arguments expanded(Object sequence, Object mapping, Render render) {
    List<Object> allPositional = positional;
    Map<String, Object> allNamed = named;
    if (sequence != Undefined.MISSING) {
      allPositional = new ArrayList<>(positional);
      for (Iterator<Object> rest = Sequences.iterate(sequence, render); rest.hasNext(); ) {
        render.charge(Limits.ELEMENT);
        allPositional.add(rest.next());
      }
    }
    if (mapping != Undefined.MISSING) {
      if (!(mapping instanceof Dict dict)) {
        throw new Failure("argument after ** must be a mapping, not " + Types.name(mapping));
      }
      allNamed = new LinkedHashMap<>(named);
      for (Object key : dict.keys()) {
        if (!Strings.is(key)) {
          throw new Failure("keywords must be strings");
        }
        if (allNamed.put(Strings.text(key), dict.get(key, render)) != null) {
          throw new Failure("got multiple values for keyword argument '" + Strings.text(key) + "'");
        }
      }
    }
    return new Arguments(allPositional, allNamed);
  }

  /** The value, or the default where the argument was left out. */
  static Object or(Object value, Object defaultValue) {
    return value == Undefined.MISSING ? defaultValue : value;
  }
}
