package dev.lanes.backend;

import java.util.Arrays;

/**
 * Symmetric quantization of rows of float32 numbers to int8, as the kernels do it. With a scale of its own a row has the levels
 * -127 … 127 and the scale {@code max|x| / 127}; a given scale uses -128 as well. Quotients are rounded half to even. A row of zeros
 * has the scale 0; one that holds NaN (or infinity, where the scale is its own) has the scale NaN and elements 0.
 */
public final class Quantizer {
  /** The largest level. */
  public static final int LEVELS = 127;

  private Quantizer() {}

  /**
   * The scale of a row of its own.
   *
   * @param x the row at {@code x[offset …]}, {@code length} elements
   */
  public static float scale(float[] x, int offset, int length) {
    float largest = 0;
    for (int i = offset; i < offset + length; i++) {
      float magnitude = Math.abs(x[i]);
      if (!(magnitude < Float.POSITIVE_INFINITY)) {
        return Float.NaN;
      }
      largest = Math.max(largest, magnitude);
    }
    return largest / LEVELS;
  }

  /** Quantizes a row with a scale of its own, which it returns. */
  public static float row(float[] x, int offset, int length, byte[] q, int qOffset) {
    float scale = scale(x, offset, length);
    for (int i = 0; i < length; i++) {
      q[qOffset + i] = element(x[offset + i], scale, -LEVELS);
    }
    return scale;
  }

  /** Quantizes a row with a given scale and returns the scale to be stored. */
  public static float row(float[] x, int offset, int length, float scale, byte[] q, int qOffset) {
    boolean number = true;
    for (int i = 0; i < length; i++) {
      number &= x[offset + i] == x[offset + i];
      q[qOffset + i] = element(x[offset + i], scale, -LEVELS - 1);
    }
    if (!number) {
      Arrays.fill(q, qOffset, qOffset + length, (byte) 0);
    }
    return number ? scale : Float.NaN;
  }

  /** One element; 0 where the scale is 0 or NaN. */
  public static byte element(float x, float scale, int lowest) {
    if (!(scale > 0)) {
      return 0;
    }
    return (byte) Math.max(lowest, Math.min(LEVELS, Math.rint(x / scale)));
  }
}
