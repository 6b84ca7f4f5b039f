package dev.lanes.token.template;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Strings as sequences of code points with the character classes of Python. */
final class Text {
  /** Code points that are digits though not decimal: first and last of each run. */
  private static final int[] DIGIT_RUNS = {
    0xb2, 0xb3, 0xb9, 0xb9, 0x1369, 0x1371, 0x19da, 0x19da, 0x2070, 0x2070, 0x2074, 0x2079, 0x2080, 0x2089, 0x2460, 0x2468, 0x2474,
    0x247c, 0x2488, 0x2490, 0x24ea, 0x24ea, 0x24f5, 0x24fd, 0x24ff, 0x24ff, 0x2776, 0x277e, 0x2780, 0x2788, 0x278a, 0x2792, 0x10a40,
    0x10a43, 0x10e60, 0x10e68, 0x11052, 0x1105a, 0x1f100, 0x1f10a
  };
  /** Ideographs that stand for numbers. */
  private static final String NUMERIC_IDEOGRAPHS =
      "\u3405\u3483\u382a\u3b4d一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零"
          + "\uf96b\uf973\uf978\uf9b2\uf9d1\uf9d3\uf9fd\ud840\udc01\ud840\udc64\ud840\udce2\ud840\udd21\ud842\udd2a\ud842\udd83\ud842\udd8c"
          + "\ud842\udd9c\ud842\udeea\ud842\udefd\ud842\udf19\ud848\udf90\ud84a\udd98\ud84e\udf1b\ud858\ude6d\ud87e\udc90";
  /** Below this length of what is searched for, the plain search of the JDK is as good as any. */
  private static final int SHORT_NEEDLE = 64;

  private Text() {}

  static boolean isSpace(int c) {
    return c >= 9 && c <= 13 || c >= 0x1c && c <= 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 || c >= 0x2000 && c <= 0x200a
        || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
  }

  static boolean isLineBreak(int c) {
    return c >= 10 && c <= 13 || c >= 0x1c && c <= 0x1e || c == 0x85 || c == 0x2028 || c == 0x2029;
  }

  static boolean isDecimal(int c) {
    return Character.getType(c) == Character.DECIMAL_DIGIT_NUMBER;
  }

  static boolean isDigit(int c) {
    for (int i = 0; i < DIGIT_RUNS.length; i += 2) {
      if (c >= DIGIT_RUNS[i] && c <= DIGIT_RUNS[i + 1]) {
        return true;
      }
    }
    return isDecimal(c);
  }

  static boolean isNumeric(int c) {
    int type = Character.getType(c);
    return type == Character.DECIMAL_DIGIT_NUMBER || type == Character.LETTER_NUMBER || type == Character.OTHER_NUMBER
        || NUMERIC_IDEOGRAPHS.indexOf(c) >= 0;
  }

  static boolean isAlphanumeric(int c) {
    return Character.isLetter(c) || isNumeric(c);
  }

