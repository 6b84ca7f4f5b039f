package dev.lanes.cache;

import dev.lanes.backend.KvPages;
import java.util.Arrays;
import java.util.Objects;

/**
 * The page table of one sequence. Key j of the sequence lies in page {@code pageTable()[j / PAGE_TOKENS]} at
 * {@code j % PAGE_TOKENS}. Made by {@link KvCache}; used by one thread at a time.
 */
public final class SequencePages implements AutoCloseable {
  private static final int[] EMPTY = {};

  private final KvCache cache;
  /** Replaced, never changed, so that a step keeps the table it was given. */
  private int[] table;
  private int length;
  private int evictedPages;
  private boolean closed;

  SequencePages(KvCache cache, int[] table) {
    this.cache = cache;
    this.table = table;
    this.length = table.length * KvPages.PAGE_TOKENS;
  }

  /** Tokens that have a slot. */
  public int length() {
    return length;
  }

  /** Pages that {@link #reserve} of so many tokens would take from the pool. */
  public int pagesNeeded(int tokens) {
    requireCount(tokens);
    return KvCache.pagesFor(Math.addExact(length, tokens)) - table.length;
  }

  /**
   * Makes room for {@code tokens} more tokens after {@link #length()}: for all of them or for none.
   *
   * @throws CacheFullException if the pool has not that many pages; nothing has changed then
   */
  public void reserve(int tokens) {
    requireOpen();
    int pages = pagesNeeded(tokens);
    if (pages > 0) {
      table = cache.extend(table, pages);
    }
    length += tokens;
  }

  /** Slots of the tokens {@code from … from + count - 1}, as {@link dev.lanes.backend.Op.KvWrite} wants them. */
  public long[] slots(int from, int count) {
    long[] slots = new long[requireCount(count)];
    slots(from, count, slots, 0);
    return slots;
  }

  /** Writes the slots of the tokens {@code from … from + count - 1} to {@code destination[offset …]}; -1 where the page was evicted. */
  public void slots(int from, int count, long[] destination, int offset) {
    requireOpen();
    Objects.checkFromIndexSize(from, count, length);
    int[] pages = table;
    for (int i = 0; i < count; i++) {
      int page = pages[(from + i) / KvPages.PAGE_TOKENS];
      destination[offset + i] = page < 0 ? -1 : (long) page * KvPages.PAGE_TOKENS + (from + i) % KvPages.PAGE_TOKENS;
    }
  }

  /** The page numbers, -1 for evicted ones. Not to be changed; later changes of the sequence do not show in it. */
  public int[] pageTable() {
    requireOpen();
    return table;
  }

  /** Pages this sequence holds. */
  public int heldPages() {
    int held = 0;
    for (int page : table) {
      held += page >= 0 ? 1 : 0;
    }
    return held;
  }

  /**
   * Gives back the whole pages below {@code tokenIndex}, but keeps those with any of the first {@code sinks} tokens. Pages that
   * others share stay with the others.
   *
   * @return pages that this sequence gave up
   */
  public int evictBefore(int tokenIndex, int sinks) {
    requireOpen();
    if (tokenIndex < 0 || tokenIndex > length || sinks < 0) {
      throw new IllegalArgumentException(
          "evictBefore(" + tokenIndex + ", " + sinks + "): expected 0 <= tokenIndex <= " + length + " and sinks >= 0");
    }
    int first = Math.max(evictedPages, KvCache.pagesFor(sinks));
    int end = tokenIndex / KvPages.PAGE_TOKENS;
    if (first >= end) {
      return 0;
    }
    int[] kept = table.clone();
    int given = 0;
    for (int i = first; i < end; i++) {
      given += kept[i] >= 0 ? 1 : 0;
      kept[i] = -1;
    }
    int[] before = table;
    table = kept;
    evictedPages = end;
    cache.release(before, first, end);
    return given;
  }

  /**
   * A sequence that shares the first tokens of this one: as many whole pages as fit into {@code tokens}. The tokens must have been
   * computed; those behind the last whole page must be computed again ({@link #length()} of the result says from where).
   */
  public SequencePages fork(int tokens) {
    requireOpen();
    if (tokens < 0 || tokens > length) {
      throw new IllegalArgumentException("fork(" + tokens + ") of a sequence of " + length + " tokens");
    }
    return cache.share(Arrays.copyOf(table, tokens / KvPages.PAGE_TOKENS));
  }

  /** Gives all pages back. Closing twice does nothing. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      int[] before = table;
      table = EMPTY;
      length = 0;
      cache.close(this, before);
    }
  }

  int[] tableOrEmpty() {
    return table;
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the sequence's pages were given back");
    }
  }

  private static int requireCount(int count) {
    if (count < 0) {
      throw new IllegalArgumentException(count + " tokens");
    }
    return count;
  }
}
