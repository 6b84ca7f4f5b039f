package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Attention over paged keys and values: the native kernels of each instruction set against the Java reference. */
@ExtendWith(MemoryBaseline.class)
class AttentionTest {
  @Test
  void agreesWithTheReference() {
    try (OpComparison comparison = new OpComparison()) {
      for (Cases.Case c : Cases.read("attention")) {
        List<DType> dtypes = c.text("dtype").equals("all") ? List.of(DType.values())
            : List.of(DType.valueOf(c.text("dtype").toUpperCase(Locale.ROOT)));
        for (DType dtype : dtypes) {
          // Outputs are averages of values around 1; scores around 1 are exponentiated in float32 after dots over the head dimension.
          // Weights on int8 pages keep 15 bits of the largest of their tile; where rounding falls differs with the last bits of a score.
          Problem problem = new Problem(c, dtype, dtype == DType.S8 ? Compute.INT8 : Compute.EXACT);
          comparison.within(c + " " + dtype, problem.dim * 2e-6 + (dtype == DType.S8 ? 2e-4 : 4e-6), problem::run);
          if (dtype == DType.F16) {
            // GPUs round queries and weights.
            comparison.within(c + " F16", 2e-3, new Problem(c, dtype, Compute.F16)::run);
          }
          if (dtype == DType.BF16) {
            // An instruction set without bfloat16 dot products does not round queries and weights.
            comparison.within(c + " BF16 dot", 2e-2, new Problem(c, dtype, Compute.BF16)::run);
          }
        }
      }
    }
  }

  @Test
  void pagesThatNoQuerySeesAreNotRead() {
    // A window of 70 over 300 keys with 5 sinks: pages 1 and 2 are gone, page 0 is needed for the sinks.
    try (OpComparison comparison = new OpComparison()) {
      Op.Ragged ragged = new Op.Ragged(new long[] {0, 2}, new long[] {300}, new int[][] {{0, -1, -1, 3, 4}}, new long[] {70},
          new long[] {5});
      float[] q = new TestInputs("window").floats(2 * 16);
      float[] k = new TestInputs("window keys").floats(300 * 16);
      comparison.within("window", 1e-5, backend -> {
        try (KvPages pages = backend.kvPages(new KvPages.Spec(5, 1, 1, 16, DType.F32));
            Tensor queries = TestBackends.tensor(backend, 2, 16, q);
            Tensor keys = TestBackends.tensor(backend, 300, 16, k);
            Tensor out = backend.tensor(MemoryTag.OTHER, 2, 16)) {
          for (int page = 0; page < 5; page++) {
            pages.poison(page);
          }
          long[] slots = IntStream.range(0, 300).mapToLong(i -> i >= 5 && i < 229 ? -1 : i).toArray();
          backend.kvWrite(new Op.KvWrite(pages, 0, slots, keys, keys));
          backend.attention(new Op.Attention(pages, 0, 1, true, 0.25f, queries, null, ragged, out));
          float[] result = out.toArray();
          for (float value : result) {
            assertThat(value).as("what is not visible must not be read").isNotNaN();
          }
          return result;
        }
      });
    }
  }

  /** A case with inputs, on pages of a shuffled order. */
  private static final class Problem {
    private final int dim;
    private final int heads;
    private final int kvHeads;
    private final boolean causal;
    private final int pad;
    private final int offset;
    private final DType dtype;
    private final Compute compute;
    private final Op.Ragged ragged;
    private final int pages;
    private final long[][] slots;
    private final float[] q;
    private final float[] qSink;
    private final float[][] k;
    private final float[][] v;

