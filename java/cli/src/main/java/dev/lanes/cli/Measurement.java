package dev.lanes.cli;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Repeated timings of one piece of work, as a rate.
 *
 * @param name what was measured
 * @param unit unit of the rate, such as GFLOP/s
 * @param median median rate
 * @param min lowest rate
 * @param max highest rate
 */
record Measurement(String name, String unit, double median, double min, double max) {
  private static final int WARM_UP = 2;

  /**
   * Runs the work until {@code seconds} have passed, at least three times, after a warm-up.
   *
   * @param amount how much one run does, in units of 1e9 for GFLOP/s and GB/s
   */
  static Measurement of(String name, String unit, double amount, double seconds, Runnable work) {
    for (int i = 0; i < WARM_UP; i++) {
      work.run();
    }
    double[] rates = new double[16];
    int count = 0;
    long end = System.nanoTime() + (long) (seconds * 1e9);
    while (count < 3 || System.nanoTime() < end) {
      long start = System.nanoTime();
      work.run();
      double elapsed = (System.nanoTime() - start) * 1e-9;
      if (count == rates.length) {
        rates = Arrays.copyOf(rates, 2 * count);
      }
      rates[count++] = amount / elapsed;
    }
    return of(name, unit, Arrays.copyOf(rates, count));
  }

  static Measurement of(String name, String unit, double... rates) {
    double[] sorted = rates.clone();
    Arrays.sort(sorted);
    int n = sorted.length;
    double median = n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    return new Measurement(name, unit, median, sorted[0], sorted[n - 1]);
  }

  Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", name);
    json.put("unit", unit);
    json.put("ours", median);
    json.put("min", min);
    json.put("max", max);
    return json;
  }

  void print(Console console) {
    console.line("%-52s %10.1f %-9s (min %.1f, max %.1f)", name, median, unit, min, max);
  }
}
