package dev.lanes.backend;

/** The memory of a KV cache: equal pages of {@link #PAGE_TOKENS} tokens, each with the keys and values of every layer. */
public interface KvPages extends AutoCloseable {
  /** Tokens in a page. */
  int PAGE_TOKENS = 64;

  /**
   * Shape of a pool.
   *
   * @param pages number of pages
   * @param layers layers that share the page numbers
   * @param dtype {@link DType#F32}; {@link DType#BF16} or {@link DType#F16}, to which keys and values are rounded half to even (in F16
   *     what is beyond 65504 becomes infinite); or {@link DType#S8}: int8 with a float32 scale for each key, and each value, of a token and
   *     kv head, which is {@code max|x| / 127} ({@link Quantizer})
   */
  record Spec(int pages, int layers, int kvHeads, int headDim, DType dtype) {
    /** The same shape with another number of pages. */
    public Spec withPages(int count) {
      return new Spec(count, layers, kvHeads, headDim, dtype);
    }
  }

  Spec spec();

  long bytes();

  /** Fills a page (of int8, its scales) with NaN; a test then sees every read of what was not written. */
  void poison(int page);

  @Override
  void close();
}