    Problem(Cases.Case c, DType dtype, Compute compute) {
      this.compute = compute;
      dim = c.number("dim");
      heads = c.number("heads");
      kvHeads = c.number("kv_heads");
      causal = c.number("causal") != 0;
      pad = c.number("q_pad");
      offset = c.number("offset");
      this.dtype = dtype;
      String[] sequences = c.text("sequences").split(",");
      int count = sequences.length;
      ragged = new Op.Ragged(new long[count + 1], new long[count], new int[count][], new long[count], new long[count]);
      k = new float[count][];
      v = new float[count][];
      slots = new long[count][];
      int needed = 0;
      TestInputs inputs = new TestInputs(c + " " + dtype);
      for (int s = 0; s < count; s++) {
        long[] numbers = Arrays.stream(sequences[s].split("/")).mapToLong(Long::parseLong).toArray();
        ragged.queryBegin()[s + 1] = ragged.queryBegin()[s] + numbers[0];
        ragged.keyCount()[s] = numbers[1];
        ragged.window()[s] = numbers[2];
        ragged.sinks()[s] = numbers[3];
        needed += (numbers[1] + KvPages.PAGE_TOKENS - 1) / KvPages.PAGE_TOKENS;
        k[s] = inputs.floats((int) numbers[1] * kvHeads * dim);
        v[s] = inputs.floats((int) numbers[1] * kvHeads * dim);
      }
      pages = needed + 2;
      int[] order = inputs.distinct(needed, pages);
      int next = 0;
      for (int s = 0; s < count; s++) {
        int keys = (int) ragged.keyCount()[s];
        int[] table = new int[(keys + KvPages.PAGE_TOKENS - 1) / KvPages.PAGE_TOKENS];
        for (int i = 0; i < table.length; i++) {
          table[i] = order[next++];
        }
        ragged.pageTable()[s] = table;
        slots[s] = new long[keys];
        for (int j = 0; j < keys; j++) {
          slots[s][j] = (long) table[j / KvPages.PAGE_TOKENS] * KvPages.PAGE_TOKENS + j % KvPages.PAGE_TOKENS;
        }
      }
      q = inputs.floats(ragged.tokens() * heads * dim);
      qSink = c.number("q_sink") == 0 ? null : inputs.floats(ragged.tokens() * heads * dim);
    }

    float[] run(Backend backend) {
      int tokens = ragged.tokens();
      int width = heads * dim;
      try (KvPages pool = backend.kvPages(new KvPages.Spec(pages, 2, kvHeads, dim, dtype));
          Tensor qs = backend.tensor(MemoryTag.SCRATCH, tokens, offset + width + pad);
          Tensor sinkQs = backend.tensor(MemoryTag.SCRATCH, tokens, offset + width + pad);
          Tensor outs = backend.tensor(MemoryTag.SCRATCH, tokens, offset + width + pad);
          Tensor halves = backend.tensor(MemoryTag.SCRATCH, tokens, offset + width + pad, DType.BF16)) {
        for (int page = 0; page < pages; page++) {
          pool.poison(page);
        }
        for (int s = 0; s < k.length; s++) {
          if (slots[s].length > 0) {
            try (Tensor keys = TestBackends.tensor(backend, slots[s].length, kvHeads * dim, k[s]);
                Tensor values = TestBackends.tensor(backend, slots[s].length, kvHeads * dim, v[s])) {
              backend.kvWrite(new Op.KvWrite(pool, 1, slots[s], keys, values));
            }
          }
        }
        Tensor query = qs.columns(offset, width);
        query.copyFrom(q, 0);
        Tensor sinkQuery = sinkQs.columns(offset, width);
        Tensor out = outs.columns(offset, width);
        if (qSink != null) {
          sinkQuery.copyFrom(qSink, 0);
        }
        attend(backend, pool, query, sinkQuery, out);
        float[] result = out.toArray();
        Tensor narrow = halves.columns(offset, width);
        attend(backend, pool, query, sinkQuery, narrow);
        float[] rounded = result.clone();
        for (int i = 0; i < rounded.length; i++) {
          rounded[i] = FloatFormats.round(rounded[i], DType.BF16);
        }
        assertThat(narrow.toArray()).as("bfloat16 output").isEqualTo(rounded);
        return result;
      }
    }

