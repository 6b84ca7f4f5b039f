package dev.lanes.token.template;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;

/** The methods of Python's str. */
final class StringMethods {
  private interface Method {
    Object call(Object self, Render render, Arguments arguments);
  }

  private static final Map<String, Method> METHODS = new HashMap<>();
  private static final Set<String> REFUSED = Set.of("casefold", "encode", "maketrans", "translate");
  private static final long ALL = -1;

  static {
    mapping("upper", Casing::upper);
    mapping("lower", Casing::lower);
    mapping("title", Casing::titleWords);
    mapping("capitalize", Casing::capitalize);
    mapping("swapcase", Casing::swap);
    question("islower", Casing::isLower);
    question("isupper", Casing::isUpper);
    question("istitle", Casing::isTitle);
    question("isascii", s -> s.chars().allMatch(c -> c < 128));
    question("isprintable", s -> s.codePoints().allMatch(Text::isPrintable));
    question("isidentifier", StringMethods::isIdentifier);
    everyCharacter("isalpha", Character::isLetter);
    everyCharacter("isalnum", Text::isAlphanumeric);
    everyCharacter("isdecimal", Text::isDecimal);
    everyCharacter("isdigit", Text::isDigit);
    everyCharacter("isnumeric", Text::isNumeric);
    everyCharacter("isspace", Text::isSpace);
    METHODS.put("strip", (self, render, arguments) -> strip("strip", self, arguments, true, true));
    METHODS.put("lstrip", (self, render, arguments) -> strip("lstrip", self, arguments, true, false));
    METHODS.put("rstrip", (self, render, arguments) -> strip("rstrip", self, arguments, false, true));
    METHODS.put("split", (self, render, arguments) -> split("split", self, arguments, render));
    METHODS.put("rsplit", (self, render, arguments) -> split("rsplit", self, arguments, render));
    METHODS.put("splitlines", StringMethods::splitLines);
    METHODS.put("startswith", (self, render, arguments) -> hasAffix("startswith", self, arguments, render));
    METHODS.put("endswith", (self, render, arguments) -> hasAffix("endswith", self, arguments, render));
    METHODS.put("find", (self, render, arguments) -> find("find", self, arguments));
    METHODS.put("rfind", (self, render, arguments) -> find("rfind", self, arguments));
    METHODS.put("index", (self, render, arguments) -> found(find("index", self, arguments)));
    METHODS.put("rindex", (self, render, arguments) -> found(find("rindex", self, arguments)));
    METHODS.put("count", (self, render, arguments) -> count(self, arguments));
    METHODS.put("replace", StringMethods::replace);
    METHODS.put("join", StringMethods::join);
    METHODS.put("partition", (self, render, arguments) -> partition("partition", self, arguments, render));
    METHODS.put("rpartition", (self, render, arguments) -> partition("rpartition", self, arguments, render));
    METHODS.put("removeprefix", (self, render, arguments) -> {
      String prefix = Strings.argument(arguments.bind("removeprefix", "/prefix")[0], "removeprefix");
      String s = Strings.text(self);
      return Strings.like(self, s.startsWith(prefix) ? s.substring(prefix.length()) : s);
    });
    METHODS.put("removesuffix", (self, render, arguments) -> {
      String suffix = Strings.argument(arguments.bind("removesuffix", "/suffix")[0], "removesuffix");
      String s = Strings.text(self);
      return Strings.like(self, s.endsWith(suffix) ? s.substring(0, s.length() - suffix.length()) : s);
    });
    METHODS.put("center", (self, render, arguments) -> pad("center", self, arguments, render));
    METHODS.put("ljust", (self, render, arguments) -> pad("ljust", self, arguments, render));
    METHODS.put("rjust", (self, render, arguments) -> pad("rjust", self, arguments, render));
    METHODS.put("zfill", StringMethods::zeroFill);
    METHODS.put("expandtabs", StringMethods::expandTabs);
    METHODS.put("format", (self, render, arguments) -> BraceFormat.format(self, arguments, render));
    METHODS.put("format_map", (self, render, arguments) ->
        BraceFormat.format(self, Arguments.NONE.expanded(Undefined.MISSING, arguments.bind("format_map", "/map")[0], render), render));
  }

  private StringMethods() {}

  /** The method bound to the string, or {@link Undefined#MISSING} if there is no such method. */
  static Object bind(Object self, String name) {
    if (REFUSED.contains(name)) {
      throw Failure.unsupported("str." + name);
    }
    Method method = METHODS.get(name);
    if (method == null) {
      return Undefined.MISSING;
    }
    return new Builtin(name, (render, arguments) -> {
      render.charge(Strings.text(self).length());
      return method.call(self, render, arguments);
    });
  }

  /** Calls a method from a filter. */
  static Object call(String name, Object self, Render render, Object... arguments) {
    return ((Builtin) bind(self, name)).call(render, Arguments.of(arguments));
  }

