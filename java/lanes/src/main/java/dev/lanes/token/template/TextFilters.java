package dev.lanes.token.template;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Filters that work on text; most turn other values into text first. */
final class TextFilters {
  private TextFilters() {}

  static void addTo(Map<String, Filters.Filter> filters) {
    filters.put("capitalize", (value, arguments, render) -> method("capitalize", value, arguments, render));
    filters.put("lower", (value, arguments, render) -> method("lower", value, arguments, render));
    filters.put("upper", (value, arguments, render) -> method("upper", value, arguments, render));
    filters.put("title", TextFilters::title);
    filters.put("trim", (value, arguments, render) ->
        StringMethods.call("strip", soft(value, render), render, Arguments.or(arguments.bind("trim", "chars?")[0], null)));
    filters.put("center", (value, arguments, render) ->
        StringMethods.call("center", soft(value, render), render, Arguments.or(arguments.bind("center", "width?")[0], 80L)));
    filters.put("string", (value, arguments, render) -> {
      arguments.bind("string");
      return soft(value, render);
    });
    filters.put("safe", (value, arguments, render) -> {
      arguments.bind("safe");
      return new Markup(Printer.str(value, render));
    });
    filters.put("escape", TextFilters::escape);
    filters.put("e", TextFilters::escape);
    filters.put("forceescape", (value, arguments, render) -> {
      arguments.bind("forceescape");
      return Markup.escape(Printer.str(value, render), render);
    });
    filters.put("replace", TextFilters::replace);
    filters.put("format", TextFilters::format);
    filters.put("indent", TextFilters::indent);
    filters.put("truncate", TextFilters::truncate);
    filters.put("wordcount", TextFilters::wordCount);
    filters.put("urlencode", TextFilters::urlEncode);
    filters.put("xmlattr", TextFilters::xmlAttributes);
  }

  /** The value if it is a string, marked safe or not, else its text. */
  private static Object soft(Object value, Render render) {
    return Strings.is(value) ? value : Printer.str(value, render);
  }

  private static Object method(String name, Object value, Arguments arguments, Render render) {
    arguments.bind(name);
    return StringMethods.call(name, soft(value, render), render);
  }

  private static Object escape(Object value, Arguments arguments, Render render) {
    arguments.bind("escape");
    return Markup.escape(value, render);
  }

  /** Upper case at the start and behind blanks, hyphens and opening brackets, lower case elsewhere. */
  private static Object title(Object value, Arguments arguments, Render render) {
    arguments.bind("title");
    String s = Printer.str(value, render);
    Output out = new Output(render);
    int start = 0;
    while (start < s.length()) {
      boolean separator = isTitleSeparator(s.charAt(start));
      int end = start + 1;
      while (end < s.length() && isTitleSeparator(s.charAt(end)) == separator) {
        end++;
      }
      int rest = Math.min(end, s.offsetByCodePoints(start, 1));
      out.append(Casing.upper(s.substring(start, rest))).append(Casing.lower(s.substring(rest, end)));
      start = end;
    }
    return out.toString();
  }

  private static boolean isTitleSeparator(char c) {
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || Text.isSpace(c);
  }

  private static Object replace(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind("replace", "old", "new", "count?");
    Object count = Arguments.or(values[2], null);
    return StringMethods.call("replace", Printer.str(value, render), render, Printer.str(values[0], render),
        Printer.str(values[1], render), count == null ? (Object) (-1L) : count);
  }

  private static Object format(Object value, Arguments arguments, Render render) {
    if (!arguments.positional().isEmpty() && !arguments.named().isEmpty()) {
      throw new Failure("can't handle positional and keyword arguments at the same time");
    }
    Object right = new Tuple(arguments.positional());
    if (!arguments.named().isEmpty()) {
      Dict named = new Dict();
      arguments.named().forEach((name, item) -> named.put(name, item, render));
      right = named;
    }
    return PercentFormat.format(soft(value, render), right, render);
  }

