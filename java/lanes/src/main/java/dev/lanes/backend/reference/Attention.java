package dev.lanes.backend.reference;

import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.backend.FloatFormats;
import dev.lanes.backend.KvPages;
import dev.lanes.backend.Op;
import java.util.Arrays;

/** Writing keys and values to pages, and attention over them. Arguments have been checked. */
final class Attention {
  private Attention() {}

  static void write(Op.KvWrite op) {
    ReferenceKvPages pages = (ReferenceKvPages) op.pages();
    Object[] data = pages.data();
    ReferenceTensor k = (ReferenceTensor) op.k();
    ReferenceTensor v = (ReferenceTensor) op.v();
    int headDim = pages.spec().headDim();
    Op.Rotation asked = op.rotation();
    Rows.HeadRotation rotation = asked == null ? null
        : new Rows.HeadRotation(asked.pairing(), headDim, (ReferenceTensor) asked.cos(), (ReferenceTensor) asked.sin());
    float[] rotated = new float[headDim];
    for (int t = 0; t < op.slots().length; t++) {
      long slot = op.slots()[t];
      if (rotation != null && asked.q() instanceof ReferenceTensor q) {
        for (int at = q.row(t); at < q.row(t) + q.columns(); at += headDim) {
          rotation.apply(t, q.data(), at, q.data(), at);
        }
      }
      if (slot < 0) {
        continue;
      }
      Object page = pages.page(data, op.layer(), (int) (slot / KvPages.PAGE_TOKENS));
      int offset = (int) (slot % KvPages.PAGE_TOKENS);
      for (int h = 0; h < pages.spec().kvHeads(); h++) {
        int key = k.row(t) + h * headDim;
        if (rotation == null) {
          pages.store(page, pages.index(false, h, offset), k.data(), key);
        } else {
          rotation.apply(t, k.data(), key, rotated, 0);
          pages.store(page, pages.index(false, h, offset), rotated, 0);
        }
        pages.store(page, pages.index(true, h, offset), v.data(), v.row(t) + h * headDim);
      }
    }
  }

  static void run(Op.Attention op, Parallel parallel) {
    long[] begin = op.ragged().queryBegin();
    long pairs = 0;
    for (int s = 0; s < op.ragged().sequences(); s++) {
      pairs += (begin[s + 1] - begin[s]) * op.ragged().keyCount()[s];
    }
    long work = pairs * op.heads() * op.pages().spec().headDim();
    parallel.run(op.ragged().tokens() * op.heads(), work, (from, to) -> {
      int sequence = 0;
      for (int item = from; item < to; item++) {
        int token = item / op.heads();
        while (token >= begin[sequence + 1]) {
          sequence++;
        }
        new Query(op, sequence, token, item % op.heads()).run();
      }
    });
  }

  /** One query of one head against the keys it sees. */
  private static final class Query {
    private final Op.Attention op;
    private final ReferenceKvPages pages;
    private final Object[] data;
    private final int sequence;
    private final int token;
    private final int head;
    private final int kvHead;
    private final int headDim;

    Query(Op.Attention op, int sequence, int token, int head) {
      this.op = op;
      this.pages = (ReferenceKvPages) op.pages();
      this.data = pages.data();
      this.sequence = sequence;
      this.token = token;
      this.head = head;
      this.kvHead = head / (op.heads() / pages.spec().kvHeads());
      this.headDim = pages.spec().headDim();
    }