  private static void mapping(String name, UnaryOperator<String> function) {
    METHODS.put(name, (self, render, arguments) -> {
      arguments.bind(name);
      return Strings.like(self, function.apply(Strings.text(self)));
    });
  }

  private static void question(String name, Predicate<String> predicate) {
    METHODS.put(name, (self, render, arguments) -> {
      arguments.bind(name);
      return predicate.test(Strings.text(self));
    });
  }

  private static void everyCharacter(String name, IntPredicate predicate) {
    question(name, s -> !s.isEmpty() && s.codePoints().allMatch(predicate));
  }

  private static boolean isIdentifier(String s) {
    if (s.isEmpty()) {
      return false;
    }
    int first = s.codePointAt(0);
    return (first == '_' || Character.isUnicodeIdentifierStart(first)) && s.codePoints()
        .allMatch(c -> c == '_' || Character.isUnicodeIdentifierPart(c) && !Character.isIdentifierIgnorable(c));
  }

  private static Object strip(String name, Object self, Arguments arguments, boolean left, boolean right) {
    Object characters = Arguments.or(arguments.bind(name, "/chars?")[0], null);
    String set = characters == null ? null : Strings.argument(characters, name);
    if (set != null && set.length() > 1024) {
      throw new Failure(name + "() with " + set.length() + " different characters is too much work");
    }
    return Strings.like(self, Text.strip(Strings.text(self), set, left, right));
  }

  private static Object split(String name, Object self, Arguments arguments, Render render) {
    Object[] values = arguments.bind(name, "sep?", "maxsplit?");
    Object separator = Arguments.or(values[0], null);
    long maxSplit = Numbers.index(Arguments.or(values[1], ALL), name);
    String s = Strings.text(self);
    boolean right = name.equals("rsplit");
    if (separator == null) {
      return Sequences.listOf(right ? Text.splitSpaceFromRight(s, maxSplit) : Text.splitSpace(s, maxSplit), self, render);
    }
    String text = Strings.argument(separator, name);
    if (text.isEmpty()) {
      throw new Failure("empty separator");
    }
    if (right && text.length() > s.length()) {
      return Sequences.listOf(List.of(s), self, render);
    }
    List<String> parts = right ? Text.splitFromRight(s, text, maxSplit) : Text.split(s, text, maxSplit);
    // A long separator is prepared anew for each part.
    render.charge((long) parts.size() * text.length());
    return Sequences.listOf(parts, self, render);
  }

  private static Object splitLines(Object self, Render render, Arguments arguments) {
    Object keepEnds = Arguments.or(arguments.bind("splitlines", "keepends?")[0], false);
    return Sequences.listOf(Text.splitLines(Strings.text(self), Sequences.truth(keepEnds)), self, render);
  }

  /** The part of a string that optional start and end arguments select; null if the start lies behind the end of the string. */
  private static String part(Object self, Object start, Object end, String name) {
    String s = Strings.text(self);
    int length = Text.length(s);
    long from = bound(start, 0, length, name);
    long to = Math.min(length, bound(end, length, length, name));
    if (from > to) {
      return null;
    }
    return s.substring(Text.offset(s, length, (int) from), Text.offset(s, length, (int) to));
  }

  private static long bound(Object value, long missing, int length, String name) {
    if (value == Undefined.MISSING || value == null) {
      return missing;
    }
    long index = Numbers.index(value, name);
    return index < 0 ? Math.max(0, index + length) : index;
  }

  private static Object hasAffix(String name, Object self, Arguments arguments, Render render) {
    Object[] values = arguments.bind(name, "/affix", "/start?", "/end?");
    String s = part(self, values[1], values[2], name);
    List<Object> affixes = values[0] instanceof Tuple tuple ? tuple.items() : Sequences.listOf(values[0]);
    for (Object affix : affixes) {
      if (!Strings.is(affix)) {
        throw new Failure(name + " first arg must be str or a tuple of str, not " + Types.name(affix));
      }
      String text = Strings.text(affix);
      render.charge(1 + text.length());
      if (s != null && (name.equals("startswith") ? s.startsWith(text) : s.endsWith(text))) {
        return true;
      }
    }
    return false;
  }

  private static long find(String name, Object self, Arguments arguments) {
    Object[] values = arguments.bind(name, "/sub", "/start?", "/end?");
    String needle = Strings.argument(values[0], name);
    String s = part(self, values[1], values[2], name);
    if (s == null) {
      return -1;
    }
    boolean right = name.startsWith("r");
    int at = right ? needle.length() > s.length() ? -1 : Text.lastIndexOf(s, needle, s.length()) : Text.indexOf(s, needle, 0);
    if (at < 0) {
      return -1;
    }
    return bound(values[1], 0, Text.length(Strings.text(self)), name) + s.codePointCount(0, at);
  }

  private static Object found(long index) {
    if (index < 0) {
      throw new Failure("substring not found");
    }
    return index;
  }

