package dev.lanes;

import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import dev.lanes.cache.KvCache;
import dev.lanes.error.InsufficientMemoryException;
import dev.lanes.model.ModelFootprint;

/** How many pages the KV cache gets. */
final class CacheSize {
  /** Tokens that the cache has room for beyond one full context, if nothing else is asked for. */
  private static final int DEFAULT_TOKENS = 16_384;

  private CacheSize() {}

  /**
   * The number of pages.
   *
   * @param cacheType element type of keys and values
   * @param contextLength tokens of one full sequence
   * @param fixedBytes weights and buffers
   * @param availableBytes free memory
   */
  static int pages(LoadOptions options, ModelFootprint footprint, DType cacheType, int contextLength, long fixedBytes, long availableBytes) {
    long pageBytes = footprint.kvBytes(1, cacheType);
    if (options.cacheTokens().isPresent() || options.cacheBytes().isPresent()) {
      long byTokens = options.cacheTokens().isPresent() ? KvCache.pagesFor(options.cacheTokens().getAsInt()) : Integer.MAX_VALUE;
      long byBytes = options.cacheBytes().isPresent() ? options.cacheBytes().getAsLong() / pageBytes : Integer.MAX_VALUE;
      if (byBytes == 0) {
        throw new InsufficientMemoryException("cacheBytes is " + options.cacheBytes().getAsLong() + ", but one page of "
            + KvPages.PAGE_TOKENS + " tokens takes " + pageBytes + " bytes", pageBytes, options.cacheBytes().getAsLong());
      }
      return (int) Math.min(byTokens, byBytes);
    }
    long several = Math.min((long) contextLength * options.maxBatch(), DEFAULT_TOKENS);
    int wanted = KvCache.pagesFor((int) Math.max(contextLength, several));
    int needed = options.contextLength().isPresent() ? KvCache.pagesFor(contextLength) : 1;
    // Half of what is free stays free: a default must not drive the machine out of memory.
    long affordable = Math.max(0, availableBytes - fixedBytes) / 2 / pageBytes;
    return (int) Math.max(needed, Math.min(wanted, affordable));
  }
}
