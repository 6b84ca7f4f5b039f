package dev.lanes.token.template;

import java.math.BigInteger;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/**
 * Splits a template into tokens, with {@code trim_blocks} and {@code lstrip_blocks} on and {@code keep_trailing_newline} off: the
 * newline after a block or comment goes, so does the blank start of a line before one, and one newline at the end of the template.
 * {@code -} at the inside of a delimiter strips all white space beyond it, {@code +} switches the automatic stripping off.
 */
final class Lexer {
  private static final List<String> LONG_OPERATORS = List.of("//", "**", "==", "!=", ">=", "<=");
  private static final String SHORT_OPERATORS = "+-/*%~[](){}><=.:|,;";

  private final Origin origin;
  private final String source;
  private final List<Token> tokens = new ArrayList<>();
  private int position;
  private int line = 1;
  private int lineCountedTo;
  /** Whether the previous token ended a line, so that blanks at {@link #position} stand at the start of a line. */
  private boolean lineStarting = true;

  private Lexer(String source, Origin origin) {
    this.origin = origin;
    this.source = source;
  }

  static List<Token> tokenize(String text, Origin origin) {
    String source = text.replace("\r\n", "\n").replace('\r', '\n');
    if (source.endsWith("\n")) {
      source = source.substring(0, source.length() - 1);
    }
    Lexer lexer = new Lexer(source, origin);
    lexer.run();
    return lexer.tokens;
  }

  private void run() {
    while (position < source.length()) {
      int begin = nextDelimiter();
      if (begin < 0) {
        add(Token.Type.DATA, source.substring(position), position);
        position = source.length();
        break;
      }
      int rawBody = rawBody(begin);
      char kind = source.charAt(begin + 1);
      char sign = signAt(begin + 2);
      addData(position, begin, sign, kind == '{');
      if (rawBody >= 0) {
        lexRaw(begin, rawBody);
        continue;
      }
      position = begin + (sign == 0 ? 2 : 3);
      switch (kind) {
        case '#' -> skipComment(begin);
        case '%' -> lexTag(begin, Token.Type.BLOCK_BEGIN, Token.Type.BLOCK_END);
        default -> lexTag(begin, Token.Type.VARIABLE_BEGIN, Token.Type.VARIABLE_END);
      }
    }
    add(Token.Type.END, "", source.length());
  }

  private int nextDelimiter() {
    for (int i = source.indexOf('{', position); i >= 0 && i + 1 < source.length(); i = source.indexOf('{', i + 1)) {
      char next = source.charAt(i + 1);
      if (next == '{' || next == '%' || next == '#') {
        return i;
      }
    }
    return -1;
  }

  /** {@code +}, {@code -} or 0. */
  private char signAt(int index) {
    char c = index < source.length() ? source.charAt(index) : 0;
    return c == '-' || c == '+' ? c : 0;
  }

  /** Text before a delimiter, stripped as the delimiter's sign and {@code lstrip_blocks} ask. */
  private void addData(int from, int to, char sign, boolean variable) {
    String text = source.substring(from, to);
    if (sign == '-') {
      text = text.substring(0, Text.stripEnd(text, 0));
    } else if (sign == 0 && !variable) {
      int lineStart = text.lastIndexOf('\n') + 1;
      if ((lineStart > 0 || lineStarting) && Text.stripEnd(text, lineStart) == lineStart) {
        text = text.substring(0, lineStart);
      }
    }
    add(Token.Type.DATA, text, from);
  }

  private int skipSpace(int index) {
    int i = index;
    while (i < source.length() && Text.isSpace(source.charAt(i))) {
      i++;
    }
    return i;
  }

  /** Where the text behind <code>{% raw %}</code> begins, or -1 if no such tag is at the index. */
  private int rawBody(int begin) {
    if (source.charAt(begin + 1) != '%') {
      return -1;
    }
    int word = skipSpace(begin + (signAt(begin + 2) == 0 ? 2 : 3));
    if (!source.startsWith("raw", word)) {
      return -1;
    }
    int end = skipSpace(word + 3);
    if (source.startsWith("-%}", end)) {
      return skipSpace(end + 3);
    }
    return source.startsWith("%}", end) ? end + 2 : -1;
  }