  private static Object count(Object self, Arguments arguments) {
    Object[] values = arguments.bind("count", "/sub", "/start?", "/end?");
    String needle = Strings.argument(values[0], "count");
    String s = part(self, values[1], values[2], "count");
    if (s == null) {
      return 0L;
    }
    return needle.isEmpty() ? Text.length(s) + 1L : (long) Text.split(s, needle, ALL).size() - 1;
  }

  private static Object replace(Object self, Render render, Arguments arguments) {
    Object[] values = arguments.bind("replace", "/old", "/new", "/count?");
    String old = Strings.argument(values[0], "replace");
    Strings.argument(values[1], "replace");
    String replacement = self instanceof Markup ? Markup.escape(values[1], render).text() : Strings.text(values[1]);
    long count = Numbers.index(Arguments.or(values[2], ALL), "replace");
    String s = Strings.text(self);
    Output out = new Output(render);
    long left = count < 0 ? Long.MAX_VALUE : count;
    if (!old.isEmpty()) {
      int start = 0;
      for (int at = Text.indexOf(s, old, 0); at >= 0 && left-- > 0; at = Text.indexOf(s, old, start)) {
        // A long text to search for is prepared anew each time.
        render.charge(old.length());
        out.append(s.substring(start, at)).append(replacement);
        start = at + old.length();
      }
      return Strings.like(self, out.append(s.substring(start)).toString());
    }
    for (int i = 0; i < s.length(); ) {
      int c = s.codePointAt(i);
      i += Character.charCount(c);
      if (left-- > 0) {
        out.append(replacement);
      }
      out.appendCodePoint(c);
    }
    return Strings.like(self, left > 0 ? out.append(replacement).toString() : out.toString());
  }

  private static Object join(Object self, Render render, Arguments arguments) {
    List<Object> items = Sequences.toList(arguments.bind("join", "/iterable")[0], render);
    Output out = new Output(render);
    boolean markup = self instanceof Markup;
    for (int i = 0; i < items.size(); i++) {
      Object item = items.get(i);
      if (!Strings.is(item) && !markup) {
        throw new Failure("sequence item " + i + ": expected str instance, " + Types.name(item) + " found");
      }
      out.append(i == 0 ? "" : Strings.text(self)).append(markup ? Markup.escape(item, render).text() : Strings.text(item));
    }
    return Strings.like(self, out.toString());
  }

  private static Object partition(String name, Object self, Arguments arguments, Render render) {
    String separator = Strings.argument(arguments.bind(name, "/sep")[0], name);
    if (separator.isEmpty()) {
      throw new Failure("empty separator");
    }
    String s = Strings.text(self);
    boolean right = name.startsWith("r");
    int at = right ? separator.length() > s.length() ? -1 : Text.lastIndexOf(s, separator, s.length()) : Text.indexOf(s, separator, 0);
    List<String> parts;
    if (at >= 0) {
      parts = List.of(s.substring(0, at), separator, s.substring(at + separator.length()));
    } else {
      parts = right ? List.of("", "", s) : List.of(s, "", "");
    }
    return new Tuple(Sequences.listOf(parts, self, render));
  }

  private static Object pad(String name, Object self, Arguments arguments, Render render) {
    Object[] values = arguments.bind(name, "/width", "/fillchar?");
    String fill = Strings.argument(Arguments.or(values[1], " "), name);
    if (Text.length(fill) != 1) {
      throw new Failure("the fill character must be exactly one character long");
    }
    String s = Strings.text(self);
    long width = Numbers.index(values[0], name);
    long missing = Math.max(0, width - Text.length(s));
    // CPython puts the odd blank of center() to the left when the width is odd.
    long left = switch (name) {
      case "ljust" -> 0;
      case "rjust" -> missing;
      default -> missing / 2 + (missing & width & 1);
    };
    String filler = self instanceof Markup ? Markup.escape(fill, render).text() : fill;
    return Strings.like(self, new Output(render).repeat(filler, left).append(s).repeat(filler, missing - left).toString());
  }

  private static Object zeroFill(Object self, Render render, Arguments arguments) {
    long width = Numbers.index(arguments.bind("zfill", "/width")[0], "zfill");
    String s = Strings.text(self);
    int sign = s.startsWith("-") || s.startsWith("+") ? 1 : 0;
    Output out = new Output(render).append(s.substring(0, sign)).repeat("0", width - Text.length(s)).append(s.substring(sign));
    return Strings.like(self, out.toString());
  }

  private static Object expandTabs(Object self, Render render, Arguments arguments) {
    long size = Numbers.index(Arguments.or(arguments.bind("expandtabs", "tabsize?")[0], 8L), "expandtabs");
    Output out = new Output(render);
    long column = 0;
    String s = Strings.text(self);
    for (int i = 0; i < s.length(); ) {
      int c = s.codePointAt(i);
      i += Character.charCount(c);
      if (c == '\t') {
        long blanks = size > 0 ? size - column % size : 0;
        out.repeat(" ", blanks);
        column += blanks;
      } else {
        out.appendCodePoint(c);
        column = c == '\n' || c == '\r' ? 0 : column + 1;
      }
    }
    return Strings.like(self, out.toString());
  }
}
