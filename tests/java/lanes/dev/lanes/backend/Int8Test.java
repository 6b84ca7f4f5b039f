package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** int8 weights and activations: the native kernels of each instruction set against the Java reference. */
@ExtendWith(MemoryBaseline.class)
class Int8Test {
  private static byte[] bytes(TestInputs inputs, int count) {
    byte[] values = new byte[count];
    inputs.random().nextBytes(values);
    return values;
  }

  private static float[] scales(TestInputs inputs, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = inputs.random().nextFloat() / 16 + 1e-3f;
    }
    return values;
  }

  private static PackedWeight weight(Backend b, int rows, int columns, byte[] q, float[] scales) {
    PackedWeight weight = b.weight(rows, columns, DType.S8);
    weight.pack(new PackedWeight.Part(ByteBuffer.wrap(q), DType.S8, false, 0, rows, 0, columns, scales));
    return weight;
  }

  /** All rows as float32. */
  private static float[] rows(Backend b, PackedWeight weight) {
    try (Tensor y = b.tensor(MemoryTag.OTHER, weight.rows(), weight.columns())) {
      b.embed(new Op.Embed(weight, IntStream.range(0, weight.rows()).toArray(), false, y));
      return y.toArray();
    }
  }

  /** Elements and scales, one array each way to compare them. */
  private static float[] content(QuantizedTensor tensor) {
    byte[] q = new byte[tensor.rows() * tensor.columns()];
    float[] scales = new float[tensor.rows()];
    tensor.copyTo(q, scales);
    float[] all = Arrays.copyOf(scales, scales.length + q.length);
    for (int i = 0; i < q.length; i++) {
      all[scales.length + i] = q[i];
    }
    return all;
  }

  /** What the rows of {@code x} are when they are quantized, in the form of {@link #content}. */
  private static float[] quantized(float[] x, int rows, int columns, float scale) {
    byte[] q = new byte[columns];
    float[] all = new float[rows + rows * columns];
    for (int r = 0; r < rows; r++) {
      all[r] = scale == 0 ? Quantizer.row(x, r * columns, columns, q, 0) : Quantizer.row(x, r * columns, columns, scale, q, 0);
      for (int c = 0; c < columns; c++) {
        all[rows + r * columns + c] = q[c];
      }
    }
    return all;
  }

  @Test
  void packsInt8() {
    TestInputs inputs = new TestInputs("pack int8");
    try (OpComparison comparison = new OpComparison()) {
      for (int variant = 0; variant < 8; variant++) {
        boolean transposed = (variant & 1) != 0;
        byte[] q = bytes(inputs, 7 * 11);
        float[] scales = scales(inputs, 7);
        ByteBuffer source = (variant & 2) != 0 ? ByteBuffer.allocateDirect(q.length).put(q).flip() : ByteBuffer.wrap(q);
        PackedWeight.Part part = new PackedWeight.Part(source, DType.S8, transposed, 20, 7, 3, 11, scales);
        DType stored = (variant & 4) != 0 ? DType.S8 : DType.F32;
        float[] expected = new float[50 * 17];
        for (int r = 0; r < 7; r++) {
          for (int c = 0; c < 11; c++) {
            expected[(20 + r) * 17 + 3 + c] = scales[r] * q[transposed ? c * 7 + r : r * 11 + c];
          }
        }
        comparison.same("variant " + variant, b -> {
          try (PackedWeight weight = b.weight(50, 17, stored)) {
            weight.pack(part);
            float[] rows = rows(b, weight);
            assertThat(rows).isEqualTo(expected);
            return rows;
          }
        });
      }
    }
  }

  @Test
  void quantizesFloatWeights() {
    TestInputs inputs = new TestInputs("quantize weights");
    int rows = 50;
    int columns = 33;
    try (OpComparison comparison = new OpComparison()) {
      for (DType from : TestBackends.FLOATS) {
        float[] values = inputs.floats(rows * columns, from);
        Arrays.fill(values, 3 * columns, 4 * columns, 0);
        float[] expected = quantized(values, rows, columns, 0);
        float[] scales = Arrays.copyOf(expected, rows);
        for (int i = 0; i < rows * columns; i++) {
          expected[i] = scales[i / columns] * expected[rows + i];
        }
        float[] whole = Arrays.copyOf(expected, rows * columns);
        comparison.same(from + " by their own scales", b -> {
          try (PackedWeight weight = b.weight(rows, columns, DType.S8)) {
            for (int begin = 0; begin < rows; begin += 20) {
              int count = Math.min(20, rows - begin);
              weight.pack(new PackedWeight.Part(
                  TestBackends.bytes(Arrays.copyOfRange(values, begin * columns, (begin + count) * columns), from), from, false, begin,
                  count, 0, columns));
            }
            assertThat(rows(b, weight)).isEqualTo(whole);
            return rows(b, weight);
          }
        });
        float[] turned = new float[rows * columns];
        for (int i = 0; i < turned.length; i++) {
          turned[i] = values[i % rows * columns + i / rows];
        }
        comparison.same(from + " by given scales, input-major", b -> {
          try (PackedWeight weight = b.weight(rows, columns, DType.S8)) {
            for (int begin = 0; begin < columns; begin += 10) {
              int count = Math.min(10, columns - begin);
              weight.pack(new PackedWeight.Part(
                  TestBackends.bytes(Arrays.copyOfRange(turned, begin * rows, (begin + count) * rows), from), from, true, 0, rows, begin,
                  count, scales));
            }
            assertThat(rows(b, weight)).isEqualTo(whole);
            return rows(b, weight);
          }
        });
      }
    }
  }

  /** Many pieces of a heap buffer, each with the scales of its own rows. */
  @Test
  void packsAHeapBufferOfManyPieces() {
    int rows = 5000;
    int columns = 1024;
    TestInputs inputs = new TestInputs("int8 pieces");
    byte[] q = bytes(inputs, rows * columns);
    float[] scales = scales(inputs, rows);
    try (OpComparison comparison = new OpComparison()) {
      comparison.same("pieces", b -> {
        try (PackedWeight weight = weight(b, rows, columns, q, scales); Tensor y = b.tensor(MemoryTag.OTHER, 2, columns)) {
          b.embed(new Op.Embed(weight, new int[] {rows - 1, 4200}, false, y));
          assertThat(y.toArray()[0]).isEqualTo(scales[rows - 1] * q[(rows - 1) * columns]);
          return y.toArray();
        }
      });
    }
  }

  /** A linear layer of a case's shape with int8 operands. */
  private static final class Problem {
    final Cases.Case c;
    final int m;
    final int n;
    final int k;
    final byte[] w;
    final float[] wScales;
    final byte[] xq;
    final float[] xScales;
    final float[] x;
    final float[] bias;
    final float[] residual;

    Problem(Cases.Case c) {
      this.c = c;
      m = c.number("m");
      n = c.number("n");
      k = c.number("k");
      TestInputs inputs = new TestInputs("int8 " + c);
      w = bytes(inputs, n * k);
      wScales = scales(inputs, n);
      xq = bytes(inputs, m * k);
      xScales = scales(inputs, m);
      x = inputs.floats(m * k);
      bias = inputs.floats(n);
      residual = inputs.floats(m * n);
    }

    /** Of quantized rows where {@code inputScale} is NaN, else of float rows. */
    float[] run(Backend b, Activation activation, float inputScale) {
      int offset = c.number("offset");
      String epilogue = c.text("epilogue");
      try (Tensor xs = b.tensor(MemoryTag.SCRATCH, m, offset + k + c.number("x_pad"));
          QuantizedTensor whole = b.quantizedTensor(MemoryTag.SCRATCH, m + 2, k);
          Tensor ys = b.tensor(MemoryTag.SCRATCH, m, offset + n + c.number("y_pad"));
          Tensor biases = TestBackends.tensor(b, 1, n, bias);
          Tensor residuals = TestBackends.tensor(b, m, n, residual);
          PackedWeight weight = weight(b, n, k, w, wScales)) {
        Tensor in = xs.columns(offset, k);
        in.copyFrom(x, 0);
        QuantizedTensor quantized = whole.rows(1, m);
        quantized.copyFrom(xq, xScales);
        Tensor out = ys.columns(offset, n);
        boolean inPlace = epilogue.contains("i");
        if (inPlace) {
          out.copyFrom(residual, 0);
        }
        boolean ready = Float.isNaN(inputScale);
        b.linear(new Op.Linear(ready ? null : in, ready ? quantized : null, ready ? 0 : inputScale, weight,
            epilogue.contains("b") ? biases : null, inPlace ? out : epilogue.contains("r") ? residuals : null, activation, Compute.INT8,
            out));
        return out.toArray();
      }
    }
  }

  @Test
  void linear() {
    try (OpComparison comparison = new OpComparison()) {
      for (Cases.Case c : Cases.read("linear")) {
        Problem problem = new Problem(c);
        Activation activation = Activation.valueOf(c.text("activation").toUpperCase(Locale.ROOT));
        for (float inputScale : new float[] {Float.NaN, 0, 0.03f}) {
          String what = c + ", input scale " + inputScale;
          // Everything but an activation function is the same rounded operations everywhere.
          comparison.same(what, b -> problem.run(b, Activation.NONE, inputScale));
          if (activation != Activation.NONE) {
            float[] plain = problem.run(comparison.reference(), Activation.NONE, inputScale);
            double[] bounds = new double[plain.length];
            for (int i = 0; i < bounds.length; i++) {
              bounds[i] = 1e-6 * (1 + Math.abs(plain[i]) + 2 * Math.abs(problem.residual[i]));
            }
            comparison.within(what + ", " + activation, bounds, b -> problem.run(b, activation, inputScale));
          }
        }
      }
    }
  }

  /** The sums against plain integers, with every element the most extreme, and far beyond what 32 bits hold. */
  @Test
  void sumsAreExact() {
    try (OpComparison comparison = new OpComparison()) {
      for (int k : new int[] {1, 63, 64, 65, 8192, 140_000, 262_147}) {
        for (byte a : new byte[] {-128, 127}) {
          for (byte b : new byte[] {-128, 127}) {
            byte[] x = new byte[2 * k];
            byte[] w = new byte[3 * k];
            Arrays.fill(x, a);
            Arrays.fill(w, b);
            x[k - 1] = 1;
            w[2 * k] = 2;
            comparison.same("k " + k + ", " + a + " x " + b, backend -> {
              try (QuantizedTensor xq = backend.quantizedTensor(MemoryTag.SCRATCH, 2, k);
                  PackedWeight weight = weight(backend, 3, k, w, new float[] {1, 0.5f, 2});
                  Tensor y = backend.tensor(MemoryTag.SCRATCH, 2, 3)) {
                xq.copyFrom(x, new float[] {1, 4});
                backend.linear(new Op.Linear(null, xq, 0, weight, null, null, Activation.NONE, Compute.INT8, y));
                for (int i = 0; i < 2; i++) {
                  for (int j = 0; j < 3; j++) {
                    long sum = 0;
                    for (int l = 0; l < k; l++) {
                      sum += (long) x[i * k + l] * w[j * k + l];
                    }
                    float scale = (i == 0 ? 1f : 4f) * new float[] {1, 0.5f, 2}[j];
                    assertThat(y.toArray()[i * 3 + j]).as("y[%d, %d]", i, j).isEqualTo((float) sum * scale);
                  }
                }
                return y.toArray();
              }
            });
          }
        }
      }
    }
  }

  @Test
  void rowsThatHoldNoNumbers() {
    int k = 70;
    float[] x = new TestInputs("no numbers").floats(4 * k);
    Arrays.fill(x, 0, k, 0);
    x[k + 69] = Float.NaN;
    x[2 * k + 3] = Float.NEGATIVE_INFINITY;
    byte[] w = bytes(new TestInputs("weights"), 5 * k);
    float[] one = {1, 1, 1, 1, 1};
    try (OpComparison comparison = new OpComparison()) {
      for (float inputScale : new float[] {0, 0.05f}) {
        comparison.same("input scale " + inputScale, b -> {
          try (PackedWeight weight = weight(b, 5, k, w, one); Tensor in = TestBackends.tensor(b, 4, k, x);
              Tensor y = b.tensor(MemoryTag.SCRATCH, 4, 5)) {
            b.linear(new Op.Linear(in, null, inputScale, weight, null, null, Activation.NONE, Compute.INT8, y));
            float[] out = y.toArray();
            for (int j = 0; j < 5; j++) {
              assertThat(out[j]).as("of zeros").isZero();
              assertThat(out[5 + j]).as("of NaN").isNaN();
              assertThat(Float.isNaN(out[10 + j])).as("of infinity").isEqualTo(inputScale == 0);
              assertThat(out[15 + j]).isFinite();
            }
            return out;
          }
        });
      }
    }
  }

  /** Float rows give what the same rows give that norm or gate, or the caller, quantized before. */
  @Test
  void quantizingWhileReadingAndBeforeAreTheSame() {
    TestInputs inputs = new TestInputs("before");
    for (int[] shape : new int[][] {{1, 64, 40}, {3, 100, 17}, {40, 288, 70}, {130, 65, 33}}) {
      int m = shape[0];
      int k = shape[1];
      int n = shape[2];
      float[] x = inputs.floats(m * k);
      byte[] w = bytes(inputs, n * k);
      float[] scales = scales(inputs, n);
      float[] ones = new float[k];
      Arrays.fill(ones, 1.5f);
      try (OpComparison comparison = new OpComparison()) {
        comparison.natives().forEach(b -> check(b, m, k, n, x, w, scales, ones));
        check(comparison.reference(), m, k, n, x, w, scales, ones);
      }
    }
  }

  private static void check(Backend b, int m, int k, int n, float[] x, byte[] w, float[] scales, float[] normWeight) {
    String isa = TestInputs.context(b.info().isa() + " [" + m + ", " + k + ", " + n + "]");
    try (PackedWeight weight = weight(b, n, k, w, scales); Tensor in = TestBackends.tensor(b, m, k, x);
        Tensor up = TestBackends.tensor(b, m, k, x); Tensor norm = TestBackends.tensor(b, 1, k, normWeight);
        Tensor y = b.tensor(MemoryTag.SCRATCH, m, k); QuantizedTensor q = b.quantizedTensor(MemoryTag.SCRATCH, m, k);
        QuantizedTensor alone = b.quantizedTensor(MemoryTag.SCRATCH, m, k);
        Tensor before = b.tensor(MemoryTag.SCRATCH, m, n); Tensor meanwhile = b.tensor(MemoryTag.SCRATCH, m, n)) {
      for (float scale : new float[] {0, 0.02f}) {
        for (NormKind kind : NormKind.values()) {
          b.norm(new Op.Norm(kind, 1e-5f, in, null, norm, null, null, y, q, scale));
          assertThat(content(q)).as("%s norm on %s", kind, isa).isEqualTo(quantized(y.toArray(), m, k, scale));
          b.norm(new Op.Norm(kind, 1e-5f, in, null, norm, null, null, null, alone, scale));
          assertThat(content(alone)).as("%s norm without y on %s", kind, isa).isEqualTo(content(q));
        }
        b.linear(new Op.Linear(null, q, 0, weight, null, null, Activation.NONE, Compute.INT8, before));
        b.linear(new Op.Linear(y, null, scale, weight, null, null, Activation.NONE, Compute.INT8, meanwhile));
        assertThat(meanwhile.toArray()).as("linear on %s", isa).isEqualTo(before.toArray());
        b.gate(new Op.Gate(Activation.SILU, in, up, y, q, scale));
        assertThat(content(q)).as("gate on %s", isa).isEqualTo(quantized(y.toArray(), m, k, scale));
        b.gate(new Op.Gate(Activation.SILU, in, up, null, alone, scale));
        assertThat(content(alone)).as("gate without y on %s", isa).isEqualTo(content(q));
      }
    }
  }

  /** A multiple of a thread's share of rows or not, one thread or three: the same bits. */
  @Test
  void resultsDoNotDependOnThreadsOrCompany() {
    TestInputs inputs = new TestInputs("company");
    int m = 70;
    int k = 130;
    int n = 100;
    float[] x = inputs.floats(m * k);
    byte[] w = bytes(inputs, n * k);
    float[] scales = scales(inputs, n);
    for (BackendOptions options : TestBackends.all()) {
      float[] expected = null;
      for (int threads : new int[] {1, 2, 3}) {
        try (Backend b = Backends.open(options.withThreads(threads)); PackedWeight weight = weight(b, n, k, w, scales);
            Tensor in = TestBackends.tensor(b, m, k, x); Tensor y = b.tensor(MemoryTag.SCRATCH, m, n)) {
          b.linear(new Op.Linear(in, weight, null, null, Activation.SILU, Compute.INT8, y));
          float[] all = y.toArray();
          expected = expected == null ? all : expected;
          assertThat(all).as("%s on %d threads", options, threads).isEqualTo(expected);
          for (int r = 0; r < m; r += 7) {
            try (Tensor one = b.tensor(MemoryTag.SCRATCH, 1, n)) {
              b.linear(new Op.Linear(in.rows(r, 1), weight, null, null, Activation.SILU, Compute.INT8, one));
              assertThat(one.toArray()).as("%s, row %d alone", options, r).isEqualTo(Arrays.copyOfRange(all, r * n, (r + 1) * n));
            }
          }
        }
      }
    }
  }

  @Test
  void bytesCountTheScales() {
    for (BackendOptions options : TestBackends.all()) {
      try (Backend b = Backends.open(options)) {
        long before = b.memory().liveTotal();
        long bytes = b.weightBytes(100, 300, DType.S8);
        assertThat(bytes).isGreaterThanOrEqualTo(100 * 300 + 100 * 4).isLessThan(128 * 320 + 128 * 8 + 4096);
        try (PackedWeight weight = b.weight(100, 300, DType.S8); QuantizedTensor q = b.quantizedTensor(MemoryTag.SCRATCH, 7, 33)) {
          assertThat(weight.bytes()).isEqualTo(bytes);
          assertThat(b.memory().liveTotal() - before).isEqualTo(bytes + QuantizedTensor.bytes(7, 33));
        }
      }
    }
  }
}
