package dev.lanes.engine;

import dev.lanes.cache.KvCache;
import dev.lanes.cache.PrefixVariant;
import dev.lanes.cache.SequencePages;
import dev.lanes.model.StepBatch;
import java.util.Arrays;

/**
 * A request in the engine: its tokens, how many of them went through the model, and its pages while it runs. Only the engine's thread
 * touches it, but for {@link #cancel()}.
 */
abstract class Sequence {
  /** Place in the queue; also decides who gives way when pages run short: the latest. */
  private final long arrival;
  private final PrefixVariant variant;
  private int computed;
  private SequencePages pages;
  private volatile boolean cancelled;

  Sequence(long arrival, PrefixVariant variant) {
    this.arrival = arrival;
    this.variant = variant;
  }

  final long arrival() {
    return arrival;
  }

  final PrefixVariant variant() {
    return variant;
  }

  /** Tokens known so far; the array may be longer than {@link #count()}. */
  abstract int[] tokens();

  /** Number of tokens known so far. */
  abstract int count();

  /** Tokens that the sequence can ever put into the cache. */
  abstract long mostTokens();

  /** Whether pages of an earlier sequence may stand for the first tokens. */
  abstract boolean mayReusePrefix();

  /** The first token that is still seen, besides sinks, by a query at {@code index}. */
  abstract int firstVisible(int index);

  /** Position of a token's query as the attention sinks see it. */
  abstract long sinkPosition(int index);

  abstract StepBatch.Hidden hidden();

  /** The first token whose logits are wanted, all after it included; {@link #count()} or more for none. */
  abstract int firstLogits();

  /** Called before the first step that the sequence takes part in. */
  abstract void started(int reusedTokens);

  /** Tells the caller that the sequence has ended, at most once; its pages are back by then. */
  abstract void tellEnded();

  /** Tells the caller of a failure, unless the caller knows of an end already. */
  abstract void tellFailed(RuntimeException failure);

  /** Tells the caller that the request was cancelled, unless the caller knows of an end already. */
  abstract void tellCancelled();

  final int computed() {
    return computed;
  }

  /** Tokens still to be put through the model. */
  final int pending() {
    return count() - computed;
  }

  final void advance(int tokens) {
    computed += tokens;
  }

  final SequencePages pages() {
    return pages;
  }

  /** Takes pages from the cache, shared ones for a known beginning. */
  final void open(KvCache cache) {
    pages = mayReusePrefix() ? cache.sequence(Arrays.copyOf(tokens(), count()), variant) : cache.sequence();
    computed = pages.length();
    started(computed);
  }

  /** Gives the pages back; everything must be computed again unless the cache remembers it. */
  final void closePages() {
    if (pages != null) {
      pages.close();
      pages = null;
    }
    computed = 0;
  }

  /** Gives back the pages that no later query sees. */
  final void evictUnseen() {
    int first = firstVisible(computed);
    if (first > 0) {
      pages.evictBefore(first, (int) variant.sinks());
    }
  }

  final void cancel() {
    cancelled = true;
  }

  final boolean isCancelled() {
    return cancelled;
  }
}
