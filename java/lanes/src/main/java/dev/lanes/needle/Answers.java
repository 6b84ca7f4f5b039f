package dev.lanes.needle;

/** Whether an output is the answer. */
final class Answers {
  private Answers() {}

  /** A completion must begin with the answer: {@code 4821.} but neither {@code 48213} nor {@code 48 21}. */
  static boolean begins(String output, String expected) {
    String text = output.strip();
    return text.startsWith(expected) && endsAt(text, expected.length());
  }

  /** An answer in words must hold it somewhere: {@code It is 4821.} */
  static boolean holds(String output, String expected) {
    for (int at = output.indexOf(expected); at >= 0; at = output.indexOf(expected, at + 1)) {
      if ((at == 0 || !Character.isDigit(output.charAt(at - 1))) && endsAt(output, at + expected.length())) {
        return true;
      }
    }
    return false;
  }

  private static boolean endsAt(String text, int end) {
    return end == text.length() || !Character.isDigit(text.charAt(end));
  }
}
