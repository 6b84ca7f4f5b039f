package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;

import org.assertj.core.api.Assertions;

/** Comparisons of arrays that say where they differ most. */
final class Numbers {
  private Numbers() {}

  /** Every element within {@code tolerance}; NaN is close to nothing. */
  static void assertClose(String what, float[] actual, float[] expected, double tolerance) {
    assertThat(actual).as("%s: length", what).hasSameSizeAs(expected);
    int worst = -1;
    double most = tolerance;
    for (int i = 0; i < actual.length; i++) {
      double difference = Math.abs((double) actual[i] - expected[i]);
      if (!(difference <= most)) {
        worst = i;
        most = Double.isNaN(difference) ? Double.MAX_VALUE : difference;
      }
    }
    if (worst >= 0) {
      Assertions.fail("%s: element %d is %s, expected %s within %s", what, worst, actual[worst], expected[worst], tolerance);
    }
  }

  /** The same bits everywhere, and no NaN. */
  static void assertSameBits(String what, float[] actual, float[] expected) {
    assertThat(actual).as("%s: length", what).hasSameSizeAs(expected);
    for (int i = 0; i < actual.length; i++) {
      if (Float.floatToRawIntBits(actual[i]) != Float.floatToRawIntBits(expected[i]) || Float.isNaN(actual[i])) {
        Assertions.fail("%s: element %d is %s, expected the bits of %s", what, i, actual[i], expected[i]);
      }
    }
  }
}
