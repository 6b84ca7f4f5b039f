package dev.lanes.quantize;

import dev.lanes.backend.Quantizer;
import java.util.stream.IntStream;

/** How the weights of a matrix become int8, a scale for each row. */
public enum Rounding {
  /** Each weight by itself, half to even. */
  NEAREST,
  /**
   * Column by column, later columns making up for the errors of earlier ones as the calibration activations weigh them (Frantar et al.
   * 2022). Closer on text like that of the calibration; takes time that grows with the cube of the width.
   */
  GPTQ;

  /**
   * An int8 matrix.
   *
   * @param values [rows * columns]
   * @param scales [rows], above 0
   */
  record Rounded(byte[] values, float[] scales) {}

  /** @param weights [rows * columns] */
  static Rounded nearest(float[] weights, int rows, int columns) {
    byte[] values = new byte[weights.length];
    float[] scales = scales(weights, rows, columns);
    IntStream.range(0, rows).parallel().forEach(row -> {
      for (int i = row * columns; i < (row + 1) * columns; i++) {
        values[i] = Quantizer.element(weights[i], scales[row], -Quantizer.LEVELS);
      }
    });
    return new Rounded(values, scales);
  }

  /** [rows]: those of a row of its own; 1 for a row of zeros, since checkpoints want scales above 0. */
  static float[] scales(float[] weights, int rows, int columns) {
    float[] scales = new float[rows];
    for (int row = 0; row < rows; row++) {
      float scale = Quantizer.scale(weights, row * columns, columns);
      scales[row] = scale == 0 ? 1 : scale;
    }
    return scales;
  }
}
