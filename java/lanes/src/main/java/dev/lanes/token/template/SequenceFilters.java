package dev.lanes.token.template;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;

/** Filters on sequences and mappings. */
final class SequenceFilters {
  private SequenceFilters() {}

  static void addTo(Map<String, Filters.Filter> filters) {
    filters.put("batch", SequenceFilters::batch);
    filters.put("count", SequenceFilters::length);
    filters.put("length", SequenceFilters::length);
    filters.put("dictsort", SequenceFilters::dictSort);
    filters.put("first", SequenceFilters::first);
    filters.put("last", SequenceFilters::last);
    filters.put("groupby", SequenceFilters::groupBy);
    filters.put("items", SequenceFilters::items);
    filters.put("join", SequenceFilters::join);
    filters.put("list", (value, arguments, render) -> {
      arguments.bind("list");
      return Sequences.toList(value, render);
    });
    filters.put("map", SequenceFilters::map);
    filters.put("max", (value, arguments, render) -> extreme("max", value, arguments, render));
    filters.put("min", (value, arguments, render) -> extreme("min", value, arguments, render));
    filters.put("select", (value, arguments, render) -> select(value, arguments, true, false, render));
    filters.put("reject", (value, arguments, render) -> select(value, arguments, false, false, render));
    filters.put("selectattr", (value, arguments, render) -> select(value, arguments, true, true, render));
    filters.put("rejectattr", (value, arguments, render) -> select(value, arguments, false, true, render));
    filters.put("reverse", SequenceFilters::reverse);
    filters.put("slice", SequenceFilters::slice);
    filters.put("sort", SequenceFilters::sort);
    filters.put("sum", SequenceFilters::sum);
    filters.put("unique", SequenceFilters::unique);
  }

  private static Object length(Object value, Arguments arguments, Render render) {
    arguments.bind("length");
    return Sequences.requireLength(value);
  }

  private static Object first(Object value, Arguments arguments, Render render) {
    arguments.bind("first");
    Iterator<Object> elements = Sequences.iterate(value, render);
    return elements.hasNext() ? elements.next() : Undefined.because("no first item, sequence was empty");
  }

  private static Object last(Object value, Arguments arguments, Render render) {
    arguments.bind("last");
    Iterator<Object> elements = Sequences.reversed(value, render);
    if (elements == null) {
      throw new Failure("'" + Types.name(value) + "' object is not reversible");
    }
    return elements.hasNext() ? elements.next() : Undefined.because("no last item, sequence was empty");
  }

  private static Object reverse(Object value, Arguments arguments, Render render) {
    arguments.bind("reverse");
    if (Strings.is(value)) {
      return Strings.like(value, Sequences.reverse(Strings.text(value), render));
    }
    Iterator<Object> reversed = Sequences.reversed(value, render);
    if (reversed != null) {
      return new Generator("reversed", () -> reversed);
    }
    List<Object> list = new ArrayList<>(Sequences.toList(value, render));
    Collections.reverse(list);
    return list;
  }

  private static Object items(Object value, Arguments arguments, Render render) {
    arguments.bind("items");
    return new Generator(() -> {
      if (value instanceof Undefined) {
        return Collections.emptyIterator();
      }
      if (!(value instanceof Dict dict)) {
        throw new Failure("can only get item pairs from a mapping");
      }
      render.charge(dict.size() * Limits.ELEMENT);
      return dict.items().iterator();
    });
  }

  private static Object join(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind("join", "d?", "attribute?");
    String separator = Printer.str(Arguments.or(values[0], ""), render);
    Function<Object, Object> getter = getter(Arguments.or(values[1], null), true, null, render);
    Output out = new Output(render);
    boolean first = true;
    for (Iterator<Object> elements = Sequences.iterate(value, render); elements.hasNext(); ) {
      render.charge(Limits.NODE);
      out.append(first ? "" : separator).append(Printer.str(getter.apply(elements.next()), render));
      first = false;
    }
    return out.toString();
  }

  /** The parts of a dotted attribute: names, and indexes where a part is a number. */
  private static List<Object> path(Object attribute) {
    if (attribute == null) {
      return List.of();
    }
    if (!Strings.is(attribute)) {
      return Sequences.listOf(attribute);
    }
    List<Object> parts = new ArrayList<>();
    for (String part : Text.split(Strings.text(attribute), ".", -1)) {
      boolean index = !part.isEmpty() && part.codePoints().allMatch(Text::isDecimal);
      parts.add(index ? Numbers.parseInteger(part, 10) : part);
    }
    return parts;
  }

  /** Reads an attribute path of an element; strings in lower case unless case matters. A null default is none. */
  private static Function<Object, Object> getter(Object attribute, boolean caseSensitive, Object defaultValue, Render render) {
    List<Object> path = path(attribute);
    return element -> {
      Object value = element;
      for (Object part : path) {
        value = Access.item(value, part, render);
        if (defaultValue != null && value instanceof Undefined) {
          value = defaultValue;
        }
      }
      return caseSensitive || !Strings.is(value) ? value : StringMethods.call("lower", value, render);
    };
  }

