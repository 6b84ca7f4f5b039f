package dev.lanes.token.template;

import java.math.BigInteger;
import java.util.Locale;

/** Python's {@code format(value, spec)} with its mini-language {@code [[fill]align][sign][z][#][0][width][grouping][.precision][type]}. */
final class FormatSpec {
  private final String spec;
  private String fill = " ";
  private char align;
  private char sign;
  private boolean alternate;
  private boolean noNegativeZero;
  private long width;
  private char grouping;
  private long precision = -1;
  private char type;
  private boolean zeroPadded;
  private int position;

  private FormatSpec(String spec) {
    this.spec = spec;
    parse();
  }

  static String format(Object value, String spec, Render render) {
    if (spec.isEmpty()) {
      return Printer.str(value, render);
    }
    FormatSpec format = new FormatSpec(spec);
    if (Strings.is(value)) {
      return format.text(Strings.text(value), render);
    }
    if (Numbers.isInteger(value) && "eEfFgG%".indexOf(format.type) < 0) {
      return format.integer(Numbers.big(value), render);
    }
    if (Numbers.is(value)) {
      return format.floating(Numbers.toDouble(value), render);
    }
    throw new Failure("unsupported format string passed to " + Types.name(value) + ".__format__");
  }

  private void parse() {
    int first = spec.offsetByCodePoints(0, 1);
    boolean filled = first < spec.length() && isAlign(spec.charAt(first));
    if (filled) {
      fill = spec.substring(0, first);
      align = spec.charAt(first);
      position = first + 1;
    } else if (isAlign(spec.charAt(0))) {
      align = spec.charAt(0);
      position = 1;
    }
    sign = oneOf("+- ");
    noNegativeZero = oneOf("z") != 0;
    alternate = oneOf("#") != 0;
    if (!filled && oneOf("0") != 0) {
      zeroPadded = align == 0;
      fill = "0";
    }
    width = number();
    grouping = oneOf(",_");
    if (oneOf(".") != 0) {
      int start = position;
      precision = number();
      if (position == start) {
        throw new Failure("format specifier missing precision");
      }
    }
    if (position < spec.length()) {
      type = spec.charAt(position++);
    }
    if (position < spec.length()) {
      throw new Failure("invalid format specifier '" + spec + "'");
    }
    if (grouping != 0 && (type == 'n' || type == 'c')) {
      throw new Failure("cannot specify '" + grouping + "' with '" + type + "'");
    }
  }

  private static boolean isAlign(char c) {
    return c == '<' || c == '>' || c == '=' || c == '^';
  }

  private char oneOf(String characters) {
    if (position < spec.length() && characters.indexOf(spec.charAt(position)) >= 0) {
      return spec.charAt(position++);
    }
    return 0;
  }

  private long number() {
    long value = 0;
    while (position < spec.length() && spec.charAt(position) >= '0' && spec.charAt(position) <= '9') {
      value = value * 10 + spec.charAt(position++) - '0';
      if (value > Integer.MAX_VALUE) {
        throw new Failure("too many decimal digits in format string");
      }
    }
    return value;
  }

  private Failure unknownType(String of) {
    return new Failure("unknown format code '" + type + "' for object of type '" + of + "'");
  }

  private String text(String value, Render render) {
    if (type != 0 && type != 's') {
      throw unknownType("str");
    }
    if (sign != 0 || alternate || noNegativeZero || grouping != 0 || align == '=') {
      throw new Failure("format specifier '" + spec + "' is not allowed for a string");
    }
    int length = Text.length(value);
    String shown = precision >= 0 && precision < length ? value.substring(0, Text.offset(value, length, (int) precision)) : value;
    return padded("", shown, '<', render);
  }

  private String integer(BigInteger value, Render render) {
    if (precision >= 0 || noNegativeZero) {
      throw new Failure("precision and 'z' are not allowed in an integer format specifier");
    }
    BigInteger magnitude = value.abs();
    String digits;
    String prefix = "";
    switch (type) {
      case 0, 'd', 'n' -> digits = Numbers.text(Numbers.normalize(magnitude));
      case 'b' -> {
        digits = magnitude.toString(2);
        prefix = "0b";
      }
      case 'o' -> {
        digits = magnitude.toString(8);
        prefix = "0o";
      }
      case 'x' -> {
        digits = magnitude.toString(16);
        prefix = "0x";
      }
      case 'X' -> {
        digits = magnitude.toString(16).toUpperCase(Locale.ROOT);
        prefix = "0X";
      }
      case 'c' -> {
        if (sign != 0 || alternate || value.signum() < 0 || value.bitLength() > 31 || !Character.isValidCodePoint(value.intValue())) {
          throw new Failure("%c needs a code point and no sign");
        }
        return padded("", Character.toString(value.intValue()), '<', render);
      }
      default -> throw unknownType("int");
    }
    boolean decimal = type == 0 || type == 'd' || type == 'n';
    if (grouping == ',' && !decimal) {
      throw new Failure("cannot specify '" + grouping + "' with '" + type + "'");
    }
    return number(value.signum() < 0, alternate ? prefix : "", digits, "", decimal ? 3 : 4, render);
  }

  private String floating(double value, Render render) {
    if (type != 0 && "eEfFgGn%".indexOf(type) < 0) {
      throw unknownType("float");
    }
    String digits = FloatFormat.digits(Math.abs(value), type == 'n' ? 'g' : type, precision, alternate);
    boolean negative = value < 0 || value == 0 && 1 / value < 0;
    if (noNegativeZero && digits.chars().noneMatch(c -> c >= '1' && c <= '9')) {
      negative = false;
    }
    int whole = 0;
    while (whole < digits.length() && Character.isDigit(digits.charAt(whole))) {
      whole++;
    }
    return number(negative, "", digits.substring(0, whole), digits.substring(whole), 3, render);
  }

  /** Puts sign, prefix, whole digits and what follows them together. */
  private String number(boolean negative, String prefix, String digits, String rest, int group, Render render) {
    String lead = (negative ? "-" : sign == '+' || sign == ' ' ? String.valueOf(sign) : "") + prefix;
    if (grouping == 0) {
      return padded(lead, digits + rest, zeroPadded ? '=' : '>', render);
    }
    String grouped = grouped(digits, group);
    boolean zeros = fill.equals("0") && (zeroPadded || align == '=');
    if (zeros) {
      render.charge(width);
      StringBuilder more = new StringBuilder(grouped);
      int run = digits.length();
      while (lead.length() + more.length() + rest.length() < width) {
        if (run % group == 0) {
          more.insert(0, grouping);
        }
        more.insert(0, '0');
        run++;
      }
      grouped = more.toString();
    }
    return padded(lead, grouped + rest, zeroPadded ? '=' : '>', render);
  }

  private String grouped(String digits, int group) {
    StringBuilder out = new StringBuilder(digits);
    for (int i = digits.length() - group; i > 0; i -= group) {
      out.insert(i, grouping);
    }
    return out.toString();
  }

  private String padded(String lead, String body, char defaultAlign, Render render) {
    long missing = Math.max(0, width - Text.length(lead) - Text.length(body));
    char side = align == 0 ? defaultAlign : align;
    long left = switch (side) {
      case '<', '=' -> 0;
      case '^' -> missing / 2;
      default -> missing;
    };
    long inside = side == '=' ? missing : 0;
    Output out = new Output(render).repeat(fill, left).append(lead).repeat(fill, inside).append(body);
    return out.repeat(fill, missing - left - inside).toString();
  }
}
