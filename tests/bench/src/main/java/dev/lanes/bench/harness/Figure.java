package dev.lanes.bench.harness;

import java.util.Arrays;

/** The median of some measurements, with the smallest and the largest. */
public record Figure(double median, double min, double max) {
  /**
   * @throws IllegalArgumentException if there is no value, or one that is not finite
   */
  public static Figure of(double... values) {
    if (values.length == 0) {
      throw new IllegalArgumentException("no measurement");
    }
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    for (double value : sorted) {
      if (!Double.isFinite(value)) {
        throw new IllegalArgumentException("measurement " + value + " is not finite");
      }
    }
    int middle = sorted.length / 2;
    double median = sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    return new Figure(median, sorted[0], sorted[sorted.length - 1]);
  }
}
