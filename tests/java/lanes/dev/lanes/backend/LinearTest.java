package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Packed weights, linear and embed: the native kernels of each instruction set against the Java reference. */
@ExtendWith(MemoryBaseline.class)
class LinearTest {
  @Test
  void agreesWithTheReference() {
    try (OpComparison comparison = new OpComparison()) {
      for (Cases.Case c : Cases.read("linear")) {
        for (DType dtype : c.dtypes()) {
          Problem problem = new Problem(c, dtype);
          comparison.within(c + " " + dtype, problem.bounds(0x1p-24 * (problem.k + 8)), b -> problem.run(b, Compute.EXACT));
          if (dtype == DType.BF16) {
            comparison.within(c + " bf16 dot", problem.bounds(0x1p-8), b -> problem.run(b, Compute.BF16));
          } else if (dtype == DType.F16) {
            comparison.within(c + " f16 dot", problem.bounds(0x1p-10), b -> problem.run(b, Compute.F16));
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

    /** The same with x rounded to bfloat16. */
    Problem ofBf16Values() {
      for (int i = 0; i < x.length; i++) {
        x[i] = FloatFormats.round(x[i], DType.BF16);
      }
      return this;
    }

    float[] run(Backend backend, Compute compute) {
      return run(backend, compute, DType.F32, DType.F32);
    }

    /** With x and y of these types; a residual is in place where y is float32. */
    float[] run(Backend backend, Compute compute, DType xType, DType yType) {
      int offset = c.number("offset");
      try (Tensor xs = backend.tensor(MemoryTag.SCRATCH, m, offset + k + c.number("x_pad"), xType);
          Tensor ys = backend.tensor(MemoryTag.SCRATCH, m, offset + n + c.number("y_pad"), yType);
          Tensor biases = TestBackends.tensor(backend, 1, n, bias);
          Tensor residuals = TestBackends.tensor(backend, m, n, residual);
          PackedWeight w = TestBackends.weight(backend, n, k, dtype, weight)) {
        Tensor in = xs.columns(offset, k);
        Tensor out = ys.columns(offset, n);
        in.copyFrom(x, 0);
        boolean inPlace = epilogue.contains("i") && yType == DType.F32;
        if (inPlace) {
          out.copyFrom(residual, 0);
        }
        backend.linear(new Op.Linear(in, w, epilogue.contains("b") ? biases : null,
            inPlace ? out : epilogue.contains("r") || epilogue.contains("i") ? residuals : null,
            Activation.valueOf(c.text("activation").toUpperCase(Locale.ROOT)), compute, out));
        return out.toArray();
      }
    }

    /** {@code rounding} of the sum of |x w|, plus what bias, activation (slope at most 1.13) and residual add. */
    double[] bounds(double rounding) {
      double[] result = new double[m * n];
      for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
          double size = 1 + Math.abs(bias[j]) + Math.abs(residual[i * n + j]);
          for (int l = 0; l < k; l++) {
            size += Math.abs(x[i * k + l] * weight[j * k + l]);
          }
          result[i * n + j] = 1.2 * rounding * size;
        }
      }
      return result;
    }
  }

  /** Rows of bfloat16 give the bits of float32 rows with their values; results of bfloat16 are those of float32, rounded once. */
  @Test
  void bfloat16RowsChangeNoOtherBit() {
    try (OpComparison comparison = new OpComparison()) {
      for (Cases.Case c : Cases.read("linear")) {
        Problem large = new Problem(c, DType.F32);
        if ((long) large.m * large.n * large.k > 200_000) {
          continue;
        }
        for (DType dtype : c.dtypes()) {
          Problem problem = new Problem(c, dtype);
          List<Compute> computes = dtype == DType.BF16 ? List.of(Compute.EXACT, Compute.BF16)
              : dtype == DType.F16 ? List.of(Compute.EXACT, Compute.F16) : List.of(Compute.EXACT);
          for (Compute compute : computes) {
            for (Backend backend : comparison.all()) {
              String what = TestInputs.context(c + " " + dtype + " " + compute + " on " + backend.info().isa());
              Problem rounded = problem.ofBf16Values();
              float[] expected = rounded.run(backend, compute);
              assertThat(rounded.run(backend, compute, DType.BF16, DType.F32)).as(what).isEqualTo(expected);
              for (int i = 0; i < expected.length; i++) {
                expected[i] = FloatFormats.round(expected[i], DType.BF16);
              }
              assertThat(rounded.run(backend, compute, DType.F32, DType.BF16)).as(what).isEqualTo(expected);
              assertThat(rounded.run(backend, compute, DType.BF16, DType.BF16)).as(what).isEqualTo(expected);
            }
          }
        }
      }
    }
  }

  @Test
  void packsPartsOfEveryTypeAndOrder() {
    TestInputs inputs = new TestInputs("pack");
    try (OpComparison comparison = new OpComparison()) {
      for (DType stored : TestBackends.FLOATS) {
        for (DType from : TestBackends.FLOATS) {
          for (int variant = 0; variant < 8; variant++) {
            boolean transposed = (variant & 1) != 0;
            boolean misaligned = (variant & 4) != 0;
            ByteBuffer source = TestBackends.bytes(inputs.floats(7 * 11, from), from);
            if ((variant & 2) != 0) {
              source = ByteBuffer.allocateDirect(source.remaining()).put(source).flip();
            }
            if (misaligned) {
              ByteBuffer moved = source.isDirect() ? ByteBuffer.allocateDirect(source.remaining() + 1)
                  : ByteBuffer.allocate(source.remaining() + 1);
              source = moved.position(1).put(source).flip().position(1);
            }
            PackedWeight.Part part = new PackedWeight.Part(source, from, transposed, 20, 7, 3, 11);
            comparison.same(stored + " from " + from + ", variant " + variant, b -> packed(b, stored, part));
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
      backend.embed(new Op.Embed(weight, IntStream.range(0, 50).toArray(), false, y));
      return y.toArray();
    }
  }

  @Test
  void packsAHeapBufferOfManyPieces() {
    int rows = 1500;
    int columns = 1024;
    float[] values = new TestInputs("pieces").floats(rows * columns);
    ByteBuffer heap = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    heap.asFloatBuffer().put(values);
    try (OpComparison comparison = new OpComparison()) {
      for (boolean transposed : new boolean[] {false, true}) {
        comparison.same("transposed " + transposed, backend -> {
          try (PackedWeight weight = backend.weight(rows, columns, DType.F32);
              Tensor y = backend.tensor(MemoryTag.SCRATCH, 2, columns)) {
            weight.pack(new PackedWeight.Part(heap, DType.F32, transposed, 0, rows, 0, columns));
            backend.embed(new Op.Embed(weight, new int[] {rows - 1, 700}, false, y));
            return y.toArray();
          }
        });
      }
    }
  }

  @Test
  void embedsAndAccumulates() {
    TestInputs inputs = new TestInputs("embed");
    try (OpComparison comparison = new OpComparison()) {
      for (DType dtype : TestBackends.FLOATS) {
        for (int columns : new int[] {1, 15, 16, 33, 100}) {
          float[] values = inputs.floats(70 * columns, dtype);
          int[] ids = inputs.ints(9, 70);
          float[] start = inputs.floats(9 * columns);
          for (boolean accumulate : new boolean[] {false, true}) {
            comparison.same(dtype + " " + columns, backend -> {
              try (PackedWeight weight = TestBackends.weight(backend, 70, columns, dtype, values);
                  Tensor y = TestBackends.tensor(backend, ids.length, columns, start)) {
                backend.embed(new Op.Embed(weight, ids, accumulate, y));
                return y.toArray();
              }
            });
          }
        }
      }
    }
  }
}
