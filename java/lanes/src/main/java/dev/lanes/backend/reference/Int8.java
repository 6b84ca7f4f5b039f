package dev.lanes.backend.reference;

import dev.lanes.backend.Op;
import dev.lanes.backend.Quantizer;

/** Quantized rows, and linear layers with int8 weights. Arguments have been checked. */
final class Int8 {
  private Int8() {}

  /** Quantizes one row of results; a scale of 0 means the row's own. */
  static void quantize(float[] x, int offset, float scale, ReferenceQuantizedTensor to, int row) {
    ReferenceQuantizedTensor.Arrays data = to.data();
    data.scales()[to.scale(row)] = quantize(x, offset, to.columns(), scale, data.elements(), to.row(row));
  }

  private static float quantize(float[] x, int offset, int length, float scale, byte[] q, int at) {
    return scale == 0 ? Quantizer.row(x, offset, length, q, at) : Quantizer.row(x, offset, length, scale, q, at);
  }

  /** Sums of integers, then float32 operations that are rounded one by one. */
  static void linear(Op.Linear op, Parallel parallel) {
    ReferenceWeight weight = (ReferenceWeight) op.weight();
    ReferenceTensor y = (ReferenceTensor) op.y();
    ReferenceTensor residual = (ReferenceTensor) op.residual();
    ReferenceTensor bias = (ReferenceTensor) op.bias();
    Object[] rows = weight.data();
    float[] scales = weight.scales(rows);
    int m = y.rows();
    int k = weight.columns();
    byte[][] in = new byte[m][k];
    float[] inScales = new float[m];
    input(op, in, inScales);
    float[] out = new float[m * y.columns()];
    parallel.run(weight.rows(), (long) m * k * weight.rows(), (begin, end) -> {
      for (int n = begin; n < end; n++) {
        byte[] row = (byte[]) rows[n];
        for (int i = 0; i < m; i++) {
          float value = (float) dot(in[i], row) * (inScales[i] * scales[n]);
          if (bias != null) {
            value += bias.data()[bias.row(0) + n];
          }
          value = (float) Activations.apply(op.activation(), value);
          out[i * y.columns() + n] = residual == null ? value : value + residual.data()[residual.row(i) + n];
        }
      }
    });
    y.storeAll(out);
  }

  private static void input(Op.Linear op, byte[][] in, float[] scales) {
    if (op.quantized() instanceof ReferenceQuantizedTensor quantized) {
      for (int i = 0; i < in.length; i++) {
        System.arraycopy(quantized.data().elements(), quantized.row(i), in[i], 0, in[i].length);
        scales[i] = quantized.data().scales()[quantized.scale(i)];
      }
      return;
    }
    ReferenceTensor x = (ReferenceTensor) op.x();
    for (int i = 0; i < in.length; i++) {
      scales[i] = quantize(x.data(), x.row(i), x.columns(), op.inputScale(), in[i], 0);
    }
  }

  private static long dot(byte[] x, byte[] w) {
    long sum = 0;
    for (int i = 0; i < x.length; i++) {
      sum += x[i] * w[i];
    }
    return sum;
  }
}
