package dev.lanes.format;

import dev.lanes.error.InvalidModelException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * Reads JSON straight from the bytes of a safetensors header, as far as such headers need it: objects, strings and lists of whole numbers.
 * It never recurses and keeps no table of symbols, for a header may hold a hundred megabytes.
 */
final class HeaderScanner {
  private static final int MAX_DIGITS = 19;

  private final Path file;
  private final byte[] json;
  private int at;
  private long number;

  HeaderScanner(Path file, byte[] json) {
    this.file = file;
    this.json = json;
  }

  /** The next byte that is not white space, not consumed; -1 at the end. */
  int peek() {
    while (at < json.length && (json[at] == ' ' || json[at] == '\n' || json[at] == '\r' || json[at] == '\t')) {
      at++;
    }
    return at < json.length ? json[at] : -1;
  }

  /** Consumes {@code expected} if it comes next. */
  boolean accept(char expected) {
    if (peek() != expected) {
      return false;
    }
    at++;
    return true;
  }

  void expect(char expected) {
    if (!accept(expected)) {
      throw unexpected("expected '" + expected + "'");
    }
  }

  /** Before each member of a list or object: false after consuming its end, true where one more member comes. */
  boolean more(boolean first, char end) {
    if (accept(end)) {
      return false;
    }
    if (!first) {
      expect(',');
    }
    return true;
  }

  /** A string and the colon behind it. */
  String key() {
    String key = string();
    expect(':');
    return key;
  }

  String string() {
    if (peek() != '"') {
      throw unexpected("expected a string");
    }
    int start = ++at;
    boolean ascii = true;
    boolean escaped = false;
    while (at < json.length && json[at] != '"') {
      byte b = json[at];
      if (b < 0) {
        ascii = false;
      } else if (b < ' ') {
        throw unexpected("a control character must be escaped");
      } else if (b == '\\') {
        escaped = true;
        at++;
      }
      at++;
    }
    if (at >= json.length) {
      at = json.length;
      throw unexpected("expected the end of a string");
    }
    String text = ascii ? new String(json, start, at - start, StandardCharsets.ISO_8859_1) : decode(start, at);
    at++;
    return escaped ? unescape(text, start) : text;
  }

  /** Whether a whole number comes next, such as one with a minus sign. */
  boolean isNumber() {
    int next = peek();
    return next == '-' || next >= '0' && next <= '9';
  }

  /**
   * A whole number as JSON spells it.
   *
   * @return its text, where it does not fit 64 bits or is negative or has a fraction or exponent; else null, and {@link #number} has it
   */
  String oddNumber() {
    int start = at;
    int end = at;
    while (end < json.length && isNumeric(json[end])) {
      end++;
    }
    long value = 0;
    boolean plain = end - start <= MAX_DIGITS && (end - start == 1 || json[start] != '0');
    for (int i = start; plain && i < end; i++) {
      plain = json[i] >= '0' && json[i] <= '9';
      value = value * 10 + json[i] - '0';
    }
    if (!plain || value < 0) {
      return new String(json, start, Math.min(end - start, 100), StandardCharsets.ISO_8859_1);
    }
    number = value;
    at = end;
    return null;
  }

  /** The number that {@link #oddNumber} found to be plain. */
  long number() {
    return number;
  }

  private static boolean isNumeric(byte b) {
    return b >= '0' && b <= '9' || b == '-' || b == '+' || b == '.' || b == 'e' || b == 'E';
  }

  private String decode(int start, int end) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(json, start, end - start)).toString();
    } catch (CharacterCodingException e) {
      throw new InvalidModelException(file, "header", "is not valid UTF-8 in the string at byte " + start, e);
    }
  }

  private String unescape(String text, int start) {
    StringBuilder out = new StringBuilder(text.length());
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c != '\\') {
        out.append(c);
        continue;
      }
      i++;
      char kind = text.charAt(i);
      switch (kind) {
        case '"', '\\', '/' -> out.append(kind);
        case 'b' -> out.append('\b');
        case 'f' -> out.append('\f');
        case 'n' -> out.append('\n');
        case 'r' -> out.append('\r');
        case 't' -> out.append('\t');
        case 'u' -> {
          out.append((char) hex(text, i + 1, start));
          i += 4;
        }
        default -> throw badEscape(start);
      }
    }
    for (int i = 0; i < out.length(); i++) {
      if (Character.isHighSurrogate(out.charAt(i)) && i + 1 < out.length() && Character.isLowSurrogate(out.charAt(i + 1))) {
        i++;
      } else if (Character.isSurrogate(out.charAt(i))) {
        throw badEscape(start);
      }
    }
    return out.toString();
  }

  private int hex(String text, int from, int start) {
    int value = 0;
    for (int i = from; i < from + 4; i++) {
      int digit = i < text.length() && text.charAt(i) < 128 ? Character.digit(text.charAt(i), 16) : -1;
      if (digit < 0) {
        throw badEscape(start);
      }
      value = value * 16 + digit;
    }
    return value;
  }

  private InvalidModelException badEscape(int start) {
    return new InvalidModelException(file, "header", "is not valid JSON: a bad escape in the string at byte " + start);
  }

  InvalidModelException unexpected(String expected) {
    String found = at >= json.length ? "the end of the header"
        : json[at] > ' ' ? "'" + (char) json[at] + "'" : "byte 0x" + Integer.toHexString(json[at] & 0xff);
    return new InvalidModelException(file, "header", "is not valid JSON: found " + found + " at byte " + at + ", " + expected);
  }
}
