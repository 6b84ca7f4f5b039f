package dev.lanes.quantize;

import dev.lanes.backend.Tensor;
import java.util.SplittableRandom;

/** What calibration saw of the activations that a group of linear layers reads. */
final class Activations {
  private final int columns;
  private final float[] peak;
  private final float[] rows;
  private final int capacity;
  private final SplittableRandom random = new SplittableRandom(1);
  private long seen;
  private int count;

  /** @param capacity how many rows are kept, drawn evenly from all */
  Activations(int columns, int capacity) {
    this.columns = columns;
    this.capacity = capacity;
    peak = new float[columns];
    rows = new float[Math.multiplyExact(columns, capacity)];
  }

  void add(Tensor x) {
    float[] values = x.toArray();
    for (int row = 0; row < x.rows(); row++) {
      int offset = row * columns;
      for (int c = 0; c < columns; c++) {
        peak[c] = Math.max(peak[c], Math.abs(values[offset + c]));
      }
      seen++;
      long place = count < capacity ? count++ : random.nextLong(seen);
      if (place < capacity) {
        System.arraycopy(values, offset, rows, (int) place * columns, columns);
      }
    }
  }

  int columns() {
    return columns;
  }

  /** [columns]: largest magnitude of each channel. */
  float[] peak() {
    return peak;
  }

  /** [count * columns]: the rows kept, in no order. */
  float[] rows() {
    return rows;
  }

  int count() {
    return count;
  }
}