  private static Object map(Object value, Arguments arguments, Render render) {
    return new Generator(() -> {
      if (!Sequences.truth(value)) {
        return Collections.emptyIterator();
      }
      Function<Object, Object> function = mapping(arguments, render);
      return Generator.map(Sequences.iterate(value, render), element -> {
        render.charge(Limits.NODE);
        return function.apply(element);
      });
    });
  }

  private static Function<Object, Object> mapping(Arguments arguments, Render render) {
    if (!arguments.positional().isEmpty()) {
      Object name = arguments.positional().get(0);
      Arguments rest = arguments.from(1);
      return element -> Filters.apply(name, element, rest, render);
    }
    if (!arguments.named().containsKey("attribute")) {
      throw new Failure("map requires a filter argument");
    }
    Map<String, Object> others = new LinkedHashMap<>(arguments.named());
    others.remove("attribute");
    others.remove("default");
    if (!others.isEmpty()) {
      throw new Failure("unexpected keyword argument '" + others.keySet().iterator().next() + "'");
    }
    return getter(arguments.named().get("attribute"), true, arguments.named().get("default"), render);
  }

  private static Object select(Object value, Arguments arguments, boolean keep, boolean byAttribute, Render render) {
    return new Generator(() -> {
      if (!Sequences.truth(value)) {
        return Collections.emptyIterator();
      }
      Predicate<Object> predicate = predicate(arguments, byAttribute, render);
      return Generator.filter(Sequences.iterate(value, render), element -> {
        render.charge(Limits.NODE);
        return predicate.test(element) == keep;
      });
    });
  }

  private static Predicate<Object> predicate(Arguments arguments, boolean byAttribute, Render render) {
    List<Object> positional = arguments.positional();
    if (byAttribute && positional.isEmpty()) {
      throw new Failure("missing parameter for attribute name");
    }
    Function<Object, Object> getter = getter(byAttribute ? positional.get(0) : null, true, null, render);
    int offset = byAttribute ? 1 : 0;
    if (positional.size() <= offset) {
      return element -> Sequences.truth(getter.apply(element));
    }
    Object name = positional.get(offset);
    Arguments rest = arguments.from(offset + 1);
    return element -> Tests.apply(name, getter.apply(element), rest, render);
  }

  private static Object batch(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind("batch", "linecount", "fill_with?");
    Object lineCount = values[0];
    Object fill = Arguments.or(values[1], null);
    return new Generator(() -> {
      List<Object> batches = new ArrayList<>();
      List<Object> batch = new ArrayList<>();
      for (Iterator<Object> elements = Sequences.iterate(value, render); elements.hasNext(); ) {
        render.charge(Limits.ELEMENT);
        if (Comparison.equal((long) batch.size(), lineCount, render)) {
          batches.add(batch);
          batch = new ArrayList<>();
        }
        batch.add(elements.next());
      }
      if (!batch.isEmpty()) {
        if (fill != null) {
          long missing = Numbers.index(lineCount, "batch") - batch.size();
          render.charge(Math.min(Limits.WORK, Math.max(0, missing)) * Limits.ELEMENT);
          for (long i = 0; i < missing; i++) {
            batch.add(fill);
          }
        }
        batches.add(batch);
      }
      return batches.iterator();
    });
  }

  private static Object slice(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind("slice", "slices", "fill_with?");
    Object fill = Arguments.or(values[1], null);
    return new Generator(() -> {
      List<Object> all = Sequences.toList(value, render);
      long slices = Numbers.index(values[0], "slice");
      if (slices == 0) {
        throw new Failure("integer division or modulo by zero");
      }
      render.charge(Math.min(Limits.WORK, Math.max(0, slices)) * Limits.ENTRY + all.size() * Limits.COPY);
      List<Object> result = new ArrayList<>();
      long size = Math.floorDiv(all.size(), slices);
      long longer = Math.floorMod(all.size(), slices);
      long offset = 0;
      for (long i = 0; i < slices; i++) {
        long start = offset + i * size;
        offset += i < longer ? 1 : 0;
        List<Object> slice = new ArrayList<>(all.subList((int) start, (int) (offset + (i + 1) * size)));
        if (fill != null && i >= longer) {
          slice.add(fill);
        }
        result.add(slice);
      }
      return result.iterator();
    });
  }

