package dev.lanes.quantize;

import dev.lanes.backend.DType;
import dev.lanes.backend.Op;
import dev.lanes.backend.Tensor;
import dev.lanes.cache.KvCache;
import dev.lanes.cache.SequencePages;
import dev.lanes.model.StepBatch;
import dev.lanes.model.TransformerModel;

/** Puts windows of tokens through a model, chunk by chunk, with the logits of every position. */
final class WindowRunner implements LogitSource, AutoCloseable {
  /** Logits in memory at once. */
  private static final int MAX_LOGITS = 8 << 20;
  private static final int MAX_CHUNK = 512;

  private final TransformerModel model;
  private final Runnable prepare;
  private final KvCache cache;
  private SequencePages pages;
  private int[] tokens;
  private int done;

  /**
   * @param longest tokens of the longest window
   * @param prepare runs before each step
   */
  WindowRunner(TransformerModel model, int longest, Runnable prepare) {
    this.model = model;
    this.prepare = prepare;
    cache = new KvCache(model.backend(), model.kvSpec(KvCache.pagesFor(longest), DType.F32),
        KvCache.Options.defaults().withPrefixReuse(false));
  }

  /** The most tokens of a chunk with logits. */
  static int chunk(int vocabulary) {
    return Math.max(1, Math.min(MAX_CHUNK, MAX_LOGITS / vocabulary));
  }

  @Override
  public int vocabulary() {
    return model.config().vocabSize();
  }

  @Override
  public void start(int[] window) {
    stop();
    pages = cache.sequence();
    tokens = window;
    done = 0;
  }

  @Override
  public float[] next(int count) {
    return forward(count, true).toArray();
  }

  /** Puts a whole window through the model without logits. */
  void observe(int[] window) {
    start(window);
    while (done < tokens.length) {
      forward(Math.min(MAX_CHUNK, tokens.length - done), false);
    }
    stop();
  }

  private Tensor forward(int count, boolean logits) {
    pages.reserve(count);
    int[] ids = new int[count];
    long[] positions = new long[count];
    int[] rows = new int[logits ? count : 0];
    System.arraycopy(tokens, done, ids, 0, count);
    for (int i = 0; i < count; i++) {
      positions[i] = done + i;
    }
    for (int i = 0; i < rows.length; i++) {
      rows[i] = i;
    }
    Op.Ragged ragged = new Op.Ragged(new long[] {0, count}, new long[] {done + count}, new int[][] {pages.pageTable()}, new long[1],
        new long[1]);
    long[] slots = pages.slots(done, count);
    done += count;
    prepare.run();
    return model.forward(new StepBatch(ids, positions, null, cache.pages(), slots, ragged, rows, StepBatch.Hidden.NONE)).logits();
  }

  private void stop() {
    if (pages != null) {
      pages.close();
      pages = null;
    }
  }

  @Override
  public void close() {
    stop();
    cache.close();
  }
}
