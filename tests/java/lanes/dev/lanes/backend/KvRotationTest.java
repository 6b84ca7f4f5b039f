package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Keys rotated on their way into the pages, beside the same done by two ops: bit for bit. */
@ExtendWith(MemoryBaseline.class)
class KvRotationTest {
  static List<BackendOptions> all() {
    return TestBackends.all();
  }

  /** Tokens with their queries, keys and values as columns of one matrix. */
  private record Problem(RopePairing pairing, int heads, int kvHeads, int headDim, int half, int tokens, DType dtype) {
    int queries() {
      return heads * headDim;
    }

    int keys() {
      return kvHeads * headDim;
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void givesWhatRopeAndThenAWriteGive(BackendOptions options) {
    try (Backend b = Backends.open(options)) {
      for (RopePairing pairing : RopePairing.values()) {
        for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16, DType.S8)) {
          for (int[] shape : new int[][] {{4, 2, 16, 8, 5}, {3, 3, 7, 2, 70}, {8, 2, 64, 32, 1}, {2, 1, 64, 16, 20}}) {
            Problem p = new Problem(pairing, shape[0], shape[1], shape[2], shape[3], shape[4], dtype);
            float[] apart = run(b, p, false);
            assertThat(run(b, p, true)).as(TestInputs.context(p.toString())).isEqualTo(apart);
          }
        }
      }
    }
  }

  /** The queries, rotated, and what they see. */
  private static float[] run(Backend b, Problem p, boolean fused) {
    TestInputs inputs = new TestInputs(p.toString());
    int width = p.queries() + 2 * p.keys();
    int pages = p.tokens() / KvPages.PAGE_TOKENS + 2;
    try (KvPages pool = b.kvPages(new KvPages.Spec(pages, 1, p.kvHeads(), p.headDim(), p.dtype()));
        Tensor qkv = TestBackends.tensor(b, p.tokens(), width, inputs.floats(p.tokens() * width));
        Tensor cos = TestBackends.tensor(b, p.tokens(), p.half(), inputs.floats(p.tokens() * p.half()));
        Tensor sin = TestBackends.tensor(b, p.tokens(), p.half(), inputs.floats(p.tokens() * p.half()));
        Tensor out = b.tensor(MemoryTag.OTHER, p.tokens(), p.queries())) {
      Tensor q = qkv.columns(0, p.queries());
      Tensor k = qkv.columns(p.queries(), p.keys());
      Tensor v = qkv.columns(p.queries() + p.keys(), p.keys());
      long[] slots = new long[p.tokens()];
      int[] table = new int[pages - 1];
      for (int t = 0; t < slots.length; t++) {
        slots[t] = KvPages.PAGE_TOKENS + t;
        table[t / KvPages.PAGE_TOKENS] = t / KvPages.PAGE_TOKENS + 1;
      }
      if (fused) {
        b.kvWrite(new Op.KvWrite(pool, 0, slots, k, v, new Op.Rotation(p.pairing(), cos, sin, q)));
      } else {
        Tensor rotated = qkv.columns(0, p.queries() + p.keys());
        b.rope(new Op.Rope(p.pairing(), p.heads() + p.kvHeads(), p.headDim(), cos, sin, rotated, rotated));
        b.kvWrite(new Op.KvWrite(pool, 0, slots, k, v));
      }
      // One after the other: an op must not leave its rotation to the next.
      b.kvWrite(new Op.KvWrite(pool, 0, new long[] {0}, k.rows(0, 1), v.rows(0, 1)));
      Op.Ragged ragged = new Op.Ragged(new long[] {0, p.tokens()}, new long[] {p.tokens()}, new int[][] {table}, new long[1], new long[1]);
      b.attention(new Op.Attention(pool, 0, p.heads(), true, 1, q, null, ragged, out));
      float[] result = new float[2 * p.tokens() * p.queries()];
      q.copyTo(result, 0);
      out.copyTo(result, p.tokens() * p.queries());
      return result;
    }
  }
}
