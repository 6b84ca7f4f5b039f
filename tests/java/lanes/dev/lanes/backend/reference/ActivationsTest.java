package dev.lanes.backend.reference;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.backend.Activation;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

class ActivationsTest {
  /** Values of the distribution function from tables with 15 digits (Abramowitz and Stegun, table 26.1). */
  @Test
  void normalDistribution() {
    close(0, 0.5);
    close(1, 0.841344746068543);
    close(-1, 0.158655253931457);
    close(2, 0.977249868051821);
    close(3, 0.998650101968370);
    close(-3, 0.001349898031630);
    close(4, 0.999968328758167);
    assertThat(Activations.normalDistribution(-10) / 7.61985302416053e-24).isCloseTo(1, Offset.offset(1e-11));
    // Where the series hands over to the continued fraction.
    double step = Activations.normalDistribution(Math.nextDown(-4.0)) / Activations.normalDistribution(-4.0 + 1e-12);
    assertThat(step).isCloseTo(1, Offset.offset(1e-10));
    assertThat(Activations.normalDistribution(-50)).isZero();
    assertThat(Activations.normalDistribution(50)).isEqualTo(1);
    assertThat(Activations.normalDistribution(Double.NaN)).isNaN();
  }

  private static void close(double x, double expected) {
    assertThat(Activations.normalDistribution(x)).as("Phi(%s)", x).isCloseTo(expected, Offset.offset(2e-15));
  }

  @Test
  void others() {
    assertThat(Activations.apply(Activation.SILU, 1)).isCloseTo(0.731058578630005, Offset.offset(1e-14));
    assertThat(Activations.apply(Activation.GELU, 1)).isCloseTo(0.841344746068543, Offset.offset(1e-14));
    assertThat(Activations.apply(Activation.GELU_TANH, 1)).isCloseTo(0.841191990608276, Offset.offset(1e-12));
    assertThat(Activations.apply(Activation.RELU, -2)).isZero();
    assertThat(Activations.apply(Activation.RELU, 2)).isEqualTo(2);
    assertThat(Activations.apply(Activation.TANH, 0.5)).isEqualTo(Math.tanh(0.5));
    assertThat(Activations.apply(Activation.NONE, -3)).isEqualTo(-3);
  }
}
