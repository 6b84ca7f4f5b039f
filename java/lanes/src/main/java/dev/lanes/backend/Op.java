package dev.lanes.backend;

/**
 * The operations of a {@link Backend}, one record each. The header {@code native/include/lanes/lanes.h} is their full contract;
 * shapes are [rows, columns]. A {@link Tensor} is float32 unless its parameter says that it may be bfloat16. A parameter that may be null
 * says so.
 */
public sealed interface Op {
  /** {@code y[t] = weight[ids[t]]}, added to y when {@code accumulate}. {@code y} is [ids.length, weight.columns]. */
  record Embed(PackedWeight weight, int[] ids, boolean accumulate, Tensor y) implements Op {}

  /**
   * {@code y = residual + activation(x weight^T + bias)}.
   *
   * @param x [m, k], float32 or, unless the weight is S8, bfloat16; or null when {@code quantized} is given
   * @param quantized [m, k], rows that are int8 already, for a weight of {@link DType#S8}; or null
   * @param inputScale what {@code x} is quantized with for a weight of S8; 0 for each row's own scale, and with anything else
   * @param weight [n, k]
   * @param bias [1, n] or null
   * @param residual [m, n] or null; may be y
   * @param y [m, n], float32 or bfloat16
   */
  record Linear(Tensor x, QuantizedTensor quantized, float inputScale, PackedWeight weight, Tensor bias, Tensor residual,
      Activation activation, Compute compute, Tensor y) implements Op {
    /** Of rows of floats, quantized each with its own scale where the weight is S8. */
    public Linear(Tensor x, PackedWeight weight, Tensor bias, Tensor residual, Activation activation, Compute compute, Tensor y) {
      this(x, null, 0, weight, bias, residual, activation, compute, y);
    }
  }

  /**
   * {@code s = x + residual; sum = s; y = norm(s)}.
   *
   * @param residual like x, or null
   * @param weight [1, columns]
   * @param bias [1, columns] or null
   * @param sum like x, or null; may be x or residual
   * @param y like x, float32 or bfloat16; may be x or residual, but not sum; or null when {@code quantized} is given
   * @param quantized out, like x: y quantized; or null
   * @param outputScale what y is quantized with; 0 for each row's own scale
   */
  record Norm(NormKind kind, float epsilon, Tensor x, Tensor residual, Tensor weight, Tensor bias, Tensor sum, Tensor y,
      QuantizedTensor quantized, float outputScale) implements Op {
    /** Without int8 rows. */
    public Norm(NormKind kind, float epsilon, Tensor x, Tensor residual, Tensor weight, Tensor bias, Tensor sum, Tensor y) {
      this(kind, epsilon, x, residual, weight, bias, sum, y, null, 0);
    }
  }

  /**
   * Cosines and sines of {@code positions[t] * inverseFrequency[i]}, times {@code scale}; angles in double precision.
   *
   * @param cos [tokens, inverseFrequency.length], contiguous
   * @param sin [tokens, inverseFrequency.length], contiguous
   */
  record RopeTable(long[] positions, double[] inverseFrequency, float scale, Tensor cos, Tensor sin) implements Op {}

  /**
   * Rotates the first {@code 2 * cos.columns} dimensions of each head.
   *
   * @param x [tokens, heads * headDim]
   * @param y like x; may be x
   */
  record Rope(RopePairing pairing, int heads, int headDim, Tensor cos, Tensor sin, Tensor x, Tensor y) implements Op {}

  /**
   * Stores keys and values in pages.
   *
   * @param slots [tokens]: {@code page * KvPages.PAGE_TOKENS + offset}, or -1 for a token that is not kept
   * @param k [tokens, kvHeads * headDim], not changed
   * @param v [tokens, kvHeads * headDim]
   * @param rotation how keys are rotated before they are stored, or null
   */
  record KvWrite(KvPages pages, int layer, long[] slots, Tensor k, Tensor v, Rotation rotation) implements Op {
    /** Of keys as they are. */
    public KvWrite(KvPages pages, int layer, long[] slots, Tensor k, Tensor v) {
      this(pages, layer, slots, k, v, null);
    }
  }

  /**
   * Rotates the first {@code 2 * cos.columns} dimensions of each key that {@link KvWrite} stores, and of each query in place; the same
   * numbers as {@link Rope} gives.
   *
   * @param cos [tokens, pairs], contiguous
   * @param sin like cos
   * @param q [tokens, heads * headDim], of all tokens, kept or not; or null. Shares no memory with the other tensors
   */
  record Rotation(RopePairing pairing, Tensor cos, Tensor sin, Tensor q) {}

