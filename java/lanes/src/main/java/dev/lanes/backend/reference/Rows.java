package dev.lanes.backend.reference;

import dev.lanes.backend.NormKind;
import dev.lanes.backend.Op;
import dev.lanes.backend.QuantizedTensor;
import dev.lanes.backend.RopePairing;

/** Ops that work row by row. Arguments have been checked. */
final class Rows {
  private Rows() {}

  static void embed(Op.Embed op) {
    ReferenceWeight weight = (ReferenceWeight) op.weight();
    ReferenceTensor y = (ReferenceTensor) op.y();
    Object[] rows = weight.data();
    float[] out = y.data();
    float[] scratch = new float[weight.columns()];
    for (int t = 0; t < op.ids().length; t++) {
      float[] row = weight.row(rows, op.ids()[t], scratch);
      int at = y.row(t);
      for (int i = 0; i < y.columns(); i++) {
        out[at + i] = op.accumulate() ? out[at + i] + row[i] : row[i];
      }
    }
  }

  static void linear(Op.Linear op, Parallel parallel) {
    ReferenceWeight weight = (ReferenceWeight) op.weight();
    ReferenceTensor x = (ReferenceTensor) op.x();
    ReferenceTensor y = (ReferenceTensor) op.y();
    ReferenceTensor residual = (ReferenceTensor) op.residual();
    ReferenceTensor bias = (ReferenceTensor) op.bias();
    Object[] rows = weight.data();
    int k = weight.columns();
    float[] in = x.loadAll();
    float[] out = new float[y.rows() * y.columns()];
    parallel.run(weight.rows(), (long) x.rows() * k * weight.rows(), (begin, end) -> {
      float[] scratch = new float[k];
      for (int n = begin; n < end; n++) {
        float[] row = weight.row(rows, n, scratch);
        float addend = bias == null ? 0 : bias.data()[bias.row(0) + n];
        for (int m = 0; m < x.rows(); m++) {
          double value = Activations.apply(op.activation(), dot(in, m * k, row) + addend);
          out[m * y.columns() + n] = (float) (residual == null ? value : value + residual.data()[residual.row(m) + n]);
        }
      }
    });
    y.storeAll(out);
  }

  private static double dot(float[] x, int at, float[] weights) {
    double sum0 = 0;
    double sum1 = 0;
    double sum2 = 0;
    double sum3 = 0;
    int i = 0;
    for (; i + 4 <= weights.length; i += 4) {
      sum0 += (double) x[at + i] * weights[i];
      sum1 += (double) x[at + i + 1] * weights[i + 1];
      sum2 += (double) x[at + i + 2] * weights[i + 2];
      sum3 += (double) x[at + i + 3] * weights[i + 3];
    }
    for (; i < weights.length; i++) {
      sum0 += (double) x[at + i] * weights[i];
    }
    return (sum0 + sum1) + (sum2 + sum3);
  }

  static void norm(Op.Norm op) {
    ReferenceTensor x = (ReferenceTensor) op.x();
    ReferenceTensor residual = (ReferenceTensor) op.residual();
    ReferenceTensor sum = (ReferenceTensor) op.sum();
    ReferenceTensor y = (ReferenceTensor) op.y();
    ReferenceTensor weight = (ReferenceTensor) op.weight();
    ReferenceTensor bias = (ReferenceTensor) op.bias();
    int columns = x.columns();
    float[] s = new float[columns];
    for (int r = 0; r < x.rows(); r++) {
      for (int i = 0; i < columns; i++) {
        float value = x.data()[x.row(r) + i];
        s[i] = residual == null ? value : value + residual.data()[residual.row(r) + i];
      }
      if (sum != null) {
        System.arraycopy(s, 0, sum.data(), sum.row(r), columns);
      }
      double mean = 0;
      if (op.kind() == NormKind.LAYER) {
        for (float value : s) {
          mean += value;
        }
        mean /= columns;
      }
      double squares = 0;
      for (float value : s) {
        squares += (value - mean) * (value - mean);
      }
      double scale = 1 / Math.sqrt(squares / columns + op.epsilon());
      for (int i = 0; i < columns; i++) {
        double value = (s[i] - mean) * scale * weight.data()[weight.row(0) + i];
        s[i] = (float) (bias == null ? value : value + bias.data()[bias.row(0) + i]);
      }
      store(s, r, y, op.quantized(), op.outputScale());
    }
  }

