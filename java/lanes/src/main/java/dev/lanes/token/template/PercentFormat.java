package dev.lanes.token.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.List;
import java.util.Locale;

/** The % operator of Python strings. */
final class PercentFormat {
  private final String template;
  private final Object right;
  private final boolean markup;
  private final Render render;
  private final Output out;
  /** Arguments in order; for a right side that is no tuple, just that. */
  private final List<Object> values;
  private int used;
  private int position;

  private PercentFormat(Object template, Object right, Render render) {
    this.template = Strings.text(template);
    this.markup = template instanceof Markup;
    this.right = right;
    this.render = render;
    this.out = new Output(render);
    this.values = right instanceof Tuple tuple ? tuple.items() : Sequences.listOf(right);
  }

  static Object format(Object template, Object right, Render render) {
    PercentFormat format = new PercentFormat(template, right, render);
    format.run();
    return Strings.like(template, format.out.toString());
  }

  private void run() {
    boolean keyed = false;
    while (position < template.length()) {
      char c = template.charAt(position++);
      if (c != '%') {
        out.append(c);
        continue;
      }
      keyed |= position < template.length() && template.charAt(position) == '(';
      directive();
    }
    // Whatever can be indexed counts as a mapping, which need not be used.
    boolean mapping = right instanceof Dict || right instanceof List || right instanceof Range || right instanceof Undefined;
    if (!keyed && !mapping && used < values.size()) {
      throw new Failure("not all arguments converted during string formatting");
    }
  }

  private void directive() {
    Object value = Undefined.MISSING;
    if (peek() == '(') {
      value = keyedValue();
    }
    int start = position;
    while ("-+ #0".indexOf(peek()) >= 0) {
      position++;
    }
    String flags = template.substring(start, position);
    long width = size();
    boolean left = flags.indexOf('-') >= 0 || width < 0;
    long precision = -1;
    if (peek() == '.') {
      position++;
      precision = Math.max(0, size());
    }
    while ("hlL".indexOf(peek()) >= 0) {
      position++;
    }
    char type = peek();
    position++;
    if (type == '%') {
      out.append('%');
      return;
    }
    if (value == Undefined.MISSING) {
      value = nextValue();
    }
    convert(value, type, new Layout(flags, left, Math.abs(width), precision));
  }

  private record Layout(String flags, boolean left, long width, long precision) {
    boolean has(char flag) {
      return flags.indexOf(flag) >= 0;
    }
  }

  private char peek() {
    if (position >= template.length()) {
      throw new Failure("incomplete format");
    }
    return template.charAt(position);
  }

  private Object keyedValue() {
    int start = position + 1;
    int depth = 0;
    do {
      depth += peek() == '(' ? 1 : peek() == ')' ? -1 : 0;
      position++;
    } while (depth > 0);
    if (!(right instanceof Dict dict)) {
      throw new Failure("format requires a mapping");
    }
    String key = template.substring(start, position - 1);
    Object value = dict.get(key);
    if (value == Undefined.MISSING) {
      throw new Failure("the mapping to format has no key '" + key + "'");
    }
    return value;
  }

  private long size() {
    if (peek() == '*') {
      position++;
      Object value = nextValue();
      if (!Numbers.isInteger(value)) {
        throw new Failure("* wants int");
      }
      return Numbers.index(value, "format");
    }
    long size = 0;
    while (peek() >= '0' && peek() <= '9') {
      size = Math.min(Integer.MAX_VALUE, size * 10 + peek() - '0');
      position++;
    }
    return size;
  }

  private Object nextValue() {
    if (used >= values.size()) {
      throw new Failure("not enough arguments for format string");
    }
    return values.get(used++);
  }

  private void convert(Object value, char type, Layout layout) {
    switch (type) {
      case 's' -> text(markup ? Markup.escape(value, render).text() : Printer.str(value, render), layout);
      case 'r' -> text(escaped(Printer.repr(value, render)), layout);
      case 'a' -> text(escaped(Printer.ascii(value, render)), layout);
      case 'c' -> text(character(value), new Layout(layout.flags, layout.left, layout.width, -1));
      case 'd', 'i', 'u', 'x', 'X', 'o' -> integer(integral(value, type), type, layout);
      case 'e', 'E', 'f', 'F', 'g', 'G' -> floating(value, type, layout);
      default -> throw new Failure("unsupported format character '" + type + "'");
    }
  }

  private String escaped(String s) {
    return markup ? Markup.escape(s, render).text() : s;
  }

  private void text(String s, Layout layout) {
    int length = Text.length(s);
    boolean cut = layout.precision >= 0 && layout.precision < length;
    String shown = cut ? s.substring(0, Text.offset(s, length, (int) layout.precision)) : s;
    long missing = layout.width - Text.length(shown);
    out.repeat(" ", layout.left ? 0 : missing).append(shown).repeat(" ", layout.left ? missing : 0);
  }

  private static String character(Object value) {
    if (Strings.is(value) && Text.length(Strings.text(value)) == 1) {
      return Strings.text(value);
    }
    if (Numbers.isInteger(value)) {
      BigInteger code = Numbers.big(value);
      if (code.signum() >= 0 && code.bitLength() < 31 && Character.isValidCodePoint(code.intValue())) {
        return Character.toString(code.intValue());
      }
    }
    throw new Failure("%c requires int or char");
  }

  private static BigInteger integral(Object value, char type) {
    boolean decimal = "diu".indexOf(type) >= 0;
    if (decimal && value instanceof Double number) {
      if (Double.isNaN(number) || Double.isInfinite(number)) {
        throw new Failure("cannot convert float " + Numbers.repr(number) + " to integer");
      }
      return new BigDecimal(number).toBigInteger();
    }
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (!Numbers.isInteger(value)) {
      throw new Failure("%" + type + " format: " + (decimal ? "a real number" : "an integer") + " is required, not " + Types.name(value));
    }
    return Numbers.big(value);
  }

  private void integer(BigInteger value, char type, Layout layout) {
    String prefix = "";
    String digits;
    switch (type) {
      case 'x', 'X' -> {
        prefix = layout.has('#') ? "0x" : "";
        digits = value.abs().toString(16);
      }
      case 'o' -> {
        prefix = layout.has('#') ? "0o" : "";
        digits = value.abs().toString(8);
      }
      default -> digits = Numbers.text(Numbers.normalize(value.abs()));
    }
    long zeros = layout.precision - digits.length();
    if (zeros > 0) {
      digits = new Output(render).repeat("0", zeros).append(digits).toString();
    }
    boolean upper = type == 'X';
    number(value.signum() < 0, upper ? prefix.toUpperCase(Locale.ROOT) : prefix, upper ? digits.toUpperCase(Locale.ROOT) : digits, layout);
  }

  private void floating(Object value, char type, Layout layout) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (!Numbers.is(value)) {
      throw new Failure("must be real number, not " + Types.name(value));
    }
    double number = Numbers.toDouble(value);
    boolean negative = number < 0 || number == 0 && 1 / number < 0;
    number(negative, "", FloatFormat.digits(Math.abs(number), type, layout.precision, layout.has('#')), layout);
  }

  private void number(boolean negative, String prefix, String digits, Layout layout) {
    String lead = (negative ? "-" : layout.has('+') ? "+" : layout.has(' ') ? " " : "") + prefix;
    long missing = layout.width - lead.length() - digits.length();
    boolean zeros = layout.has('0') && !layout.left;
    out.repeat(" ", layout.left || zeros ? 0 : missing).append(lead).repeat("0", zeros ? missing : 0).append(digits);
    out.repeat(" ", layout.left ? missing : 0);
  }
}
