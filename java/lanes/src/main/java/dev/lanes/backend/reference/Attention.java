package dev.lanes.backend.reference;

import dev.lanes.backend.KvPages;
import dev.lanes.backend.Op;

/** Writing keys and values to pages, and attention over them. Arguments have been checked. */
final class Attention {
  private Attention() {}

  static void write(Op.KvWrite op) {
    ReferenceKvPages pages = (ReferenceKvPages) op.pages();
    Object[] data = pages.data();
    ReferenceTensor k = (ReferenceTensor) op.k();
    ReferenceTensor v = (ReferenceTensor) op.v();
    int headDim = pages.spec().headDim();
    for (int t = 0; t < op.slots().length; t++) {
      long slot = op.slots()[t];
      if (slot < 0) {
        continue;
      }
      Object page = pages.page(data, op.layer(), (int) (slot / KvPages.PAGE_TOKENS));
      int offset = (int) (slot % KvPages.PAGE_TOKENS);
      for (int h = 0; h < pages.spec().kvHeads(); h++) {
        int key = pages.index(false, h, offset);
        int value = pages.index(true, h, offset);
        for (int i = 0; i < headDim; i++) {
          pages.store(page, key + i, k.data()[k.row(t) + h * headDim + i]);
          pages.store(page, value + i, v.data()[v.row(t) + h * headDim + i]);
        }
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
      double[] scores = new double[keys];
      double largest = Double.NEGATIVE_INFINITY;
      for (int j = 0; j < keys; j++) {
        scores[j] = visible(j, position) ? op.scale() * score(j) : Double.NEGATIVE_INFINITY;
        largest = Math.max(largest, scores[j]);
      }
      double sum = 0;
      double[] result = new double[headDim];
      for (int j = 0; j < keys; j++) {
        if (!visible(j, position)) {
          continue;
        }
        double weight = Math.exp(scores[j] - largest);
        sum += weight;
        Object page = page(j);
        int value = pages.index(true, kvHead, j % KvPages.PAGE_TOKENS);
        for (int i = 0; i < headDim; i++) {
          result[i] += weight * pages.load(page, value + i);
        }
      }
      ReferenceTensor out = (ReferenceTensor) op.out();
      for (int i = 0; i < headDim; i++) {
        out.data()[out.row(token) + head * headDim + i] = (float) (result[i] / sum);
      }
    }

    private boolean visible(int key, long position) {
      if (!op.causal()) {
        return true;
      }
      long window = op.ragged().window()[sequence];
      return key <= position && (window == 0 || key > position - window || key < op.ragged().sinks()[sequence]);
    }

    private double score(int key) {
      boolean sink = op.qSink() != null && key < op.ragged().sinks()[sequence];
      ReferenceTensor q = (ReferenceTensor) (sink ? op.qSink() : op.q());
      int query = q.row(token) + head * headDim;
      Object page = page(key);
      int at = pages.index(false, kvHead, key % KvPages.PAGE_TOKENS);
      double sum = 0;
      for (int i = 0; i < headDim; i++) {
        sum += (double) q.data()[query + i] * pages.load(page, at + i);
      }
      return sum;
    }

    private Object page(int key) {
      return pages.page(data, op.layer(), op.ragged().pageTable()[sequence][key / KvPages.PAGE_TOKENS]);
    }
  }
}