  /** A row of results, as float32 and quantized where asked for. */
  private static void store(float[] row, int r, ReferenceTensor y, QuantizedTensor quantized, float scale) {
    if (y != null) {
      y.store(r, row, 0);
    }
    if (quantized != null) {
      Int8.quantize(row, 0, scale, (ReferenceQuantizedTensor) quantized, r);
    }
  }

  static void ropeTable(Op.RopeTable op) {
    ReferenceTensor cos = (ReferenceTensor) op.cos();
    ReferenceTensor sin = (ReferenceTensor) op.sin();
    for (int t = 0; t < op.positions().length; t++) {
      for (int i = 0; i < op.inverseFrequency().length; i++) {
        double angle = op.positions()[t] * op.inverseFrequency()[i];
        cos.data()[cos.row(t) + i] = (float) (op.scale() * Math.cos(angle));
        sin.data()[sin.row(t) + i] = (float) (op.scale() * Math.sin(angle));
      }
    }
  }

  static void rope(Op.Rope op) {
    ReferenceTensor x = (ReferenceTensor) op.x();
    ReferenceTensor y = (ReferenceTensor) op.y();
    ReferenceTensor cos = (ReferenceTensor) op.cos();
    ReferenceTensor sin = (ReferenceTensor) op.sin();
    HeadRotation rotation = new HeadRotation(op.pairing(), op.headDim(), cos, sin);
    for (int t = 0; t < x.rows(); t++) {
      for (int h = 0; h < op.heads(); h++) {
        rotation.apply(t, x.data(), x.row(t) + h * op.headDim(), y.data(), y.row(t) + h * op.headDim());
      }
    }
  }

  /** Rotates heads by the angles of their tokens. */
  record HeadRotation(RopePairing pairing, int headDim, ReferenceTensor cos, ReferenceTensor sin) {
    /** The head at {@code x[from …]}, to {@code y[to …]}, which may be the same. */
    void apply(int token, float[] x, int from, float[] y, int to) {
      int half = cos.columns();
      boolean halves = pairing == RopePairing.HALF;
      for (int i = 0; i < half; i++) {
        int first = halves ? i : 2 * i;
        int second = halves ? i + half : 2 * i + 1;
        double c = cos.data()[cos.row(token) + i];
        double s = sin.data()[sin.row(token) + i];
        double a = x[from + first];
        double b = x[from + second];
        y[to + first] = (float) (a * c - b * s);
        y[to + second] = (float) (b * c + a * s);
      }
      System.arraycopy(x, from + 2 * half, y, to + 2 * half, headDim - 2 * half);
    }
  }

  static void gate(Op.Gate op) {
    ReferenceTensor gate = (ReferenceTensor) op.gate();
    ReferenceTensor up = (ReferenceTensor) op.up();
    ReferenceTensor y = (ReferenceTensor) op.y();
    float[] row = new float[gate.columns()];
    for (int r = 0; r < gate.rows(); r++) {
      for (int i = 0; i < row.length; i++) {
        double activated = Activations.apply(op.activation(), gate.data()[gate.row(r) + i]);
        row[i] = (float) (activated * up.data()[up.row(r) + i]);
      }
      store(row, r, y, op.quantized(), op.outputScale());
    }
  }

  static void gather(Op.Gather op) {
    ReferenceTensor x = (ReferenceTensor) op.x();
    ReferenceTensor y = (ReferenceTensor) op.y();
    for (int i = 0; i < op.index().length; i++) {
      System.arraycopy(x.data(), x.row(op.index()[i]), y.data(), y.row(i), y.columns());
    }
  }

  static void combine(Op.Combine op) {
    ReferenceTensor x = (ReferenceTensor) op.x();
    ReferenceTensor y = (ReferenceTensor) op.y();
    ReferenceTensor residual = (ReferenceTensor) op.residual();
    int terms = op.terms();
    for (int t = 0; t < y.rows(); t++) {
      for (int i = 0; i < y.columns(); i++) {
        double sum = residual == null ? 0 : residual.data()[residual.row(t) + i];
        for (int j = 0; j < terms; j++) {
          sum += (double) op.weight()[t * terms + j] * x.data()[x.row(op.index()[t * terms + j]) + i];
        }
        y.data()[y.row(t) + i] = (float) sum;
      }
    }
  }
}