  private void lexRaw(int begin, int body) {
    lineStarting = source.charAt(body - 1) == '\n';
    for (int i = source.indexOf("{%", body); i >= 0; i = source.indexOf("{%", i + 1)) {
      char sign = signAt(i + 2);
      int word = skipSpace(i + (sign == 0 ? 2 : 3));
      int end = source.startsWith("endraw", word) ? endOfTag(skipSpace(word + 6), "%}") : -1;
      if (end >= 0) {
        addData(body, i, sign, false);
        moveTo(end);
        return;
      }
    }
    throw origin.invalid(lineAt(begin), "missing end of raw block");
  }

  private void skipComment(int begin) {
    for (int i = position; i < source.length(); i++) {
      int end = endOfTag(i, "#}");
      if (end >= 0) {
        moveTo(end);
        return;
      }
    }
    throw origin.invalid(lineAt(begin), "missing end of comment");
  }

  /** The index behind a block or comment end with the white space that it swallows, or -1 if no such end is at the index. */
  private int endOfTag(int index, String end) {
    if (source.startsWith("-" + end, index)) {
      return skipSpace(index + 3);
    }
    if (source.startsWith("+" + end, index)) {
      return index + 3;
    }
    if (source.startsWith(end, index)) {
      return index + 2 < source.length() && source.charAt(index + 2) == '\n' ? index + 3 : index + 2;
    }
    return -1;
  }

  private int endOfVariable(int index) {
    if (source.startsWith("-}}", index)) {
      return skipSpace(index + 3);
    }
    return source.startsWith("}}", index) ? index + 2 : -1;
  }

  private void moveTo(int end) {
    position = end;
    lineStarting = source.charAt(end - 1) == '\n';
  }

  private void lexTag(int begin, Token.Type beginType, Token.Type endType) {
    add(beginType, "", begin);
    Deque<Character> open = new ArrayDeque<>();
    while (true) {
      position = skipSpace(position);
      if (position >= source.length()) {
        throw origin.invalid(lineAt(begin), "the tag is never closed");
      }
      // Inside brackets "}}" and "%}" are operators, so that a dict literal may end in "}}".
      int end = !open.isEmpty() ? -1 : endType == Token.Type.BLOCK_END ? endOfTag(position, "%}") : endOfVariable(position);
      if (end >= 0) {
        add(endType, "", position);
        moveTo(end);
        return;
      }
      lexExpressionToken(open);
    }
  }

  private void lexExpressionToken(Deque<Character> open) {
    int start = position;
    char c = source.charAt(start);
    if (c >= '0' && c <= '9') {
      lexNumber();
    } else if (c == '_' || Character.isUnicodeIdentifierStart(source.codePointAt(start))) {
      while (position < source.length() && isNamePart(source.codePointAt(position))) {
        position += Character.charCount(source.codePointAt(position));
      }
      add(Token.Type.NAME, source.substring(start, position), start);
    } else if (c == '"' || c == '\'') {
      lexString(c);
    } else {
      lexOperator(open);
    }
  }

  private static boolean isNamePart(int codePoint) {
    return codePoint == '_' || Character.isUnicodeIdentifierPart(codePoint) && !Character.isIdentifierIgnorable(codePoint);
  }

  private void lexString(char quote) {
    int start = position;
    int i = start + 1;
    while (i < source.length() && source.charAt(i) != quote) {
      i += source.charAt(i) == '\\' ? 2 : 1;
    }
    if (i >= source.length()) {
      throw origin.invalid(lineAt(start), "the string is never closed");
    }
    position = i + 1;
    String text;
    try {
      text = StringEscapes.decode(source.substring(start + 1, i));
    } catch (Failure e) {
      throw origin.invalid(lineAt(start), e.getMessage());
    }
    add(Token.Type.STRING, text, start);
  }

