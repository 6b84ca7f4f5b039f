package dev.lanes.cache;

import dev.lanes.backend.Backend;
import dev.lanes.backend.KvPages;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Objects;
import java.util.Set;

/**
 * The KV cache: the pages' memory, who holds which page, and which pages hold the beginnings of earlier sequences. Page numbers are
 * shared by all layers. Safe for use by several threads at once, each {@link SequencePages} by one at a time.
 */
public final class KvCache implements AutoCloseable {
  /** System property: fill every page with NaN before it is used again, so that a test sees reads of old content. */
  public static final String POISON_PROPERTY = "dev.lanes.cache.poison";

  private final KvPages pages;
  private final PagePool pool;
  private final PrefixCache prefixes;
  private final Set<SequencePages> open = Collections.newSetFromMap(new IdentityHashMap<>());
  private final boolean prefixReuse;
  private final boolean poison;
  private long prefixHits;
  private long reusedTokens;
  private boolean closed;

  /**
   * @param prefixReuse whether full pages are kept after their sequence ended, for prompts that begin alike
   * @param poison whether pages are filled with NaN before use
   */
  public record Options(boolean prefixReuse, boolean poison) {
    /** Prefix reuse on; poison as {@link #POISON_PROPERTY} says. */
    public static Options defaults() {
      return new Options(true, Boolean.getBoolean(POISON_PROPERTY));
    }

    public Options withPrefixReuse(boolean reuse) {
      return new Options(reuse, poison);
    }

    public Options withPoison(boolean fill) {
      return new Options(prefixReuse, fill);
    }
  }

  /**
   * Allocates the pages.
   *
   * @throws dev.lanes.error.InsufficientMemoryException if the backend has not the memory
   */
  public KvCache(Backend backend, KvPages.Spec spec, Options options) {
    this.pages = backend.kvPages(spec);
    this.pool = new PagePool(spec.pages());
    this.prefixes = new PrefixCache(pool);
    this.prefixReuse = options.prefixReuse();
    this.poison = options.poison();
  }

  /** Pages that so many tokens of one sequence take. */
  public static int pagesFor(int tokens) {
    return (int) (((long) tokens + KvPages.PAGE_TOKENS - 1) / KvPages.PAGE_TOKENS);
  }

  /** The memory, for {@link dev.lanes.backend.Op.KvWrite} and {@link dev.lanes.backend.Op.Attention}. */
  public KvPages pages() {
    return pages;
  }

  /** An empty sequence. */
  public synchronized SequencePages sequence() {
    return register(new int[0]);
  }

  /**
   * A sequence for this prompt that begins with the pages an earlier sequence left: {@link SequencePages#length()} tokens need not be
   * computed. At least one token always remains, for its logits. For causal models only.
   */
  public synchronized SequencePages sequence(int[] prompt, PrefixVariant variant) {
    requireOpen();
    Objects.requireNonNull(variant, "variant");
    int[] shared = prefixReuse ? prefixes.find(prompt, prompt.length - 1, variant) : new int[0];
    for (int page : shared) {
      pool.retain(page);
    }
    if (shared.length > 0) {
      prefixHits++;
      reusedTokens += (long) shared.length * KvPages.PAGE_TOKENS;
    }
    return register(shared);
  }

  /**
   * Keeps the full pages of the first {@code count} tokens of a sequence for later prompts that begin with the same tokens. Their keys
   * and values must have been computed. May be called while the sequence runs on, and again when it has grown.
   *
   * @param tokens the sequence's tokens, at least {@code count} of them
   */
  public synchronized void remember(SequencePages sequence, int[] tokens, int count, PrefixVariant variant) {
    requireOpen();
    Objects.requireNonNull(variant, "variant");
    if (!open.contains(sequence)) {
      throw new IllegalStateException("the sequence is closed or belongs to another cache");
    }
    if (count < 0 || count > tokens.length || count > sequence.length()) {
      throw new IllegalArgumentException(
          "count " + count + " of " + tokens.length + " tokens in a sequence of " + sequence.length());
    }
    if (prefixReuse) {
      prefixes.insert(tokens, count, sequence.tableOrEmpty(), variant);
    }
  }

  /** Forgets all prefixes; their pages are free once no sequence holds them. */
  public synchronized void forgetPrefixes() {
    prefixes.clear();
  }

  public synchronized CacheStats stats() {
    int sequencePages = pool.total() - pool.free() - pool.idle();
    return new CacheStats(pool.total(), pool.free(), pool.idle(), sequencePages, open.size(), prefixHits, reusedTokens);
  }

  /**
   * Recounts every page from the tables of the open sequences and the prefixes.
   *
   * @throws IllegalStateException naming the page and the counts that do not fit
   */
  public synchronized void checkIntegrity() {
    int[] expected = new int[pool.total()];
    for (SequencePages sequence : open) {
      for (int page : sequence.tableOrEmpty()) {
        if (page >= 0) {
          expected[page]++;
        }
      }
    }
    prefixes.countReferences(expected);
    pool.check(expected);
  }

  /** Frees the memory. Sequences that are still open are unusable; closing them later is harmless. */
  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      prefixes.clear();
      pages.close();
    }
  }

  /** The table with {@code count} fresh pages behind it. */
  synchronized int[] extend(int[] table, int count) {
    requireOpen();
    if (count > pool.free() + pool.idle()) {
      throw new CacheFullException(count, pool.free() + pool.idle(), pool.total());
    }
    prefixes.makeFree(count);
    int[] longer = Arrays.copyOf(table, table.length + count);
    for (int i = table.length; i < longer.length; i++) {
      longer[i] = pool.take();
    }
    if (poison) {
      poison(longer, table.length);
    }
    return longer;
  }

  /** Fills fresh pages with NaN; gives them back when that fails. */
  private void poison(int[] table, int begin) {
    try {
      for (int i = begin; i < table.length; i++) {
        pages.poison(table[i]);
      }
    } catch (RuntimeException e) {
      release(table, begin, table.length);
      throw e;
    }
  }

  synchronized void release(int[] table, int begin, int end) {
    for (int i = begin; i < end; i++) {
      if (table[i] >= 0) {
        pool.release(table[i]);
      }
    }
  }

  synchronized SequencePages share(int[] table) {
    requireOpen();
    for (int page : table) {
      if (page >= 0) {
        pool.retain(page);
      }
    }
    return register(table);
  }

  synchronized void close(SequencePages sequence, int[] table) {
    open.remove(sequence);
    release(table, 0, table.length);
  }

  private SequencePages register(int[] table) {
    requireOpen();
    SequencePages sequence = new SequencePages(this, table);
    open.add(sequence);
    return sequence;
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the KV cache is closed");
    }
  }
}
