package dev.lanes.quantize;

import dev.lanes.model.LinearGroup;
import java.util.Arrays;

/**
 * SmoothQuant (Xiao et al. 2023): a channel of the activations is divided by {@code s = max|x|^alpha / max|w|^(1 - alpha)}, its column of
 * the weights multiplied by it, so that outliers of the activations become a matter of the weights, which have a scale for each row.
 */
final class Smoothing {
  /** Channels that are never seen count as this share of the largest, so that no scale is zero or absurd. */
  private static final float FLOOR = 1e-5f;

  private Smoothing() {}

  /**
   * [elements of the source]: the scales, with a geometric mean of 1.
   *
   * @param activationPeak [columns]
   * @param weightPeak [columns]
   */
  static float[] scales(LinearGroup.Source source, float[] activationPeak, float[] weightPeak, double alpha) {
    float[] x = bySource(source, activationPeak);
    float[] w = bySource(source, weightPeak);
    double[] logs = new double[x.length];
    double mean = 0;
    for (int i = 0; i < logs.length; i++) {
      logs[i] = alpha * Math.log(x[i]) - (1 - alpha) * Math.log(w[i]);
      mean += logs[i] / logs.length;
    }
    float[] scales = new float[logs.length];
    for (int i = 0; i < scales.length; i++) {
      scales[i] = (float) Math.exp(logs[i] - mean);
    }
    return scales;
  }

  /** [columns]: the scale of each channel. */
  static float[] byChannel(LinearGroup.Source source, float[] scales) {
    float[] channels = new float[source.element().length];
    for (int c = 0; c < channels.length; c++) {
      channels[c] = scales[source.element()[c]];
    }
    return channels;
  }

  static float[] none(LinearGroup.Source source) {
    float[] ones = new float[source.elements()];
    Arrays.fill(ones, 1);
    return ones;
  }

  /** Channels of one element of the source share the largest of their peaks. */
  private static float[] bySource(LinearGroup.Source source, float[] peak) {
    float[] shared = new float[source.elements()];
    float largest = Float.MIN_NORMAL;
    for (int c = 0; c < peak.length; c++) {
      int element = source.element()[c];
      shared[element] = Math.max(shared[element], peak[c]);
      largest = Math.max(largest, peak[c]);
    }
    for (int i = 0; i < shared.length; i++) {
      shared[i] = Math.max(shared[i], largest * FLOOR);
    }
    return shared;
  }
}
