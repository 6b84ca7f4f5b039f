package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.lanes.backend.DType;
import dev.lanes.format.ModelConfig.Rope;
import dev.lanes.format.ModelConfig.RopeType;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;

class RopeFrequenciesTest {
  @Test
  void theFormulaOfThePaper() {
    double[] frequencies = RopeFrequencies.of(new Rope(RopeType.DEFAULT, 10_000, 64, 1, 1, 1, 2048), DType.F32);
    assertThat(frequencies).hasSize(32);
    assertThat(frequencies[0]).isEqualTo(1);
    for (int i = 0; i < 32; i++) {
      assertThat(frequencies[i]).isCloseTo(Math.pow(10_000, -2.0 * i / 64), Percentage.withPercentage(2e-5));
      assertThat(frequencies[i]).as("is a float32").isEqualTo((float) frequencies[i]);
    }
  }

  @Test
  void onlyTheRotatedPart() {
    assertThat(RopeFrequencies.of(new Rope(RopeType.DEFAULT, 10_000, 16, 1, 1, 1, 2048), DType.F32)).hasSize(8);
  }

  @Test
  void linearDividesAll() {
    double[] plain = RopeFrequencies.of(new Rope(RopeType.DEFAULT, 5e5, 128, 1, 1, 1, 8192), DType.F32);
    double[] scaled = RopeFrequencies.of(new Rope(RopeType.LINEAR, 5e5, 128, 4, 1, 1, 8192), DType.F32);
    for (int i = 0; i < plain.length; i++) {
      assertThat(scaled[i]).isEqualTo(plain[i] / 4);
    }
  }

  /** Llama 3.1: factor 8, 8192 positions; the blend in float64, written as in the model's report. */
  @Test
  void llama3BlendsBetweenTheTwoWavelengths() {
    double[] plain = RopeFrequencies.of(new Rope(RopeType.DEFAULT, 5e5, 128, 1, 1, 1, 8192), DType.F32);
    double[] scaled = RopeFrequencies.of(new Rope(RopeType.LLAMA3, 5e5, 128, 8, 1, 4, 8192), DType.F32);
    int kept = 0;
    int divided = 0;
    for (int i = 0; i < plain.length; i++) {
      double periods = 8192 * plain[i] / (2 * Math.PI);
      double share = Math.min(1, Math.max(0, (periods - 1) / (4 - 1)));
      assertThat(scaled[i]).as("frequency %d", i).isCloseTo(plain[i] * (share + (1 - share) / 8), within(plain[i] * 1e-5));
      kept += share == 1 ? 1 : 0;
      divided += share == 0 ? 1 : 0;
    }
    assertThat(kept).isBetween(10, 60);
    assertThat(divided).isBetween(10, 60);
    assertThat(kept + divided).as("some lie between").isLessThan(plain.length);
  }

  @Test
  void roundedOnRequest() {
    Rope rope = new Rope(RopeType.DEFAULT, 10_000, 64, 1, 1, 1, 2048);
    double[] exact = RopeFrequencies.of(rope, DType.F32);
    double[] rounded = RopeFrequencies.of(rope, DType.BF16);
    for (int i = 0; i < exact.length; i++) {
      assertThat(Float.floatToRawIntBits((float) rounded[i]) & 0xffff).isZero();
      assertThat(rounded[i]).isCloseTo(exact[i], Percentage.withPercentage(0.4));
    }
    assertThat(rounded).isNotEqualTo(exact);
  }
}
