package dev.lanes.token.template;

import java.util.Locale;

/** Upper, lower and title case as Python has them: full case mappings of Unicode, no locale. */
final class Casing {
  private static final int CAPITAL_SIGMA = 0x3a3;

  private Casing() {}

  static String upper(String s) {
    return s.toUpperCase(Locale.ROOT);
  }

  static String lower(String s) {
    return s.toLowerCase(Locale.ROOT);
  }

  static String capitalize(String s) {
    if (s.isEmpty()) {
      return s;
    }
    int first = s.codePointAt(0);
    String lowerFirst = lower(Character.toString(first));
    return title(first) + lower(s).substring(lowerFirst.length());
  }

  /** Title case of one character. */
  private static String title(int c) {
    int simple = Character.toTitleCase(c);
    String full = upper(Character.toString(c));
    if (simple != c || Character.isTitleCase(c) || full.codePointCount(0, full.length()) == 1) {
      return Character.toString(simple);
    }
    // A ligature such as U+FB01 has no title case of its own: all of it up to its first cased letter is upper case, the rest lower.
    int end = 0;
    while (end < full.length() && !Text.isCased(full.codePointAt(end))) {
      end += Character.charCount(full.codePointAt(end));
    }
    end = Math.min(full.length(), end + 1);
    String rest = lower(full.substring(end));
    // Extended Greek letters keep the iota below them, which is a letter beside them only in upper case.
    return full.substring(0, end) + (c >= 0x1f80 && c < 0x2000 ? rest.replace('\u03b9', '\u0345') : rest);
  }

  static String titleWords(String s) {
    StringBuilder out = new StringBuilder(s.length());
    boolean inWord = false;
    for (int i = 0; i < s.length(); ) {
      int c = s.codePointAt(i);
      if (inWord) {
        out.append(lowerAt(s, i, c));
      } else {
        out.append(title(c));
      }
      inWord = Text.isCased(c);
      i += Character.charCount(c);
    }
    return out.toString();
  }

  static String swap(String s) {
    StringBuilder out = new StringBuilder(s.length());
    for (int i = 0; i < s.length(); ) {
      int c = s.codePointAt(i);
      if (Character.isUpperCase(c)) {
        out.append(lowerAt(s, i, c));
      } else {
        out.append(Character.isLowerCase(c) ? upper(Character.toString(c)) : Character.toString(c));
      }
      i += Character.charCount(c);
    }
    return out.toString();
  }

  /** Lower case of the character at an index; a capital sigma depends on its neighbours. */
  private static String lowerAt(String s, int index, int c) {
    if (c != CAPITAL_SIGMA) {
      return lower(Character.toString(c));
    }
    boolean letterBefore = index > 0 && Text.isCased(s.codePointBefore(index));
    boolean letterAfter = index + 1 < s.length() && Text.isCased(s.codePointAt(index + 1));
    return letterBefore && !letterAfter ? "\u03c2" : "\u03c3";
  }

  static boolean isLower(String s) {
    return s.codePoints().anyMatch(Character::isLowerCase)
        && s.codePoints().noneMatch(c -> Character.isUpperCase(c) || Character.isTitleCase(c));
  }

  static boolean isUpper(String s) {
    return s.codePoints().anyMatch(Character::isUpperCase)
        && s.codePoints().noneMatch(c -> Character.isLowerCase(c) || Character.isTitleCase(c));
  }

  static boolean isTitle(String s) {
    boolean inWord = false;
    boolean any = false;
    for (int i = 0; i < s.length(); ) {
      int c = s.codePointAt(i);
      boolean starts = Character.isUpperCase(c) || Character.isTitleCase(c);
      if (starts ? inWord : Character.isLowerCase(c) && !inWord) {
        return false;
      }
      inWord = Text.isCased(c);
      any |= inWord;
      i += Character.charCount(c);
    }
    return any;
  }
}