  private static Object indent(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind("indent", "width?", "first?", "blank?");
    Object width = Arguments.or(values[0], 4L);
    boolean first = Sequences.truth(Arguments.or(values[1], false));
    boolean blank = Sequences.truth(Arguments.or(values[2], false));
    String text = Strings.argument(value, "indent");
    String indentation = Strings.is(width) ? Strings.text(width)
        : new Output(render).repeat(" ", Numbers.index(width, "indent")).toString();
    render.charge(text.length());
    List<String> lines = Text.splitLines(text + "\n", false);
    Output out = new Output(render);
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i);
      boolean indented = i == 0 ? first : blank || !line.isEmpty();
      out.append(i == 0 ? "" : "\n").append(indented ? indentation : "").append(line);
    }
    return Strings.like(value, out.toString());
  }

  private static Object truncate(Object value, Arguments arguments, Render render) {
    Object[] values = arguments.bind("truncate", "length?", "killwords?", "end?", "leeway?");
    long length = Numbers.index(Arguments.or(values[0], 255L), "truncate");
    boolean killWords = Sequences.truth(Arguments.or(values[1], false));
    Object end = Arguments.or(values[2], "...");
    Object leeway = Arguments.or(values[3], null);
    long slack = leeway == null ? 5 : Numbers.index(leeway, "truncate");
    long endLength = Text.length(Strings.argument(end, "truncate"));
    if (length < endLength || slack < 0) {
      throw new Failure("truncate expects a length of at least " + endLength + " and a leeway of at least 0");
    }
    long total = Sequences.requireLength(value);
    if (total <= length || total - length <= slack) {
      return value;
    }
    String text = Strings.argument(value, "truncate");
    String kept = text.substring(0, Text.offset(text, (int) total, (int) (length - endLength)));
    int lastBlank = kept.lastIndexOf(' ');
    Object shown = Strings.like(value, killWords || lastBlank < 0 ? kept : kept.substring(0, lastBlank));
    return Arithmetic.apply("+", shown, end, render);
  }

  private static Object wordCount(Object value, Arguments arguments, Render render) {
    arguments.bind("wordcount");
    String s = Printer.str(value, render);
    render.charge(s.length());
    long words = 0;
    boolean inWord = false;
    for (int i = 0; i < s.length(); ) {
      int c = s.codePointAt(i);
      i += Character.charCount(c);
      boolean letter = c == '_' || Text.isAlphanumeric(c);
      words += letter && !inWord ? 1 : 0;
      inWord = letter;
    }
    return words;
  }

  private static Object urlEncode(Object value, Arguments arguments, Render render) {
    arguments.bind("urlencode");
    if (Strings.is(value) || !Sequences.isIterable(value)) {
      return quote(Printer.str(value, render), "/", render);
    }
    List<Object> pairs = value instanceof Dict dict ? dict.items() : Sequences.toList(value, render);
    List<String> parts = new ArrayList<>();
    for (Object pair : pairs) {
      Object[] items = Sequences.unpack(pair, 2, render);
      parts.add(quote(Printer.str(items[0], render), "", render).replace("%20", "+") + "="
          + quote(Printer.str(items[1], render), "", render).replace("%20", "+"));
    }
    return String.join("&", parts);
  }

  private static String quote(String s, String safe, Render render) {
    Output out = new Output(render);
    for (byte b : s.getBytes(StandardCharsets.UTF_8)) {
      char c = (char) (b & 0xff);
      boolean plain = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || "_.-~".indexOf(c) >= 0
          || safe.indexOf(c) >= 0;
      out.append(plain ? String.valueOf(c) : String.format("%%%02X", (int) c));
    }
    return out.toString();
  }

  private static Object xmlAttributes(Object value, Arguments arguments, Render render) {
    Object autospace = Arguments.or(arguments.bind("xmlattr", "autospace?")[0], true);
    if (!(value instanceof Dict dict)) {
      throw new Failure("xmlattr needs a dict, not " + Types.name(value));
    }
    List<String> parts = new ArrayList<>();
    for (Object key : dict.keys()) {
      Object attribute = dict.get(key, render);
      if (attribute == null || attribute instanceof Undefined) {
        continue;
      }
      String name = Strings.argument(key, "xmlattr");
      if (name.chars().anyMatch(c -> " \t\n\r\f\013/>=".indexOf(c) >= 0)) {
        throw new Failure("invalid character in attribute name: " + Printer.repr(name, render));
      }
      parts.add(Markup.escape(key, render).text() + "=\"" + Markup.escape(attribute, render).text() + "\"");
    }
    String text = String.join(" ", parts);
    return Sequences.truth(autospace) && !text.isEmpty() ? " " + text : text;
  }
}
