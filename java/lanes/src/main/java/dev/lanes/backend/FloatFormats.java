package dev.lanes.backend;

/** Conversions between float32 and the 16-bit formats bfloat16 and IEEE 754 binary16 (half). Narrowing rounds half to even. */
public final class FloatFormats {
  private FloatFormats() {}

  public static float fromBf16(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  public static short toBf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (value != value) {
      // Rounding could carry a NaN's payload into infinity; keep its upper part, quiet.
      return (short) ((bits >>> 16) | 0x40);
    }
    return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
  }

  /** Widens all of {@code bits} into {@code to[offset …]}. */
  public static void fromBf16(short[] bits, float[] to, int offset) {
    for (int i = 0; i < bits.length; i++) {
      to[offset + i] = fromBf16(bits[i]);
    }
  }

  /** Rounds {@code length} numbers of {@code from[offset …]}. */
  public static short[] toBf16(float[] from, int offset, int length) {
    short[] bits = new short[length];
    for (int i = 0; i < length; i++) {
      bits[i] = toBf16(from[offset + i]);
    }
    return bits;
  }

  public static float fromF16(short bits) {
    int sign = (bits & 0x8000) << 16;
    int exponent = (bits >>> 10) & 0x1f;
    int fraction = bits & 0x3ff;
    if (exponent == 0x1f) {
      return Float.intBitsToFloat(sign | 0x7f800000 | (fraction << 13));
    }
    if (exponent == 0) {
      // Zero or subnormal: fraction * 2^-24 is exact in float32.
      float magnitude = fraction * 0x1p-24f;
      return sign == 0 ? magnitude : -magnitude;
    }
    return Float.intBitsToFloat(sign | ((exponent + 112) << 23) | (fraction << 13));
  }

  public static short toF16(float value) {
    int bits = Float.floatToRawIntBits(value);
    int sign = (bits >>> 16) & 0x8000;
    int magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) {
      return (short) (sign | 0x7e00 | ((magnitude >>> 13) & 0x1ff));
    }
    if (magnitude >= 0x477ff000) {
      // 65520 and above round to infinity.
      return (short) (sign | 0x7c00);
    }
    if (magnitude >= 0x38800000) {
      int rebased = magnitude - (112 << 23);
      return (short) (sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13));
    }
    // Subnormal half: a multiple of 2^-24. Adding 0.5 puts that step at the last bit of a float32, which rounds half to even.
    int steps = Float.floatToRawIntBits(Float.intBitsToFloat(magnitude) + 0.5f) - 0x3f000000;
    return (short) (sign | steps);
  }

  /** {@code value} as it reads back after being stored as {@code dtype}, a type of floating-point numbers. */
  public static float round(float value, DType dtype) {
    return switch (dtype) {
      case F32 -> value;
      case BF16 -> fromBf16(toBf16(value));
      case F16 -> fromF16(toF16(value));
      case S8 -> throw new IllegalArgumentException("an int8 needs a scale");
    };
  }
}