    private void attend(Backend backend, KvPages pool, Tensor query, Tensor sinkQuery, Tensor out) {
      float scale = (float) (1 / Math.sqrt(dim));
      backend.attention(new Op.Attention(pool, 1, heads, causal, scale, query, qSink == null ? null : sinkQuery, ragged, compute, out));
    }
  }

  /** One key: its value comes back as the page stores it, an int8 multiple of its scale; NaN and infinity as NaN. */
  @Test
  void int8RowsComeBackAsMultiplesOfTheirScales() {
    float[] ordinary = new TestInputs("int8").floats(64);
    float[] infinite = ordinary.clone();
    infinite[3] = Float.NEGATIVE_INFINITY;
    for (float[] value : new float[][] {ordinary, new float[64], infinite}) {
      byte[] elements = new byte[64];
      float stored = Quantizer.row(value, 0, 64, elements, 0);
      try (OpComparison comparison = new OpComparison()) {
        comparison.within("int8", 1e-4, backend -> {
          try (KvPages pool = backend.kvPages(new KvPages.Spec(1, 1, 1, 64, DType.S8));
              Tensor k = TestBackends.tensor(backend, 1, 64, ordinary);
              Tensor v = TestBackends.tensor(backend, 1, 64, value);
              Tensor out = backend.tensor(MemoryTag.OTHER, 1, 64)) {
            backend.kvWrite(new Op.KvWrite(pool, 0, new long[] {0}, k, v));
            Op.Ragged one = new Op.Ragged(new long[] {0, 1}, new long[] {1}, new int[][] {{0}}, new long[1], new long[1]);
            backend.attention(new Op.Attention(pool, 0, 1, true, 1, k, null, one, out));
            float[] result = out.toArray();
            for (int i = 0; i < 64; i++) {
              if (Float.isNaN(stored)) {
                assertThat(result[i]).isNaN();
                result[i] = 0;
              } else {
                assertThat(result[i]).isCloseTo(elements[i] * stored, within(Math.abs(elements[i] * stored) * 1e-4f));
              }
            }
            return result;
          }
        });
      }
    }
  }

  @Test
  void keysAreStoredRoundedHalfToEven() {
    // One key: its value comes back as the page stores it.
    Random random = new TestInputs("stored").random();
    float[] value = new float[64];
    for (int i = 0; i < value.length; i++) {
      // On both sides of the middle between two bfloat16 numbers, or between two halves, of which some are subnormal.
      int bits = i % 2 == 0 ? 16 : 13;
      int tail = random.nextBoolean() ? 1 << bits - 1 : (1 << bits - 1) - 1;
      value[i] = Float.intBitsToFloat((127 - (i % 4 == 3 ? 16 : 0) + random.nextInt(4)) << 23 | random.nextInt(1 << 23 - bits) << bits | tail);
    }
    try (OpComparison comparison = new OpComparison()) {
      for (DType dtype : TestBackends.FLOATS) {
        comparison.same(dtype, backend -> {
          try (KvPages pool = backend.kvPages(new KvPages.Spec(1, 1, 1, 64, dtype));
              Tensor v = TestBackends.tensor(backend, 1, 64, value);
              Tensor out = backend.tensor(MemoryTag.OTHER, 1, 64)) {
            backend.kvWrite(new Op.KvWrite(pool, 0, new long[] {0}, v, v));
            Op.Ragged one = new Op.Ragged(new long[] {0, 1}, new long[] {1}, new int[][] {{0}}, new long[1], new long[1]);
            backend.attention(new Op.Attention(pool, 0, 1, true, 1, v, null, one, out));
            float[] result = out.toArray();
            for (int i = 0; i < 64; i++) {
              assertThat(result[i]).isEqualTo(FloatFormats.round(value[i], dtype));
            }
            return result;
          }
        });
      }
    }
  }
}