  /**
   * Fused masked attention of a ragged batch over paged keys and values.
   *
   * @param q [tokens, heads * headDim]
   * @param qSink like q, or null: the queries for keys below {@code ragged.sinks}, when positions are re-numbered (StreamingLLM)
   * @param compute {@link Compute#EXACT}; {@link Compute#BF16} for bfloat16 pages, {@link Compute#F16} for those of IEEE halves: queries and
   *     weights are rounded to the same type; {@link Compute#INT8} for int8 pages, and the only one for them: queries and weights become
   *     16-bit integers
   * @param out like q, or of bfloat16: the results rounded half to even; may be q when qSink is null
   */
  record Attention(KvPages pages, int layer, int heads, boolean causal, float scale, Tensor q, Tensor qSink, Ragged ragged,
      Compute compute, Tensor out) implements Op {
    /** The most exact that the pages allow. */
    public Attention(KvPages pages, int layer, int heads, boolean causal, float scale, Tensor q, Tensor qSink, Ragged ragged, Tensor out) {
      this(pages, layer, heads, causal, scale, q, qSink, ragged,
          pages != null && pages.spec().dtype() == DType.S8 ? Compute.INT8 : Compute.EXACT, out);
    }
  }

  /**
   * Which query rows and which pages belong to which sequence. Made once a step, used by every layer.
   *
   * @param queryBegin [sequences + 1], ascending from 0 to tokens; a sequence's queries are its last tokens
   * @param keyCount [sequences]: keys of each sequence, those of this step included
   * @param pageTable [sequences][]: page of key j at {@code j / PAGE_TOKENS}; -1 where nothing is visible any more
   * @param window [sequences]: how many of the latest keys a query sees, 0 for all
   * @param sinks [sequences]: how many of the first keys stay visible beside the window
   */
  record Ragged(long[] queryBegin, long[] keyCount, int[][] pageTable, long[] window, long[] sinks) {
    public int sequences() {
      return keyCount.length;
    }

    public int tokens() {
      return Math.toIntExact(queryBegin[queryBegin.length - 1]);
    }
  }

  /**
   * {@code y = activation(gate) * up}; all [rows, columns].
   *
   * @param y float32 or bfloat16; may be gate or up; or null when {@code quantized} is given
   * @param quantized out: y quantized; or null
   * @param outputScale what y is quantized with; 0 for each row's own scale
   */
  record Gate(Activation activation, Tensor gate, Tensor up, Tensor y, QuantizedTensor quantized, float outputScale) implements Op {
    /** Without int8 rows. */
    public Gate(Activation activation, Tensor gate, Tensor up, Tensor y) {
      this(activation, gate, up, y, null, 0);
    }
  }

  /**
   * The experts of each token, by largest softmax probability.
   *
   * @param logits [tokens, experts]
   * @param normalize whether the chosen probabilities are divided by their sum
   * @param expert out, [tokens * topK]
   * @param weight out, [tokens * topK]
   */
  record Route(Tensor logits, int topK, boolean normalize, int[] expert, float[] weight) implements Op {}

  /** {@code y[i] = x[index[i]]}. */
  record Gather(Tensor x, int[] index, Tensor y) implements Op {}

  /**
   * {@code y[t] = residual[t] + sum over j in order of weight[t, j] * x[index[t, j]]}.
   *
   * @param index [tokens * terms]
   * @param weight [tokens * terms]
   * @param residual like y, or null; may be y
   */
  record Combine(Tensor x, int terms, int[] index, float[] weight, Tensor residual, Tensor y) implements Op {}

  /**
   * Chooses a token for each row.
   *
   * @param logits [rows, vocabulary], not changed
   * @param rows [rows]
   * @param token out, [rows]
   * @param logProbability out, [rows], log-softmax of the untouched logits at the chosen token; or null
   */
  record Sample(Tensor logits, SampleRow[] rows, int[] token, float[] logProbability) implements Op {}

  /**
   * The largest log-probabilities of each row.
   *
   * @param token out, [rows * topK]
   * @param logProbability out, [rows * topK], largest first
   */
  record TopLogProbabilities(Tensor logits, int topK, int[] token, float[] logProbability) implements Op {}
}
