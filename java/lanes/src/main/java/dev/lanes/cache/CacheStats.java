package dev.lanes.cache;

/**
 * Where the pages of a {@link KvCache} are. {@code freePages + idlePages + sequencePages = totalPages}.
 *
 * @param totalPages pages of the pool
 * @param freePages pages nobody holds
 * @param idlePages pages only kept for prefix reuse; taken back when pages are needed
 * @param sequencePages pages that at least one open sequence holds, each counted once
 * @param sequences open sequences
 * @param prefixHits sequences that began with pages of an earlier one
 * @param reusedTokens tokens that did not have to be computed again, since the cache was made
 */
public record CacheStats(
    int totalPages, int freePages, int idlePages, int sequencePages, int sequences, long prefixHits, long reusedTokens) {
  /** Pages that a new sequence could get. */
  public int availablePages() {
    return freePages + idlePages;
  }
}
