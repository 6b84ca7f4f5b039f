package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Packed weights, linear and embed: the native kernels of each instruction set against the Java reference. */
@ExtendWith(MemoryBaseline.class)
class LinearTest {
  static List<BackendOptions> natives() {
    return TestBackends.natives();
  }

  /** Little-endian elements of these values. */
  static ByteBuffer bytes(float[] values, DType dtype, boolean direct) {
    int size = values.length * dtype.bytes();
    ByteBuffer buffer = (direct ? ByteBuffer.allocateDirect(size) : ByteBuffer.allocate(size)).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      switch (dtype) {
        case F32 -> buffer.putFloat(value);
        case BF16 -> buffer.putShort(FloatFormats.toBf16(value));
        case F16 -> buffer.putShort(FloatFormats.toF16(value));
      }
    }
    return buffer.flip();
  }

  static PackedWeight weight(Backend backend, int rows, int columns, DType dtype, float[] values) {
    PackedWeight weight = backend.weight(rows, columns, dtype);
    weight.pack(new PackedWeight.Part(bytes(values, dtype, true), dtype, false, 0, rows, 0, columns));
    return weight;
  }

  @ParameterizedTest
  @MethodSource("natives")
  void agreesWithTheReference(BackendOptions options) {
    try (Backend cpu = Backends.open(options); Backend reference = Backends.open(TestBackends.reference())) {
      for (Cases.Case c : Cases.read("linear")) {
        for (DType dtype : c.dtypes()) {
          Problem problem = new Problem(c, dtype);
          float[] expected = problem.run(reference, Compute.EXACT);
          problem.check(problem.run(cpu, Compute.EXACT), expected, Compute.EXACT);
          if (dtype == DType.BF16) {
            problem.check(problem.run(cpu, Compute.BF16), problem.run(reference, Compute.BF16), Compute.BF16);
          }
        }
      }
    }
  }

  /** A case with inputs; x and y are views with the case's padding and offset. */
  private static final class Problem {
    private final Cases.Case c;
    private final DType dtype;
    private final int m;
    private final int n;
    private final int k;
    private final String epilogue;
    private final float[] x;
    private final float[] weight;
    private final float[] bias;
    private final float[] residual;

    Problem(Cases.Case c, DType dtype) {
      this.c = c;
      this.dtype = dtype;
      m = c.number("m");
      n = c.number("n");
      k = c.number("k");
      epilogue = c.text("epilogue");
      TestInputs inputs = new TestInputs(c + " " + dtype);
      x = inputs.floats(m * k);
      weight = inputs.floats(n * k, dtype);
      bias = inputs.floats(n);
      residual = inputs.floats(m * n);
    }

    float[] run(Backend backend, Compute compute) {
      int offset = c.number("offset");
      try (Tensor xs = backend.tensor(MemoryTag.SCRATCH, m, offset + k + c.number("x_pad"));
          Tensor ys = backend.tensor(MemoryTag.SCRATCH, m, offset + n + c.number("y_pad"));
          Tensor biases = TestBackends.tensor(backend, 1, n, bias);
          Tensor residuals = TestBackends.tensor(backend, m, n, residual);
          PackedWeight w = LinearTest.weight(backend, n, k, dtype, weight)) {
        Tensor in = xs.columns(offset, k);
        Tensor out = ys.columns(offset, n);
        in.copyFrom(x, 0);
        boolean inPlace = epilogue.contains("i");
        if (inPlace) {
          out.copyFrom(residual, 0);
        }
        backend.linear(new Op.Linear(in, w, epilogue.contains("b") ? biases : null,
            inPlace ? out : epilogue.contains("r") ? residuals : null,
            Activation.valueOf(c.text("activation").toUpperCase(Locale.ROOT)), compute, out));
        return out.toArray();
      }
    }

    /** Both sum k products of numbers around 1: the float32 chain errs by k roundings of the partial sums. */
    void check(float[] actual, float[] expected, Compute compute) {
      for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
          double size = 1;
          for (int l = 0; l < k; l++) {
            size += Math.abs(x[i * k + l] * weight[j * k + l]);
          }
          double rounding = compute == Compute.BF16 ? 0x1p-8 : 0x1p-24 * (k + 8);
          assertThat((double) actual[i * n + j]).as(TestInputs.context(c + " " + dtype + " " + compute + " y[" + i + ", " + j + "]"))
              .isCloseTo(expected[i * n + j], Offset.offset(1.2 * rounding * size));
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("natives")
  void packsPartsOfEveryTypeAndOrder(BackendOptions options) {
    TestInputs inputs = new TestInputs("pack");
    try (Backend cpu = Backends.open(options); Backend reference = Backends.open(TestBackends.reference())) {
      for (DType stored : DType.values()) {
        for (DType from : DType.values()) {
          for (int variant = 0; variant < 8; variant++) {
            boolean transposed = (variant & 1) != 0;
            boolean direct = (variant & 2) != 0;
            boolean misaligned = (variant & 4) != 0;
            ByteBuffer source = bytes(inputs.floats(7 * 11, from), from, direct);
            if (misaligned) {
              ByteBuffer moved = direct ? ByteBuffer.allocateDirect(source.remaining() + 1) : ByteBuffer.allocate(source.remaining() + 1);
              source = moved.position(1).put(source).flip().position(1);
            }
            PackedWeight.Part part = new PackedWeight.Part(source, from, transposed, 20, 7, 3, 11);
            String what = TestInputs.context(stored + " from " + from + ", variant " + variant);
            assertThat(packed(cpu, stored, part)).as(what).isEqualTo(packed(reference, stored, part));
            assertThat(source.position()).as("the buffer is left as it was").isEqualTo(misaligned ? 1 : 0);
          }
        }
      }
    }
  }

  /** All rows of a weight [50, 17] of which one part was packed, read through embed. */
  private static float[] packed(Backend backend, DType stored, PackedWeight.Part part) {
    try (PackedWeight weight = backend.weight(50, 17, stored); Tensor y = backend.tensor(MemoryTag.SCRATCH, 50, 17)) {
      weight.pack(part);
      int[] ids = IntStream.range(0, 50).toArray();
      backend.embed(new Op.Embed(weight, ids, false, y));
      return y.toArray();
    }
  }

  @ParameterizedTest
  @MethodSource("natives")
  void embedsAndAccumulates(BackendOptions options) {
    TestInputs inputs = new TestInputs("embed");
    try (Backend cpu = Backends.open(options); Backend reference = Backends.open(TestBackends.reference())) {
      for (DType dtype : DType.values()) {
        for (int columns : new int[] {1, 15, 16, 33, 100}) {
          float[] values = inputs.floats(70 * columns, dtype);
          int[] ids = inputs.ints(9, 70);
          float[] start = inputs.floats(9 * columns);
          for (boolean accumulate : new boolean[] {false, true}) {
            assertThat(embedded(cpu, columns, dtype, values, ids, start, accumulate))
                .as(TestInputs.context(dtype + " " + columns))
                .isEqualTo(embedded(reference, columns, dtype, values, ids, start, accumulate));
          }
        }
      }
    }
  }

  private static float[] embedded(Backend backend, int columns, DType dtype, float[] values, int[] ids, float[] start,
      boolean accumulate) {
    try (PackedWeight weight = weight(backend, 70, columns, dtype, values);
        Tensor y = TestBackends.tensor(backend, ids.length, columns, start)) {
      backend.embed(new Op.Embed(weight, ids, accumulate, y));
      return y.toArray();
    }
  }
}
