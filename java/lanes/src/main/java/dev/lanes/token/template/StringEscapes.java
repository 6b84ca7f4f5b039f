package dev.lanes.token.template;

/**
 * The escapes of string literals. Jinja turns a literal into ASCII with {@code backslashreplace} and decodes that as
 * {@code unicode_escape}, so an unknown escape keeps its backslash, and a backslash before a non-ASCII character shows its code.
 */
final class StringEscapes {
  private StringEscapes() {}

  static String decode(String literal) {
    if (literal.indexOf('\\') < 0) {
      return literal;
    }
    StringBuilder out = new StringBuilder(literal.length());
    int i = 0;
    while (i < literal.length()) {
      char c = literal.charAt(i);
      if (c != '\\') {
        out.append(c);
        i++;
        continue;
      }
      int escaped = literal.codePointAt(i + 1);
      i += 1 + Character.charCount(escaped);
      switch (escaped) {
        case '\n' -> { }
        case '\\', '\'', '"' -> out.append((char) escaped);
        case 'a' -> out.append('\007');
        case 'b' -> out.append('\b');
        case 'f' -> out.append('\f');
        case 'n' -> out.append('\n');
        case 'r' -> out.append('\r');
        case 't' -> out.append('\t');
        case 'v' -> out.append('\013');
        case 'x' -> i = hexadecimal(literal, i, 2, out);
        case 'u' -> i = hexadecimal(literal, i, 4, out);
        case 'U' -> i = hexadecimal(literal, i, 8, out);
        case 'N' -> i = named(literal, i, out);
        default -> {
          if (escaped >= '0' && escaped <= '7') {
            i = octal(literal, i - 1, out);
          } else if (escaped < 128) {
            out.append('\\').appendCodePoint(escaped);
          } else {
            out.append('\\').append(codeOf(escaped));
          }
        }
      }
    }
    return out.toString();
  }

  /** What {@code backslashreplace} makes of a character, less its backslash. */
  private static String codeOf(int codePoint) {
    return codePoint < 0x100 ? String.format("x%02x", codePoint)
        : codePoint < 0x10000 ? String.format("u%04x", codePoint) : String.format("U%08x", codePoint);
  }

  private static int hexadecimal(String literal, int start, int digits, StringBuilder out) {
    int end = start + digits;
    int value = 0;
    for (int i = start; i < end; i++) {
      int digit = i < literal.length() && literal.charAt(i) < 128 ? Character.digit(literal.charAt(i), 16) : -1;
      if (digit < 0) {
        throw new Failure("a string literal has an escape with fewer than " + digits + " hexadecimal digits");
      }
      value = value << 4 | digit;
    }
    if (!Character.isValidCodePoint(value)) {
      throw new Failure("a string literal has an escape for an illegal Unicode character");
    }
    out.appendCodePoint(value);
    return end;
  }

  private static int octal(String literal, int start, StringBuilder out) {
    int value = 0;
    int i = start;
    while (i < literal.length() && i < start + 3 && literal.charAt(i) >= '0' && literal.charAt(i) <= '7') {
      value = value * 8 + literal.charAt(i++) - '0';
    }
    out.append((char) value);
    return i;
  }

  private static int named(String literal, int start, StringBuilder out) {
    int end = literal.indexOf('}', start);
    if (!literal.startsWith("{", start) || end < 0) {
      throw new Failure("a string literal has a malformed \\N escape");
    }
    try {
      out.appendCodePoint(Character.codePointOf(literal.substring(start + 1, end)));
    } catch (IllegalArgumentException e) {
      throw new Failure("a string literal has an unknown Unicode character name");
    }
    return end + 1;
  }
}
