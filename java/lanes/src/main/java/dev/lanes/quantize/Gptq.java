package dev.lanes.quantize;

import dev.lanes.backend.Quantizer;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * Rounding that minimizes the error of a linear layer's outputs over given activations (GPTQ, Frantar et al. 2022). Columns are rounded in
 * the order of their energy; what rounding a column changes in the outputs is taken from the columns still to come, as far as they
 * correlate. Rows do not depend on each other.
 */
final class Gptq {
  /** Added to the diagonal, as a share of its mean: activations that calibration did not see. */
  private static final double DAMPING = 0.01;

  private final int columns;
  /** Columns in the order of rounding. */
  private final int[] order;
  /** Upper triangle U with U^T U the inverse of the activations' second moments, in that order. */
  private final double[][] upper;

  /** @param moments [columns * columns]: X^T X of the activations as the quantized layer reads them */
  Gptq(float[] moments, int columns) {
    this.columns = columns;
    order = IntStream.range(0, columns).boxed()
        .sorted(Comparator.comparingDouble((Integer c) -> -moments[c * columns + c])).mapToInt(c -> c).toArray();
    double mean = 0;
    for (int c = 0; c < columns; c++) {
      mean += (double) moments[c * columns + c] / columns;
    }
    double damping = mean > 0 ? DAMPING * mean : 1;
    // H = R R^T with R upper is the Cholesky factorization read backwards, and then U = R^-1.
    double[][] r = new double[columns][columns];
    for (int i = 0; i < columns; i++) {
      for (int j = 0; j < columns; j++) {
        r[i][j] = moments[order[columns - 1 - i] * columns + order[columns - 1 - j]] + (i == j ? damping : 0);
      }
    }
    factorize(r);
    double[][] inverse = invert(r);
    upper = new double[columns][columns];
    for (int i = 0; i < columns; i++) {
      for (int j = i; j < columns; j++) {
        upper[i][j] = inverse[columns - 1 - i][columns - 1 - j];
      }
    }
  }

  /** Cholesky factorization of a symmetric matrix in place: its lower triangle becomes L with L L^T. */
  private static void factorize(double[][] a) {
    int n = a.length;
    double[] column = new double[n];
    for (int k = 0; k < n; k++) {
      double pivot = Math.sqrt(Math.max(a[k][k], Double.MIN_NORMAL));
      a[k][k] = pivot;
      for (int i = k + 1; i < n; i++) {
        a[i][k] /= pivot;
        column[i] = a[i][k];
      }
      int begin = k + 1;
      IntStream rows = IntStream.range(begin, n);
      (n - begin > 256 ? rows.parallel() : rows).forEach(i -> {
        double factor = column[i];
        double[] row = a[i];
        for (int j = begin; j <= i; j++) {
          row[j] -= factor * column[j];
        }
      });
    }
  }

  /** Inverse of a lower triangle. */
  private static double[][] invert(double[][] lower) {
    int n = lower.length;
    double[][] inverse = new double[n][n];
    for (int i = 0; i < n; i++) {
      double[] row = inverse[i];
      for (int k = 0; k < i; k++) {
        double factor = lower[i][k];
        double[] earlier = inverse[k];
        for (int j = 0; j <= k; j++) {
          row[j] -= factor * earlier[j];
        }
      }
      for (int j = 0; j < i; j++) {
        row[j] /= lower[i][i];
      }
      row[i] = 1 / lower[i][i];
    }
    return inverse;
  }

  /** @param weights [rows * columns] */
  Rounding.Rounded round(float[] weights, int rows) {
    byte[] values = new byte[weights.length];
    float[] scales = Rounding.scales(weights, rows, columns);
    IntStream.range(0, rows).parallel().forEach(row -> round(weights, row * columns, scales[row], values));
    return new Rounding.Rounded(values, scales);
  }

  private void round(float[] weights, int offset, float scale, byte[] values) {
    double[] left = new double[columns];
    for (int i = 0; i < columns; i++) {
      left[i] = weights[offset + order[i]];
    }
    for (int i = 0; i < columns; i++) {
      byte value = Quantizer.element((float) left[i], scale, -Quantizer.LEVELS);
      values[offset + order[i]] = value;
      double[] row = upper[i];
      double error = (left[i] - (double) scale * value) / row[i];
      for (int j = i + 1; j < columns; j++) {
        left[j] -= error * row[j];
      }
    }
  }
}
