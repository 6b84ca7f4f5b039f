package dev.lanes.token;

/**
 * Decodes UTF-8 byte by byte. Malformed input becomes U+FFFD, one for each maximal part of a character (the Unicode Standard's practice,
 * section 3.9), as the reference tokenizer does it.
 */
final class Utf8Decoder {
  private static final char REPLACEMENT = '\uFFFD';

  /** Bits of the character so far, how many bytes it still needs, and what its next byte may be. */
  private int codePoint;
  private int missing;
  private int low = 0x80;
  private int high = 0xBF;

  /** Takes a byte; appends what is complete now. */
  void append(byte value, StringBuilder out) {
    int b = value & 0xFF;
    if (missing > 0) {
      if (b >= low && b <= high) {
        codePoint = codePoint << 6 | b & 0x3F;
        low = 0x80;
        high = 0xBF;
        missing--;
        if (missing == 0) {
          out.appendCodePoint(codePoint);
        }
        return;
      }
      finish(out);
    }
    begin(b, out);
  }

  private void begin(int b, StringBuilder out) {
    if (b < 0x80) {
      out.append((char) b);
    } else if (b >= 0xC2 && b <= 0xDF) {
      expect(b & 0x1F, 1, 0x80, 0xBF);
    } else if (b >= 0xE0 && b <= 0xEF) {
      expect(b & 0x0F, 2, b == 0xE0 ? 0xA0 : 0x80, b == 0xED ? 0x9F : 0xBF);
    } else if (b >= 0xF0 && b <= 0xF4) {
      expect(b & 0x07, 3, b == 0xF0 ? 0x90 : 0x80, b == 0xF4 ? 0x8F : 0xBF);
    } else {
      out.append(REPLACEMENT);
    }
  }

  private void expect(int bits, int count, int lowest, int highest) {
    codePoint = bits;
    missing = count;
    low = lowest;
    high = highest;
  }

  /** Ends the text: a character that is still incomplete becomes U+FFFD. */
  void finish(StringBuilder out) {
    if (missing > 0) {
      out.append(REPLACEMENT);
      missing = 0;
      low = 0x80;
      high = 0xBF;
    }
  }
}
