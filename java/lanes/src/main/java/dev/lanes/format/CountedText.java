package dev.lanes.format;

/** A text that counts the characters that are looked at: stops regular expressions that would backtrack for ever. */
public final class CountedText implements CharSequence {
  /** Thrown when too many characters were looked at. */
  public static final class Exhausted extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Exhausted() {
      super(null, null, false, false);
    }
  }

  private final String text;
  private final long limit;
  private long count;
  private int last;

  public CountedText(String text, long limit) {
    this.text = text;
    this.limit = limit;
  }

  /** Begins to count anew. */
  public void reset() {
    count = 0;
  }

  /** Which character was looked at when there had been too many. */
  public int last() {
    return last;
  }

  @Override
  public char charAt(int index) {
    if (++count > limit) {
      last = index;
      throw new Exhausted();
    }
    return text.charAt(index);
  }

  @Override
  public int length() {
    return text.length();
  }

  @Override
  public CharSequence subSequence(int start, int end) {
    return text.subSequence(start, end);
  }

  @Override
  public String toString() {
    return text;
  }
}
