package dev.lanes.token.template;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/** The tests of Jinja 3.1, as in {@code value is name(arguments)}. */
final class Tests {
  /** A test. */
  interface Test {
    boolean test(Object value, Arguments arguments, Render render);
  }

  private static final Map<String, Test> TESTS = new HashMap<>();

  static {
    add("defined", value -> !(value instanceof Undefined));
    add("undefined", value -> value instanceof Undefined);
    add("none", value -> value == null);
    add("boolean", value -> value instanceof Boolean);
    add("true", value -> Boolean.TRUE.equals(value));
    add("false", value -> Boolean.FALSE.equals(value));
    add("integer", value -> Numbers.isInteger(value) && !(value instanceof Boolean));
    add("float", value -> value instanceof Double);
    add("number", Numbers::is);
    add("string", Strings::is);
    add("mapping", value -> value instanceof Dict);
    add("iterable", value -> Sequences.isIterable(value) || value instanceof LoopContext);
    add("sequence", value -> Strings.is(value) || value instanceof List || value instanceof Tuple || value instanceof Dict
        || value instanceof Range || value instanceof Undefined);
    add("callable", value -> value instanceof Callable || value instanceof Undefined);
    add("escaped", value -> value instanceof Markup);
    withText("lower", Casing::isLower);
    withText("upper", Casing::isUpper);
    TESTS.put("odd", (value, arguments, render) -> remainder("odd", value, arguments, render, 1));
    TESTS.put("even", (value, arguments, render) -> remainder("even", value, arguments, render, 0));
    TESTS.put("divisibleby", (value, arguments, render) -> {
      Object divisor = arguments.bind("divisibleby", "num")[0];
      return Comparison.equal(Arithmetic.apply("%", value, divisor, render), 0L, render);
    });
    TESTS.put("filter", (value, arguments, render) -> {
      arguments.bind("filter");
      Keys.canonical(value, render);
      return Strings.is(value) && Filters.exists(Strings.text(value));
    });
    TESTS.put("test", (value, arguments, render) -> {
      arguments.bind("test");
      Keys.canonical(value, render);
      return Strings.is(value) && find(Strings.text(value)) != null;
    });
    TESTS.put("sameas", Tests::isSame);
    comparison("in", "in");
    comparison("==", "==", "eq", "equalto");
    comparison("!=", "!=", "ne");
    comparison(">", ">", "gt", "greaterthan");
    comparison(">=", ">=", "ge");
    comparison("<", "<", "lt", "lessthan");
    comparison("<=", "<=", "le");
  }

  private Tests() {}

  private static void add(String name, Predicate<Object> predicate) {
    TESTS.put(name, (value, arguments, render) -> {
      arguments.bind(name);
      return predicate.test(value);
    });
  }

  private static void withText(String name, Predicate<String> predicate) {
    TESTS.put(name, (value, arguments, render) -> {
      arguments.bind(name);
      return predicate.test(Printer.str(value, render));
    });
  }

  private static void comparison(String operator, String... names) {
    for (String name : names) {
      TESTS.put(name, (value, arguments, render) ->
          Comparison.apply(operator, value, arguments.bind(name, "other")[0], render));
    }
  }

  private static boolean remainder(String name, Object value, Arguments arguments, Render render, long expected) {
    arguments.bind(name);
    return Comparison.equal(Arithmetic.apply("%", value, 2L, render), expected, render);
  }

  /** Identity. Whether equal strings and numbers are one object is an accident of CPython, so that is refused rather than guessed. */
  private static boolean isSame(Object value, Arguments arguments, Render render) {
    Object other = arguments.bind("sameas", "other")[0];
    if (value == null || other == null || value instanceof Boolean || other instanceof Boolean) {
      return value == null ? other == null : value.equals(other);
    }
    boolean sameType = Strings.is(value) && Strings.is(other) || Numbers.is(value) && value.getClass() == other.getClass();
    if (!sameType) {
      return value == other;
    }
    if (!Comparison.equal(value, other, render)) {
      return false;
    }
    // CPython keeps one object for each of these.
    if (value instanceof Long number && number >= -5 && number <= 256 || value.equals("")) {
      return true;
    }
    throw Failure.unsupported("'sameas' between equal values of type '" + Types.name(value) + "'");
  }

  /** The test, or null. */
  static Test find(String name) {
    return TESTS.get(name);
  }

  /** Applies a test whose name is known only now. */
  static boolean apply(Object name, Object value, Arguments arguments, Render render) {
    Test test = Strings.is(name) ? find(Strings.text(name)) : null;
    if (test == null) {
      throw new Failure("no test named " + Printer.repr(name, render));
    }
    render.charge(Limits.NODE);
    return test.test(value, arguments, render);
  }
}