    void run() {
      Op.Ragged ragged = op.ragged();
      int keys = (int) ragged.keyCount()[sequence];
      long position = keys - ragged.queryBegin()[sequence + 1] + token;
      double[] query = query((ReferenceTensor) op.q());
      double[] sinkQuery = op.qSink() == null ? query : query((ReferenceTensor) op.qSink());
      double[] weights = new double[keys];
      double largest = Double.NEGATIVE_INFINITY;
      for (int j = 0; j < keys; j++) {
        weights[j] = visible(j, position) ? score(j < ragged.sinks()[sequence] ? sinkQuery : query, j) : Double.NEGATIVE_INFINITY;
        largest = Math.max(largest, weights[j]);
      }
      double sum = 0;
      for (int j = 0; j < keys; j++) {
        double weight = visible(j, position) ? Math.exp(weights[j] - largest) : 0;
        weights[j] = op.compute() == Compute.BF16 ? FloatFormats.round((float) weight, DType.BF16) : weight;
        sum += weights[j];
      }
      double[] result = new double[headDim];
      for (int begin = 0; begin < keys; begin += KvPages.PAGE_TOKENS) {
        addTile(begin, Math.min(keys, begin + KvPages.PAGE_TOKENS), position, weights, result);
      }
      float[] row = new float[headDim];
      for (int i = 0; i < headDim; i++) {
        row[i] = (float) (result[i] / sum);
      }
      ((ReferenceTensor) op.out().columns(head * headDim, headDim)).store(token, row, 0);
    }

    /** Adds the values of one page. The weights of int8 values, with their scales, are rounded to 16 bits together. */
    private void addTile(int begin, int end, long position, double[] weights, double[] result) {
      boolean int8 = op.compute() == Compute.INT8;
      double[] factors = Arrays.copyOfRange(weights, begin, end);
      for (int j = begin; int8 && j < end; j++) {
        factors[j - begin] = weights[j] == 0 ? 0 : weights[j] * pages.scale(page(j), pages.index(true, kvHead, j % KvPages.PAGE_TOKENS));
      }
      if (int8) {
        roundTo16Bits(factors);
      }
      for (int j = begin; j < end; j++) {
        if (!visible(j, position) || int8 && weights[j] == 0) {
          continue;
        }
        int value = pages.index(true, kvHead, j % KvPages.PAGE_TOKENS);
        for (int i = 0; i < headDim; i++) {
          result[i] += factors[j - begin] * pages.load(page(j), value + i);
        }
      }
    }

    /** The query, rounded as {@code compute} says: the kernels multiply it with {@code scale * log2(e)} first. */
    private double[] query(ReferenceTensor q) {
      double factor = op.scale() * 1.4426950408889634;
      double[] query = new double[headDim];
      for (int i = 0; i < headDim; i++) {
        float x = q.data()[q.row(token) + head * headDim + i];
        query[i] = switch (op.compute()) {
          case EXACT, F16 -> x;
          case BF16 -> FloatFormats.round(x * (float) factor, DType.BF16);
          case INT8 -> x * (float) factor;
        };
      }
      if (op.compute() == Compute.EXACT || op.compute() == Compute.F16) {
        return query;
      }
      if (op.compute() == Compute.INT8) {
        roundTo16Bits(query);
      }
      for (int i = 0; i < headDim; i++) {
        query[i] /= factor;
      }
      return query;
    }

    /** Rounds to multiples of the power of two that the largest is 2^14 to 2^15 times of; to NaN, if one is not finite. */
    private static void roundTo16Bits(double[] x) {
      double largest = 0;
      for (double value : x) {
        largest = Double.isFinite(value) ? Math.max(largest, Math.abs(value)) : Double.NaN;
      }
      double unit = Double.isNaN(largest) ? Double.NaN : Math.scalb(1.0, Math.max(-112, Math.getExponent(largest)) - 14);
      for (int i = 0; i < x.length; i++) {
        x[i] = Math.min(32767, Math.rint(x[i] / unit)) * unit;
      }
    }

    private boolean visible(int key, long position) {
      if (!op.causal()) {
        return true;
      }
      long window = op.ragged().window()[sequence];
      return key <= position && (window == 0 || key > position - window || key < op.ragged().sinks()[sequence]);
    }

    private double score(double[] query, int key) {
      Object page = page(key);
      int at = pages.index(false, kvHead, key % KvPages.PAGE_TOKENS);
      double sum = 0;
      for (int i = 0; i < headDim; i++) {
        sum += query[i] * pages.load(page, at + i);
      }
      return op.scale() * sum * pages.scale(page, at);
    }

    private Object page(int key) {
      return pages.page(data, op.layer(), op.ragged().pageTable()[sequence][key / KvPages.PAGE_TOKENS]);
    }
  }
}
