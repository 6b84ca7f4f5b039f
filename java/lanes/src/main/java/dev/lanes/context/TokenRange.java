package dev.lanes.context;

/**
 * Tokens [begin, end) of a sequence, counted from its first token.
 *
 * @param begin first token of the range
 * @param end one past its last token
 */
public record TokenRange(long begin, long end) {
  public TokenRange {
    if (begin < 0 || end <= begin) {
      throw new IllegalArgumentException("token range is [" + begin + ", " + end + "), expected 0 <= begin < end");
    }
  }

  /** Number of tokens. */
  public long length() {
    return end - begin;
  }
}