  private static Object dictSort(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind("dictsort", "case_sensitive?", "by?", "reverse?");
    Object by = Arguments.or(values[1], "key");
    if (!"key".equals(by) && !"value".equals(by)) {
      throw new Failure("you can only sort by either \"key\" or \"value\"");
    }
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (!(value instanceof Dict dict)) {
      throw new Failure("'" + Types.name(value) + "' object has no attribute 'items'");
    }
    boolean caseSensitive = Sequences.truth(Arguments.or(values[0], false));
    Function<Object, Object> key = getter("key".equals(by) ? 0L : 1L, caseSensitive, null, render);
    return sorted(dict.items(), key, Sequences.truth(Arguments.or(values[2], false)), render);
  }

  private static Object sort(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind("sort", "reverse?", "case_sensitive?", "attribute?");
    boolean caseSensitive = Sequences.truth(Arguments.or(values[1], false));
    Object attribute = Arguments.or(values[2], null);
    List<Function<Object, Object>> getters = new ArrayList<>();
    if (Strings.is(attribute)) {
      Text.split(Strings.text(attribute), ",", -1).forEach(part -> getters.add(getter(part, caseSensitive, null, render)));
    } else {
      getters.add(getter(attribute, caseSensitive, null, render));
    }
    Function<Object, Object> key = element -> {
      List<Object> keys = new ArrayList<>(getters.size());
      getters.forEach(getter -> keys.add(getter.apply(element)));
      return keys;
    };
    return sorted(Sequences.toList(value, render), key, Sequences.truth(Arguments.or(values[0], false)), render);
  }

  /** A stable sort; reversed, elements with equal keys still keep their order. */
  private static List<Object> sorted(List<Object> elements, Function<Object, Object> key, boolean reverse, Render render) {
    List<Object[]> keyed = new ArrayList<>(elements.size());
    for (Object element : elements) {
      render.charge(Limits.ENTRY);
      keyed.add(new Object[] {key.apply(element), element});
    }
    Comparator<Object> order = reverse ? Comparison.order(render).reversed() : Comparison.order(render);
    keyed.sort((a, b) -> order.compare(a[0], b[0]));
    List<Object> result = new ArrayList<>(keyed.size());
    keyed.forEach(entry -> result.add(entry[1]));
    return result;
  }

  private static Object groupBy(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind("groupby", "attribute", "default?", "case_sensitive?");
    Object defaultValue = Arguments.or(values[1], null);
    boolean caseSensitive = Sequences.truth(Arguments.or(values[2], false));
    Function<Object, Object> key = getter(values[0], caseSensitive, defaultValue, render);
    Function<Object, Object> shownKey = getter(values[0], true, defaultValue, render);
    List<Object> groups = new ArrayList<>();
    List<Object> members = null;
    Object current = null;
    for (Object element : sorted(Sequences.toList(value, render), key, false, render)) {
      Object elementKey = key.apply(element);
      if (members == null || !Comparison.equal(current, elementKey, render)) {
        members = new ArrayList<>();
        groups.add(new Tuple(Sequences.listOf(shownKey.apply(element), members), List.of("grouper", "list")));
        current = elementKey;
      }
      members.add(element);
    }
    return groups;
  }

  private static Object unique(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind("unique", "case_sensitive?", "attribute?");
    boolean caseSensitive = Sequences.truth(Arguments.or(values[0], false));
    Function<Object, Object> key = getter(Arguments.or(values[1], null), caseSensitive, null, render);
    return new Generator(() -> {
      Set<Object> seen = new HashSet<>();
      return Generator.filter(Sequences.iterate(value, render), element -> {
        render.charge(Limits.ENTRY);
        return seen.add(Keys.canonical(key.apply(element), render));
      });
    });
  }

  private static Object extreme(String name, Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind(name, "case_sensitive?", "attribute?");
    boolean caseSensitive = Sequences.truth(Arguments.or(values[0], false));
    Function<Object, Object> key = getter(Arguments.or(values[1], null), caseSensitive, null, render);
    Object best = Undefined.because("no aggregated item, sequence was empty");
    Object bestKey = Undefined.MISSING;
    for (Iterator<Object> elements = Sequences.iterate(value, render); elements.hasNext(); ) {
      render.charge(Limits.NODE);
      Object element = elements.next();
      Object elementKey = key.apply(element);
      if (bestKey == Undefined.MISSING || Comparison.apply(name.equals("max") ? ">" : "<", elementKey, bestKey, render)) {
        best = element;
        bestKey = elementKey;
      }
    }
    return best;
  }

  private static Object sum(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind("sum", "attribute?", "start?");
    Function<Object, Object> getter = getter(Arguments.or(values[0], null), true, null, render);
    Object total = Arguments.or(values[1], 0L);
    if (Strings.is(total)) {
      throw new Failure("sum() can't sum strings [use ''.join(seq) instead]");
    }
    for (Iterator<Object> elements = Sequences.iterate(value, render); elements.hasNext(); ) {
      render.charge(Limits.NODE);
      total = Arithmetic.apply("+", total, getter.apply(elements.next()), render);
    }
    return total;
  }
}
