package dev.lanes.quantize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.offset;

import dev.lanes.model.LinearGroup;
import dev.lanes.quantize.Rounding.Rounded;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Scales, smoothing and the two ways of rounding, on numbers made by hand or at random. */
class RoundingTest {
  private static final long SEED = 20_261_120;

  @Test
  void nearestByHand() {
    Rounded rounded = Rounding.nearest(new float[] {127, -63.5f, 0.5f, 1.5f, 0, 0, 0, 0, -254, 2, 1, 3}, 3, 4);
    assertThat(rounded.scales()).containsExactly(1, 1, 2);
    // Half to even; a row of zeros has some scale above 0.
    assertThat(rounded.values()).containsExactly(127, -64, 0, 2, 0, 0, 0, 0, -127, 1, 0, 2);
  }

  @Test
  void smoothingByHand() {
    LinearGroup.Source norm = new LinearGroup.Source("norm", true, new int[] {0, 1}, 2);
    // s = x^0.5 / w^0.5: 10 and 1 before they are brought to a geometric mean of 1.
    float[] scales = Smoothing.scales(norm, new float[] {100, 4}, new float[] {1, 4}, 0.5);
    assertThat(scales[0]).isCloseTo((float) Math.sqrt(10), offset(1e-5f));
    assertThat(scales[1]).isCloseTo((float) Math.sqrt(0.1), offset(1e-5f));
    assertThat(Smoothing.scales(norm, new float[] {100, 4}, new float[] {1, 4}, 1)[0] / 5).isCloseTo(1, offset(1e-5f));
    // Two channels on one row of the source share their largest peak; a channel that was never seen has a finite scale.
    LinearGroup.Source values = new LinearGroup.Source("v", false, new int[] {0, 1, 0, 1}, 2);
    float[] shared = Smoothing.scales(values, new float[] {1, 0, 9, 0}, new float[] {1, 1, 1, 1}, 1);
    assertThat(shared).hasSize(2).doesNotContain(0f, Float.POSITIVE_INFINITY, Float.NaN);
    assertThat(shared[0]).isGreaterThan(shared[1]);
    assertThat(Smoothing.byChannel(values, shared)).containsExactly(shared[0], shared[1], shared[0], shared[1]);
  }

  @Test
  void gptqIsNearestWhereActivationsDoNotCorrelate() {
    Random random = new Random(SEED);
    int columns = 17;
    float[] weights = gaussian(random, 5 * columns);
    float[] moments = new float[columns * columns];
    for (int c = 0; c < columns; c++) {
      moments[c * columns + c] = 1 + random.nextFloat();
    }
    assertThat(new Gptq(moments, columns).round(weights, 5).values()).isEqualTo(Rounding.nearest(weights, 5, columns).values());
  }

  @Test
  void gptqMakesSmallerErrorsWhereTheyCorrelate() {
    Random random = new Random(SEED);
    int columns = 24;
    int rows = 6;
    int samples = 200;
    float[] x = new float[samples * columns];
    for (int s = 0; s < samples; s++) {
      float common = (float) random.nextGaussian();
      for (int c = 0; c < columns; c++) {
        x[s * columns + c] = common + 0.1f * (float) random.nextGaussian();
      }
    }
    float[] moments = new float[columns * columns];
    for (int a = 0; a < columns; a++) {
      for (int b = 0; b < columns; b++) {
        for (int s = 0; s < samples; s++) {
          moments[a * columns + b] += x[s * columns + a] * x[s * columns + b];
        }
      }
    }
    float[] weights = gaussian(random, rows * columns);
    Rounded gptq = new Gptq(moments, columns).round(weights, rows);
    Rounded nearest = Rounding.nearest(weights, rows, columns);
    assertThat(gptq.scales()).isEqualTo(nearest.scales());
    assertThat(error(x, samples, weights, gptq, columns)).isLessThan(0.3 * error(x, samples, weights, nearest, columns));
  }

  /** Sum of the squared errors of the outputs. */
  private static double error(float[] x, int samples, float[] weights, Rounded rounded, int columns) {
    double sum = 0;
    for (int s = 0; s < samples; s++) {
      for (int row = 0; row < rounded.scales().length; row++) {
        double error = 0;
        for (int c = 0; c < columns; c++) {
          int i = row * columns + c;
          error += x[s * columns + c] * ((double) rounded.scales()[row] * rounded.values()[i] - weights[i]);
        }
        sum += error * error;
      }
    }
    return sum;
  }

  private static float[] gaussian(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }
}
