package dev.lanes.token.template;

import java.math.BigDecimal;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Filters on numbers and on values of any kind. */
final class ValueFilters {
  private static final String JSON = "tojson";

  private ValueFilters() {}

  static void addTo(Map<String, Filters.Filter> filters) {
    filters.put("abs", ValueFilters::abs);
    filters.put("attr", ValueFilters::attr);
    filters.put("default", ValueFilters::defaultValue);
    filters.put("d", ValueFilters::defaultValue);
    filters.put("float", ValueFilters::toFloat);
    filters.put("int", ValueFilters::toInteger);
    filters.put("round", ValueFilters::round);
    filters.put("filesizeformat", ValueFilters::fileSize);
    filters.put(JSON, ValueFilters::toJson);
  }

  private static Object abs(Object value, Arguments arguments, Render render) {
    arguments.bind("abs");
    if (value instanceof Double number) {
      return Math.abs(number);
    }
    if (!Numbers.isInteger(value)) {
      throw new Failure("bad operand type for abs(): '" + Types.name(value) + "'");
    }
    return Numbers.normalize(Numbers.big(value).abs());
  }

  private static Object attr(Object value, Arguments arguments, Render render) {
    String name = Strings.argument(arguments.bind("attr", "name")[0], "attr");
    // Unlike value.name, the filter never falls back to an element.
    if (value instanceof Dict && Access.attribute(new Dict(), name, render) instanceof Undefined) {
      return Undefined.element(value, name);
    }
    return Access.attribute(value, name, render);
  }

  private static Object defaultValue(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind("default", "default_value?", "boolean?");
    boolean replaceFalse = Sequences.truth(Arguments.or(values[1], false));
    return value instanceof Undefined || replaceFalse && !Sequences.truth(value) ? Arguments.or(values[0], "") : value;
  }

  private static Object toFloat(Object value, Arguments arguments, Render render) {
    Object defaultValue = Arguments.or(arguments.bind("float", "default?")[0], 0.0);
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (Numbers.is(value)) {
      return Numbers.toDouble(value);
    }
    Double parsed = Strings.is(value) ? Numbers.parseFloat(Strings.text(value)) : null;
    return parsed == null ? defaultValue : parsed;
  }

  private static Object toInteger(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind("int", "default?", "base?");
    Object defaultValue = Arguments.or(values[0], 0L);
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (Numbers.isInteger(value)) {
      return Numbers.normalize(Numbers.big(value));
    }
    Double number = null;
    if (value instanceof Double floating) {
      if (floating.isInfinite()) {
        throw new Failure("cannot convert float infinity to integer");
      }
      number = floating;
    } else if (Strings.is(value)) {
      long base = Numbers.index(Arguments.or(values[1], 10L), "int");
      boolean valid = base == 0 || base >= 2 && base <= 36;
      Object parsed = valid ? Numbers.parseInteger(Strings.text(value), (int) base) : null;
      if (parsed != null) {
        return parsed;
      }
      number = Numbers.parseFloat(Strings.text(value));
    }
    return number == null || number.isNaN() || number.isInfinite() ? defaultValue
        : Numbers.normalize(new BigDecimal(number).toBigInteger());
  }

  private static Object round(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind("round", "precision?", "method?");
    Object precision = Arguments.or(values[0], 0L);
    Object method = Arguments.or(values[1], "common");
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (!Strings.is(method) || !List.of("common", "ceil", "floor").contains(Strings.text(method))) {
      throw new Failure("method must be common, ceil or floor");
    }
    if (!Numbers.is(value)) {
      throw new Failure("type " + Types.name(value) + " doesn't define __round__ method");
    }
    String name = Strings.text(method);
    if (name.equals("common")) {
      if (precision == null) {
        Object rounded = Numbers.round(value, 0);
        return rounded instanceof Double number ? toInteger(number, Arguments.NONE, render) : rounded;
      }
      return Numbers.round(value, Numbers.index(precision, "round"));
    }
    Object scale = Arithmetic.apply("**", 10L, precision, render);
    Object scaled = Arithmetic.apply("*", value, scale, render);
    if (scaled instanceof Double number) {
      if (number.isNaN() || number.isInfinite()) {
        throw new Failure("cannot convert float " + Numbers.repr(number) + " to integer");
      }
      scaled = Numbers.normalize(new BigDecimal(name.equals("ceil") ? Math.ceil(number) : Math.floor(number)).toBigInteger());
    }
    return Arithmetic.apply("/", scaled, scale, render);
  }

  private static Object fileSize(Object value, Arguments arguments, Render render) {
    boolean binary = Sequences.truth(Arguments.or(arguments.bind("filesizeformat", "binary?")[0], false));
    Object number = toFloat(value, Arguments.of((Object) null), render);
    if (number == null) {
      throw new Failure("could not convert " + Printer.repr(value, render) + " to float");
    }
    double bytes = (Double) number;
    double base = binary ? 1024 : 1000;
    if (bytes == 1) {
      return "1 Byte";
    }
    if (bytes < base) {
      return new BigDecimal(bytes).toBigInteger() + " Bytes";
    }
    double unit = base;
    String prefixes = "kMGTPEZY";
    int i = 0;
    while (i < prefixes.length() - 1 && bytes >= unit * base) {
      unit *= base;
      i++;
    }
    String prefix = binary ? prefixes.substring(i, i + 1).toUpperCase(Locale.ROOT) + "iB" : prefixes.charAt(i) + "B";
    return FloatFormat.digits(base * bytes / (unit * base), 'f', 1, false) + " " + prefix;
  }

  /** As Hugging Face defines it: {@code json.dumps} without escapes for HTML or for non-ASCII text. */
  private static Object toJson(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind(JSON, "ensure_ascii?", "indent?", "separators?", "sort_keys?");
    Object indent = Arguments.or(values[1], null);
    Object separators = Arguments.or(values[2], null);
    String itemSeparator = indent == null ? ", " : ",";
    String keySeparator = ": ";
    if (separators != null) {
      Object[] pair = Sequences.unpack(separators, 2, render);
      itemSeparator = Strings.argument(pair[0], JSON);
      keySeparator = Strings.argument(pair[1], JSON);
    }
    String indentText = null;
    if (indent != null) {
      indentText = Strings.is(indent) ? Strings.text(indent)
          : new Output(render).repeat(" ", Numbers.index(indent, JSON)).toString();
    }
    boolean ascii = Sequences.truth(Arguments.or(values[0], false));
    boolean sorted = Sequences.truth(Arguments.or(values[3], false));
    return Json.write(value, new Json.Style(ascii, indentText, itemSeparator, keySeparator, sorted), render);
  }
}