  private void lexOperator(Deque<Character> open) {
    int start = position;
    String operator = source.substring(start, start + 1);
    for (String candidate : LONG_OPERATORS) {
      if (source.startsWith(candidate, start)) {
        operator = candidate;
      }
    }
    if (operator.length() == 1 && SHORT_OPERATORS.indexOf(operator.charAt(0)) < 0) {
      throw origin.invalid(lineAt(start), "unexpected character '" + source.substring(start, source.offsetByCodePoints(start, 1)) + "'");
    }
    switch (operator) {
      case "(" -> open.push(')');
      case "[" -> open.push(']');
      case "{" -> open.push('}');
      case ")", "]", "}" -> {
        if (open.isEmpty() || open.pop() != operator.charAt(0)) {
          throw origin.invalid(lineAt(start), "unexpected '" + operator + "'");
        }
      }
      default -> { }
    }
    position += operator.length();
    add(Token.Type.OPERATOR, operator, start);
  }

  /** Digits with single underscores between them: the index behind them, or the index itself if there are none. */
  private int digits(int index, String allowed) {
    int i = index;
    while (i < source.length() && allowed.indexOf(Character.toLowerCase(source.charAt(i))) >= 0) {
      i++;
      if (i + 1 < source.length() && source.charAt(i) == '_' && allowed.indexOf(Character.toLowerCase(source.charAt(i + 1))) >= 0) {
        i++;
      }
    }
    return i;
  }

  private void lexNumber() {
    int start = position;
    // After a dot ("row.0.1") digits are always an integer index.
    int floatEnd = start > 0 && source.charAt(start - 1) == '.' ? -1 : floatEnd(start);
    if (floatEnd >= 0) {
      position = floatEnd;
      double value = Double.parseDouble(source.substring(start, floatEnd).replace("_", ""));
      if (Double.isInfinite(value)) {
        throw origin.invalid(lineAt(start), "the number " + source.substring(start, floatEnd) + " is too large");
      }
      tokens.add(new Token(Token.Type.FLOAT, "", value, lineAt(start)));
      return;
    }
    int radix = 10;
    int end = start;
    if (source.charAt(start) == '0') {
      char marker = start + 1 < source.length() ? Character.toLowerCase(source.charAt(start + 1)) : 0;
      String allowed = marker == 'x' ? "0123456789abcdef" : marker == 'o' ? "01234567" : marker == 'b' ? "01" : "";
      int body = start + 2 < source.length() && source.charAt(start + 2) == '_' ? start + 3 : start + 2;
      if (!allowed.isEmpty() && digits(body, allowed) > body) {
        radix = allowed.length();
        end = digits(body, allowed);
      } else {
        end = digits(start, "0");
      }
    } else {
      end = digits(start, "0123456789");
    }
    position = end;
    String text = source.substring(radix == 10 ? start : start + 2, end).replace("_", "");
    if (text.length() > Limits.INTEGER_BITS / 4) {
      throw origin.invalid(lineAt(start), "an integer of " + text.length() + " digits is too large");
    }
    tokens.add(new Token(Token.Type.INTEGER, source.substring(start, end), Numbers.normalize(new BigInteger(text, radix)), lineAt(start)));
  }

  /** The index behind a float literal: digits with a fraction, an exponent or both; or -1. */
  private int floatEnd(int start) {
    int whole = digits(start, "0123456789");
    int fraction = whole;
    if (whole < source.length() && source.charAt(whole) == '.' && digits(whole + 1, "0123456789") > whole + 1) {
      fraction = digits(whole + 1, "0123456789");
    }
    if (fraction < source.length() && Character.toLowerCase(source.charAt(fraction)) == 'e') {
      int exponent = signAt(fraction + 1) == 0 ? fraction + 1 : fraction + 2;
      if (digits(exponent, "0123456789") > exponent) {
        return digits(exponent, "0123456789");
      }
    }
    return fraction > whole ? fraction : -1;
  }

  private void add(Token.Type type, String text, int index) {
    if (type != Token.Type.DATA || !text.isEmpty()) {
      tokens.add(new Token(type, text, null, lineAt(index)));
    }
  }

  /** Line of an index from 1; asked in ascending order except for errors. */
  private int lineAt(int index) {
    if (index < lineCountedTo) {
      lineCountedTo = 0;
      line = 1;
    }
    for (; lineCountedTo < index; lineCountedTo++) {
      if (source.charAt(lineCountedTo) == '\n') {
        line++;
      }
    }
    return line;
  }
}