  static boolean isPrintable(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL, Character.FORMAT, Character.SURROGATE, Character.PRIVATE_USE, Character.UNASSIGNED,
          Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR -> false;
      case Character.SPACE_SEPARATOR -> c == ' ';
      default -> true;
    };
  }

  static boolean isCased(int c) {
    return Character.isLowerCase(c) || Character.isUpperCase(c) || Character.isTitleCase(c);
  }

  /** Length in code points. */
  static int length(String s) {
    return s.codePointCount(0, s.length());
  }

  /** UTF-16 offset of a code point index that lies in [0, length]. */
  static int offset(String s, int length, int index) {
    return length == s.length() ? index : s.offsetByCodePoints(0, index);
  }

  /** Index behind the last character at or above {@code from} that is not white space, or {@code from}. */
  static int stripEnd(String s, int from) {
    int end = s.length();
    while (end > from && isSpace(s.charAt(end - 1))) {
      end--;
    }
    return end;
  }

  /** Python's strip: white space, or any of the given characters, from either end. */
  static String strip(String s, String characters, boolean left, boolean right) {
    int start = 0;
    int end = s.length();
    while (left && start < end) {
      int c = s.codePointAt(start);
      if (!stripped(c, characters)) {
        break;
      }
      start += Character.charCount(c);
    }
    while (right && start < end) {
      int c = s.codePointBefore(end);
      if (!stripped(c, characters)) {
        break;
      }
      end -= Character.charCount(c);
    }
    return s.substring(start, end);
  }

  private static boolean stripped(int c, String characters) {
    return characters == null ? isSpace(c) : characters.indexOf(c) >= 0;
  }

  /** First occurrence at or behind {@code from}, or -1; linear in the text however the two strings are chosen. */
  static int indexOf(String text, String needle, int from) {
    if (needle.length() <= SHORT_NEEDLE || text.length() - from < needle.length()) {
      return text.indexOf(needle, from);
    }
    // Knuth, Morris, Pratt: a template could otherwise make the search take time proportional to the product of the lengths.
    int[] fallback = new int[needle.length() + 1];
    fallback[0] = -1;
    for (int i = 0, matched = -1; i < needle.length(); fallback[++i] = ++matched) {
      while (matched >= 0 && needle.charAt(i) != needle.charAt(matched)) {
        matched = fallback[matched];
      }
    }
    int matched = 0;
    for (int i = from; i < text.length(); i++) {
      while (matched >= 0 && text.charAt(i) != needle.charAt(matched)) {
        matched = fallback[matched];
      }
      if (++matched == needle.length()) {
        return i + 1 - matched;
      }
    }
    return -1;
  }

  /** Last occurrence that ends at or before {@code to}, or -1. */
  static int lastIndexOf(String text, String needle, int to) {
    if (needle.length() <= SHORT_NEEDLE) {
      return text.lastIndexOf(needle, to - needle.length());
    }
    String reversedText = new StringBuilder(text.substring(0, to)).reverse().toString();
    int index = indexOf(reversedText, new StringBuilder(needle).reverse().toString(), 0);
    return index < 0 ? -1 : to - index - needle.length();
  }

  static List<String> splitLines(String s, boolean keepEnds) {
    List<String> lines = new ArrayList<>();
    int start = 0;
    int i = 0;
    while (i < s.length()) {
      char c = s.charAt(i++);
      if (!isLineBreak(c)) {
        continue;
      }
      int end = i - 1;
      if (c == '\r' && i < s.length() && s.charAt(i) == '\n') {
        i++;
      }
      lines.add(s.substring(start, keepEnds ? i : end));
      start = i;
    }
    if (start < s.length()) {
      lines.add(s.substring(start));
    }
    return lines;
  }

  /** Splits at runs of white space, at most {@code maxSplit} times unless negative; the unsplit rest keeps its white space. */
  static List<String> splitSpace(String s, long maxSplit) {
    List<String> parts = new ArrayList<>();
    int i = 0;
    while (true) {
      while (i < s.length() && isSpace(s.charAt(i))) {
        i++;
      }
      if (i == s.length()) {
        return parts;
      }
      if (maxSplit >= 0 && parts.size() >= maxSplit) {
        parts.add(s.substring(i));
        return parts;
      }
      int start = i;
      while (i < s.length() && !isSpace(s.charAt(i))) {
        i++;
      }
      parts.add(s.substring(start, i));
    }
  }

  /** {@link #splitSpace} from the right. */
  static List<String> splitSpaceFromRight(String s, long maxSplit) {
    List<String> parts = new ArrayList<>();
    int i = s.length();
    while (true) {
      while (i > 0 && isSpace(s.charAt(i - 1))) {
        i--;
      }
      if (i == 0) {
        break;
      }
      if (maxSplit >= 0 && parts.size() >= maxSplit) {
        parts.add(s.substring(0, i));
        break;
      }
      int end = i;
      while (i > 0 && !isSpace(s.charAt(i - 1))) {
        i--;
      }
      parts.add(s.substring(i, end));
    }
    Collections.reverse(parts);
    return parts;
  }

  static List<String> split(String s, String separator, long maxSplit) {
    List<String> parts = new ArrayList<>();
    int start = 0;
    while (maxSplit < 0 || parts.size() < maxSplit) {
      int at = indexOf(s, separator, start);
      if (at < 0) {
        break;
      }
      parts.add(s.substring(start, at));
      start = at + separator.length();
    }
    parts.add(s.substring(start));
    return parts;
  }

  /** {@link #split} from the right. */
  static List<String> splitFromRight(String s, String separator, long maxSplit) {
    List<String> parts = new ArrayList<>();
    int end = s.length();
    while (maxSplit < 0 || parts.size() < maxSplit) {
      int at = end < separator.length() ? -1 : lastIndexOf(s, separator, end);
      if (at < 0) {
        break;
      }
      parts.add(s.substring(at + separator.length(), end));
      end = at;
    }
    parts.add(s.substring(0, end));
    Collections.reverse(parts);
    return parts;
  }
}
