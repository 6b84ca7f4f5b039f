package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigDecimal;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Against the definition: the nearest of all values of the format, of two equally near ones the one with an even last bit. */
class FloatFormatsTest {
  @Test
  void everyHalfSurvivesTheWayThroughFloat32() {
    for (int bits = 0; bits < 1 << 16; bits++) {
      float value = FloatFormats.fromF16((short) bits);
      if (value == value) {
        assertThat(FloatFormats.toF16(value)).as("bits %x", bits).isEqualTo((short) bits);
      } else {
        assertThat(FloatFormats.fromF16(FloatFormats.toF16(value))).isNaN();
      }
    }
  }

  @Test
  void everyBf16SurvivesTheWayThroughFloat32() {
    for (int bits = 0; bits < 1 << 16; bits++) {
      float value = FloatFormats.fromBf16((short) bits);
      if (value == value) {
        assertThat(FloatFormats.toBf16(value)).as("bits %x", bits).isEqualTo((short) bits);
      } else {
        assertThat(FloatFormats.fromBf16(FloatFormats.toBf16(value))).isNaN();
      }
    }
  }

  @Test
  void knownHalves() {
    assertThat(FloatFormats.fromF16((short) 0x3c00)).isEqualTo(1f);
    assertThat(FloatFormats.fromF16((short) 0xc000)).isEqualTo(-2f);
    assertThat(FloatFormats.fromF16((short) 0x7bff)).isEqualTo(65504f);
    assertThat(FloatFormats.fromF16((short) 0x0001)).isEqualTo(0x1p-24f);
    assertThat(FloatFormats.fromF16((short) 0x7c00)).isEqualTo(Float.POSITIVE_INFINITY);
    assertThat(FloatFormats.toF16(65519.996f)).isEqualTo((short) 0x7bff);
    assertThat(FloatFormats.toF16(65520f)).isEqualTo((short) 0x7c00);
    assertThat(FloatFormats.toF16(0x1p-25f)).isEqualTo((short) 0);
    assertThat(FloatFormats.toF16(Math.nextUp(0x1p-25f))).isEqualTo((short) 1);
    assertThat(FloatFormats.toF16(0x1.8p-24f)).isEqualTo((short) 2);
    assertThat(FloatFormats.toF16(-0f)).isEqualTo((short) 0x8000);
    assertThat(FloatFormats.toBf16(Float.MAX_VALUE)).isEqualTo((short) 0x7f80);
  }

  @Test
  void roundsToTheNearestHalfToEven() {
    Random random = new Random(TestInputs.SEED);
    for (int i = 0; i < 20_000; i++) {
      // Exponents around the halves' range, and often an exact tie.
      int exponent = 127 - 27 + random.nextInt(45);
      int fraction = random.nextBoolean() ? random.nextInt(1 << 23) : (random.nextInt(1 << 10) << 13) | 0x1000;
      float value = Float.intBitsToFloat(random.nextInt(2) << 31 | exponent << 23 | fraction);
      check(value, FloatFormats.toF16(value), false);
      check(value, FloatFormats.toBf16(value), true);
    }
  }

  private static void check(float value, short bits, boolean bf16) {
    BigDecimal error = error(value, bits, bf16);
    if (error == null) {
      assertThat(Math.abs(value)).as(TestInputs.context("rounds to infinity")).isGreaterThanOrEqualTo(65520f);
      return;
    }
    for (int step : new int[] {-1, 1}) {
      if ((bits & 0x7fff) + step < 0) {
        continue;
      }
      BigDecimal other = error(value, (short) (bits + step), bf16);
      if (other != null) {
        assertThat(error).as(TestInputs.context(value)).isLessThanOrEqualTo(other);
        if (error.compareTo(other) == 0) {
          assertThat(bits & 1).as(TestInputs.context("a tie, " + value)).isZero();
        }
      }
    }
  }

  /** The distance, or null if the bits are not a finite number. */
  private static BigDecimal error(float value, short bits, boolean bf16) {
    float back = bf16 ? FloatFormats.fromBf16(bits) : FloatFormats.fromF16(bits);
    return Float.isFinite(back) ? new BigDecimal(value).subtract(new BigDecimal(back)).abs() : null;
  }
}
