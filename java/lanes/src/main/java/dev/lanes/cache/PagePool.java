package dev.lanes.cache;

import java.util.Arrays;

/**
 * Numbers of the pages of a pool, with a reference count each: one reference for every sequence whose table names the page and
 * one when it is kept for prefix reuse. Not synchronised; {@link KvCache} is.
 */
final class PagePool {
  private final int[] references;
  private final boolean[] cached;
  private final int[] freeStack;
  private int free;
  private int idle;

  PagePool(int pages) {
    references = new int[pages];
    cached = new boolean[pages];
    freeStack = new int[pages];
    for (int i = 0; i < pages; i++) {
      freeStack[i] = pages - 1 - i;
    }
    free = pages;
  }

  int total() {
    return references.length;
  }

  int free() {
    return free;
  }

  /** Pages whose only reference is that of prefix reuse. */
  int idle() {
    return idle;
  }

  int references(int page) {
    return references[page];
  }

  /** Takes a free page with one reference; the caller has seen that there is one. */
  int take() {
    int page = freeStack[--free];
    references[page] = 1;
    return page;
  }

  void retain(int page) {
    if (references[page] == 0) {
      throw new IllegalStateException("page " + page + " is free and cannot be shared");
    }
    if (cached[page] && references[page] == 1) {
      idle--;
    }
    references[page]++;
  }

  void release(int page) {
    if (references[page] == 0) {
      throw new IllegalStateException("page " + page + " was given back twice");
    }
    references[page]--;
    if (references[page] == 0) {
      freeStack[free++] = page;
    } else if (references[page] == 1 && cached[page]) {
      idle++;
    }
  }

  /** Adds the reference of prefix reuse to a page that a sequence holds. */
  void cache(int page) {
    if (cached[page]) {
      throw new IllegalStateException("page " + page + " is kept for reuse already");
    }
    retain(page);
    cached[page] = true;
  }

  /** Takes the reference of prefix reuse away. */
  void uncache(int page) {
    if (!cached[page]) {
      throw new IllegalStateException("page " + page + " is not kept for reuse");
    }
    if (references[page] == 1) {
      idle--;
    }
    cached[page] = false;
    release(page);
  }

  boolean isCached(int page) {
    return cached[page];
  }

  /**
   * Compares the counts with what the holders of pages say.
   *
   * @param expected references of each page, counted from the tables of all sequences and the pages kept for reuse
   * @throws IllegalStateException naming the first page that is wrong
   */
  void check(int[] expected) {
    boolean[] onStack = new boolean[references.length];
    for (int i = 0; i < free; i++) {
      int page = freeStack[i];
      require(!onStack[page], page, "is twice on the free list");
      onStack[page] = true;
    }
    int held = 0;
    int idleCount = 0;
    for (int page = 0; page < references.length; page++) {
      require(references[page] == expected[page], page, "counts " + references[page] + " references, its holders are " + expected[page]);
      require(onStack[page] == (references[page] == 0), page, "has " + references[page] + " references and is "
          + (onStack[page] ? "" : "not ") + "on the free list");
      require(!cached[page] || references[page] > 0, page, "is kept for reuse without a reference");
      held += references[page] > 0 ? 1 : 0;
      idleCount += cached[page] && references[page] == 1 ? 1 : 0;
    }
    if (free + held != references.length || idleCount != idle) {
      throw new IllegalStateException("page accounting: " + free + " free + " + held + " held of " + references.length + " pages; "
          + idle + " counted as idle, " + idleCount + " are; references " + Arrays.toString(references));
    }
  }

  private static void require(boolean condition, int page, String problem) {
    if (!condition) {
      throw new IllegalStateException("page accounting: page " + page + " " + problem);
    }
  }
}
