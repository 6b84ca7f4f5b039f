package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Norms, rotary embedding, gates, routing, gathering and combining: native kernels of each instruction set against the reference. */
@ExtendWith(MemoryBaseline.class)
class RowOpsTest {
  /** Widths around the vector lengths, and wide ones. */
  private static final int[] WIDTHS = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 48, 64, 100, 288, 1025};

  @Test
  void norms() {
    TestInputs inputs = new TestInputs("norm");
    try (OpComparison comparison = new OpComparison()) {
      for (int columns : WIDTHS) {
        int rows = 3;
        float[] x = inputs.floats(rows * columns);
        float[] residual = inputs.floats(rows * columns);
        float[] weight = inputs.floats(columns);
        float[] bias = inputs.floats(columns);
        for (NormKind kind : NormKind.values()) {
          // Bits: a bias, a residual, a sum, sum in place of x, y in place of the residual.
          for (int variant = 0; variant < 32; variant++) {
            int v = variant;
            comparison.within(kind + " [" + columns + "], variant " + variant, 1e-4,
                backend -> norm(backend, kind, v, rows, columns, x, residual, weight, bias));
          }
        }
      }
    }
  }

  private static float[] norm(Backend backend, NormKind kind, int variant, int rows, int columns, float[] x, float[] residual,
      float[] weight, float[] bias) {
    boolean withResidual = (variant & 2) != 0;
    boolean withSum = (variant & 4) != 0;
    try (Tensor xs = backend.tensor(MemoryTag.SCRATCH, rows, columns + 3);
        Tensor residuals = TestBackends.tensor(backend, rows, columns, residual);
        Tensor weights = TestBackends.tensor(backend, 1, columns, weight);
        Tensor biases = TestBackends.tensor(backend, 1, columns, bias);
        Tensor sums = backend.tensor(MemoryTag.SCRATCH, rows, columns);
        Tensor ys = backend.tensor(MemoryTag.SCRATCH, rows, columns)) {
      Tensor in = xs.columns(1, columns);
      in.copyFrom(x, 0);
      Tensor sum = withSum ? (variant & 8) != 0 ? in : sums : null;
      Tensor y = withResidual && (variant & 16) != 0 ? residuals : ys;
      backend.norm(new Op.Norm(kind, 1e-3f, in, withResidual ? residuals : null, weights, (variant & 1) != 0 ? biases : null, sum, y));
      return joined(y, sum);
    }
  }

  private static float[] joined(Tensor first, Tensor second) {
    float[] a = first.toArray();
    if (second == null) {
      return a;
    }
    float[] b = second.toArray();
    float[] result = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, result, a.length, b.length);
    return result;
  }

  @Test
  void ropeTables() {
    TestInputs inputs = new TestInputs("rope table");
    try (OpComparison comparison = new OpComparison()) {
      for (int half : new int[] {1, 4, 15, 32, 64}) {
        double[] frequency = new double[half];
        for (int i = 0; i < half; i++) {
          frequency[i] = Math.pow(10_000, -(double) i / half);
        }
        long[] positions = {0, 1, 5, 4095, 131_071, inputs.random().nextInt(1 << 20)};
        // Math.cos of the JDK and of the C library may differ in the last bit of a double, hence in that of a float.
        comparison.within("half " + half, 0x1p-23 * 1.5, backend -> {
          try (Tensor cos = backend.tensor(MemoryTag.SCRATCH, positions.length, half);
              Tensor sin = backend.tensor(MemoryTag.SCRATCH, positions.length, half)) {
            backend.ropeTable(new Op.RopeTable(positions, frequency, 1.25f, cos, sin));
            return joined(cos, sin);
          }
        });
      }
    }
  }

  @Test
  void rotations() {
    TestInputs inputs = new TestInputs("rope");
    try (OpComparison comparison = new OpComparison()) {
      for (int[] shape : new int[][] {{1, 2, 1}, {2, 8, 4}, {3, 10, 3}, {4, 64, 32}, {2, 33, 16}, {1, 128, 20}}) {
        int heads = shape[0];
        int headDim = shape[1];
        int half = shape[2];
        int tokens = 4;
        float[] x = inputs.floats(tokens * heads * headDim);
        float[] cos = inputs.floats(tokens * half);
        float[] sin = inputs.floats(tokens * half);
        for (RopePairing pairing : RopePairing.values()) {
          for (boolean inPlace : new boolean[] {false, true}) {
            comparison.within(pairing + " " + Arrays.toString(shape), 1e-6 * 8, backend -> {
              try (Tensor c = TestBackends.tensor(backend, tokens, half, cos);
                  Tensor s = TestBackends.tensor(backend, tokens, half, sin);
                  Tensor xs = backend.tensor(MemoryTag.SCRATCH, tokens, heads * headDim + 5);
                  Tensor ys = backend.tensor(MemoryTag.SCRATCH, tokens, heads * headDim)) {
                Tensor in = xs.columns(2, heads * headDim);
                in.copyFrom(x, 0);
                Tensor out = inPlace ? in : ys;
                backend.rope(new Op.Rope(pairing, heads, headDim, c, s, in, out));
                return out.toArray();
              }
            });
          }
        }
      }
    }
  }

  @Test
  void gates() {
    TestInputs inputs = new TestInputs("gate");
    try (OpComparison comparison = new OpComparison()) {
      for (int columns : WIDTHS) {
        float[] gate = inputs.floats(2 * columns);
        float[] up = inputs.floats(2 * columns);
        for (int i = 0; i < gate.length; i++) {
          gate[i] *= 1 << (i % 6);
        }
        for (Activation activation : Activation.values()) {
          double[] bound = new double[2 * columns];
          for (int i = 0; i < bound.length; i++) {
            bound[i] = 1e-6 * (1 + Math.abs(gate[i]) * Math.abs(up[i]));
          }
          for (int place = 0; place < 3; place++) {
            int where = place;
            comparison.within(activation + " [" + columns + "]", bound, backend -> {
              try (Tensor g = TestBackends.tensor(backend, 2, columns, gate);
                  Tensor u = TestBackends.tensor(backend, 2, columns, up);
                  Tensor y = backend.tensor(MemoryTag.SCRATCH, 2, columns)) {
                Tensor out = where == 0 ? y : where == 1 ? g : u;
                backend.gate(new Op.Gate(activation, g, u, out));
                return out.toArray();
              }
            });
          }
        }
      }
    }
  }

  @Test
  void routes() {
    TestInputs inputs = new TestInputs("route");
    try (OpComparison comparison = new OpComparison()) {
      for (int experts : new int[] {1, 2, 4, 8, 17, 64}) {
        for (int topK : new int[] {1, 2, 4, experts}) {
          if (topK > experts) {
            continue;
          }
          float[] logits = inputs.floats(5 * experts);
          // Ties: the lower expert first.
          Arrays.fill(logits, 0, experts, 0.5f);
          for (boolean normalize : new boolean[] {false, true}) {
            int[][] chosen = new int[1][];
            comparison.within(experts + " experts, top " + topK, 1e-6, backend -> {
              try (Tensor t = TestBackends.tensor(backend, 5, experts, logits)) {
                int[] expert = new int[5 * topK];
                float[] weight = new float[5 * topK];
                backend.route(new Op.Route(t, topK, normalize, expert, weight));
                chosen[0] = chosen[0] == null ? expert : chosen[0];
                assertThat(expert).isEqualTo(chosen[0]);
                return weight;
              }
            });
          }
        }
      }
    }
  }

  @Test
  void gathers() {
    TestInputs inputs = new TestInputs("gather");
    try (OpComparison comparison = new OpComparison()) {
      for (int columns : WIDTHS) {
        float[] x = inputs.floats(6 * columns);
        int[] index = inputs.ints(11, 6);
        comparison.same("[" + columns + "]", backend -> {
          try (Tensor xs = TestBackends.tensor(backend, 6, columns, x);
              Tensor ys = backend.tensor(MemoryTag.SCRATCH, index.length, columns + 1)) {
            Tensor y = ys.columns(1, columns);
            backend.gather(new Op.Gather(xs, index, y));
            return y.toArray();
          }
        });
      }
    }
  }

  @Test
  void combines() {
    TestInputs inputs = new TestInputs("combine");
    try (OpComparison comparison = new OpComparison()) {
      for (int columns : WIDTHS) {
        for (int terms : new int[] {1, 2, 5}) {
          int tokens = 3;
          float[] x = inputs.floats(7 * columns);
          float[] residual = inputs.floats(tokens * columns);
          float[] weight = inputs.floats(tokens * terms);
          int[] index = inputs.ints(tokens * terms, 7);
          for (int place = 0; place < 3; place++) {
            int where = place;
            comparison.within("[" + columns + "], " + terms + " terms", 1e-6 * 12, backend -> {
              try (Tensor xs = TestBackends.tensor(backend, 7, columns, x);
                  Tensor residuals = TestBackends.tensor(backend, tokens, columns, residual);
                  Tensor ys = backend.tensor(MemoryTag.SCRATCH, tokens, columns)) {
                Tensor y = where == 2 ? residuals : ys;
                backend.combine(new Op.Combine(xs, terms, index, weight, where == 0 ? null : residuals, y));
                return y.toArray();
              }
            });
          }
        }
      }
    }
  }

  @Test
  void nothingToDoIsFine() {
    try (OpComparison comparison = new OpComparison()) {
      comparison.same("no rows", backend -> {
        try (Tensor x = backend.tensor(MemoryTag.SCRATCH, 4, 8);
            Tensor one = backend.tensor(MemoryTag.SCRATCH, 1, 8);
            PackedWeight weight = backend.weight(8, 8, DType.F32);
            KvPages pages = backend.kvPages(new KvPages.Spec(1, 1, 1, 8, DType.F32))) {
          Tensor none = x.rows(2, 0);
          Tensor table = x.view(0, 0, 0, 4);
          backend.embed(new Op.Embed(weight, new int[0], false, none));
          backend.linear(new Op.Linear(none, weight, null, null, Activation.NONE, Compute.EXACT, x.rows(0, 0)));
          backend.norm(new Op.Norm(NormKind.RMS, 0, none, null, one, null, null, none));
          backend.ropeTable(new Op.RopeTable(new long[0], new double[4], 1, table, x.view(1, 0, 0, 4)));
          backend.rope(new Op.Rope(RopePairing.HALF, 1, 8, table, table, none, none));
          backend.kvWrite(new Op.KvWrite(pages, 0, new long[0], none, none));
          Op.Ragged ragged = new Op.Ragged(new long[1], new long[0], new int[0][], new long[0], new long[0]);
          backend.attention(new Op.Attention(pages, 0, 1, true, 1, none, null, ragged, none));
          backend.gate(new Op.Gate(Activation.SILU, none, none, none));
          backend.route(new Op.Route(none, 2, true, new int[0], new float[0]));
          backend.gather(new Op.Gather(x, new int[0], none));
          backend.combine(new Op.Combine(x, 2, new int[0], new float[0], null, none));
          backend.sample(new Op.Sample(none, new SampleRow[0], new int[0], null));
          backend.topLogProbabilities(new Op.TopLogProbabilities(none, 3, new int[0], new float[0]));
          return x.toArray();
        }
      });
    }
  }
}
