package dev.lanes.token.template;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigDecimal;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Floats print as Python prints them: the fewest digits that read back as the same number. */
class FloatTextTest {
  private static final long SEED = Long.getLong("lanes.test.seed", 20240705L);

  @ParameterizedTest
  @CsvSource({"1e22,1e+22", "1e21,1e+21", "123456789012345680,1.2345678901234568e+17", "1e16,1e+16", "9999999999999998,9999999999999998.0",
      "0.0001,0.0001", "0.00001,1e-05", "2e-3,0.002", "2e23,2e+23", "4.35,4.35", "5.684341886080802e-14,5.684341886080802e-14",
      "4.9e-324,5e-324", "2.2250738585072014e-308,2.2250738585072014e-308", "-0.0,-0.0", "100,100.0", "8.41E21,8.41e+21"})
  void prints(double value, String expected) {
    assertThat(ChatTemplates.render("{{ v }}", Map.of("v", value))).isEqualTo(expected);
  }

  @Test
  void readsBackAndIsShortest() {
    Random random = new Random(SEED);
    for (int i = 0; i < 20_000; i++) {
      double value = i % 2 == 0 ? Double.longBitsToDouble(random.nextLong()) : random.nextInt(1 << 20) / 1000.0;
      if (Double.isNaN(value) || Double.isInfinite(value) || value == 0) {
        continue;
      }
      String text = Numbers.repr(value);
      assertThat(Double.parseDouble(text)).as("seed %d", SEED).isEqualTo(value);
      int digits = new BigDecimal(text).stripTrailingZeros().precision();
      BigDecimal exact = new BigDecimal(value);
      if (digits > 1) {
        BigDecimal shorter = exact.round(new java.math.MathContext(digits - 1, java.math.RoundingMode.HALF_EVEN));
        assertThat(shorter.doubleValue()).as("%s could be shorter, seed %d", text, SEED).isNotEqualTo(value);
      }
    }
  }
}
