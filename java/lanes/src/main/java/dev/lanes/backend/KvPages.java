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
   * @param dtype {@link DType#F32} or {@link DType#BF16}
   */
  record Spec(int pages, int layers, int kvHeads, int headDim, DType dtype) {
    /** The same shape with another number of pages. */
    public Spec withPages(int count) {
      return new Spec(count, layers, kvHeads, headDim, dtype);
    }
  }

  Spec spec();

  long bytes();

  /** Fills a page with NaN; a test then sees every read of what was not written. */
  void poison(int page);

  @Override
  void close();
}
