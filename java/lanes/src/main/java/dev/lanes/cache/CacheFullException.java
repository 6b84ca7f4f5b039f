package dev.lanes.cache;

import dev.lanes.error.LanesException;

/** A sequence asked for more KV pages than are free or can be made free. Nothing was changed; retry once others gave pages back. */
public class CacheFullException extends LanesException {
  private final int neededPages;
  private final int availablePages;
  private final int totalPages;

  public CacheFullException(int neededPages, int availablePages, int totalPages) {
    super("the KV cache is full: " + neededPages + " pages needed, " + availablePages + " of " + totalPages
        + " available; use a larger cache, a shorter context or fewer sequences at once");
    this.neededPages = neededPages;
    this.availablePages = availablePages;
    this.totalPages = totalPages;
  }

  public int neededPages() {
    return neededPages;
  }

  public int availablePages() {
    return availablePages;
  }

  public int totalPages() {
    return totalPages;
  }
}
