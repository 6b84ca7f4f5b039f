package dev.lanes.engine;

import dev.lanes.backend.KvPages;
import dev.lanes.cache.KvCache;
import dev.lanes.error.InsufficientMemoryException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.function.Predicate;

/**
 * Decides who takes part in a step and with how many tokens. First come, first served: sequences are admitted in order of arrival as
 * far as their pages suffice, and when pages run short the latest sequence gives its own back and is computed again later. The
 * earliest one can always go on, since a sequence that could not run alone is refused at the door.
 */
final class Scheduler {
  private final KvCache cache;
  private final EngineConfig config;
  private final TreeSet<Sequence> waiting = new TreeSet<>(Comparator.comparingLong(Sequence::arrival));
  private final TreeSet<Sequence> running = new TreeSet<>(Comparator.comparingLong(Sequence::arrival));
  private volatile int waitingCount;
  private volatile int runningCount;
  private volatile long preemptions;

  Scheduler(KvCache cache, EngineConfig config) {
    this.cache = cache;
    this.config = config;
  }

  /**
   * Refuses a sequence that the cache cannot hold even when it is alone.
   *
   * @throws InsufficientMemoryException with the sum
   */
  void requireCanFit(Sequence sequence) {
    int total = cache.stats().totalPages();
    long needed = mostPages(sequence);
    if (needed > total) {
      long pageBytes = cache.pages().bytes() / total;
      throw new InsufficientMemoryException("a sequence of up to " + sequence.mostTokens() + " tokens needs " + needed
          + " pages of " + KvPages.PAGE_TOKENS + " tokens (" + needed + " * " + pageBytes + " = " + needed * pageBytes
          + " bytes) at once, the cache has " + total + " (" + total * pageBytes
          + " bytes); ask for fewer tokens, use a window, or load the model with a larger cache", needed * pageBytes, total * pageBytes);
    }
  }

  void add(Sequence sequence) {
    waiting.add(sequence);
    waitingCount = waiting.size();
  }

  boolean isIdle() {
    return running.isEmpty() && waiting.isEmpty();
  }

  int waitingCount() {
    return waitingCount;
  }

  int runningCount() {
    return runningCount;
  }

  long preemptions() {
    return preemptions;
  }

  /** The sequence has ended, one way or the other: its pages go back. */
  void remove(Sequence sequence) {
    waiting.remove(sequence);
    running.remove(sequence);
    sequence.closePages();
    publish();
  }

  /** Ends the sequences that were cancelled. */
  void dropCancelled() {
    drop(Sequence::isCancelled, Sequence::tellCancelled);
  }

  /** Ends all sequences. */
  void dropAll(Consumer<Sequence> farewell) {
    drop(sequence -> true, farewell);
  }

  private void drop(Predicate<Sequence> which, Consumer<Sequence> farewell) {
    List<Sequence> dropped = new ArrayList<>();
    for (TreeSet<Sequence> set : List.of(waiting, running)) {
      for (Sequence sequence : set) {
        if (which.test(sequence)) {
          dropped.add(sequence);
        }
      }
    }
    for (Sequence sequence : dropped) {
      remove(sequence);
      farewell.accept(sequence);
    }
  }

  /** The next step: slices in order of arrival, their pages reserved. Empty only when the scheduler is idle. */
  List<Slice> plan() {
    Step step = new Step();
    for (Sequence sequence : List.copyOf(running)) {
      if (running.contains(sequence)) {
        step.add(sequence);
      }
    }
    if (!step.preempted) {
      admit(step);
    }
    publish();
    if (step.slices.isEmpty() && !isIdle()) {
      throw new IllegalStateException("no sequence can go on: " + running.size() + " running, " + waiting.size() + " waiting, "
          + cache.stats());
    }
    return step.slices;
  }

  private void admit(Step step) {
    while (!waiting.isEmpty() && running.size() < config.maxBatch() && step.tokensLeft > 0) {
      Sequence next = waiting.first();
      // A page for each running sequence stays free, or the newcomer would soon have to give way again.
      long needed = Math.min(KvCache.pagesFor(next.count() + 1), mostPages(next)) + running.size();
      boolean roomInStep = !config.encoder() || step.slices.isEmpty() || next.pending() <= step.tokensLeft;
      if (!roomInStep || needed > cache.stats().availablePages() && !running.isEmpty()) {
        return;
      }
      waiting.remove(next);
      running.add(next);
      next.open(cache);
      step.add(next);
    }
  }

  /** Pages that the sequence holds at once at most, when its chunks are as small as need be. */
  private static long mostPages(Sequence sequence) {
    long most = sequence.mostTokens();
    long visible = most - sequence.firstVisible((int) (most - 1));
    return Math.min(pagesFor(most), pagesFor(sequence.variant().sinks()) + pagesFor(visible) + 1);
  }

  private static long pagesFor(long tokens) {
    return (tokens + KvPages.PAGE_TOKENS - 1) / KvPages.PAGE_TOKENS;
  }

  /** Takes the pages of the latest sequence that arrived after {@code sequence}; false when there is none. */
  private boolean preemptAfter(Sequence sequence) {
    Sequence victim = running.last();
    if (victim.arrival() <= sequence.arrival()) {
      return false;
    }
    running.remove(victim);
    if (victim.mayReusePrefix()) {
      // Perhaps nobody needs all of its pages; what is left of them need not be computed again.
      cache.remember(victim.pages(), victim.tokens(), victim.computed(), victim.variant());
    }
    victim.closePages();
    waiting.add(victim);
    preemptions++;
    return true;
  }

  private void publish() {
    waitingCount = waiting.size();
    runningCount = running.size();
  }

  /** A step in the making. */
  private final class Step {
    private final List<Slice> slices = new ArrayList<>();
    /** Left for chunks; single tokens always take part. */
    private int tokensLeft;
    private int logitRowsLeft = EngineConfig.LOGIT_CHUNK;
    private boolean preempted;

    Step() {
      int single = 0;
      for (Sequence sequence : running) {
        single += sequence.pending() == 1 ? 1 : 0;
      }
      tokensLeft = Math.max(1, config.stepTokens() - single);
    }

    void add(Sequence sequence) {
      int wanted = sequence.pending();
      if (config.encoder()) {
        wanted = slices.isEmpty() || wanted <= tokensLeft ? wanted : 0;
      } else if (wanted > 1) {
        wanted = Math.min(wanted, tokensLeft);
      }
      boolean manyLogits = sequence instanceof ForwardSequence;
      if (manyLogits) {
        // Tokens before the first that gives logits are free.
        wanted = Math.min(wanted, Math.max(0, sequence.firstLogits() - sequence.computed()) + logitRowsLeft);
      }
      boolean chunk = sequence.pending() > 1;
      int granted = wanted == 0 ? 0 : reserve(sequence, wanted);
      if (granted > 0) {
        Slice slice = new Slice(sequence, sequence.computed(), granted);
        slices.add(slice);
        tokensLeft -= chunk ? Math.min(granted, tokensLeft) : 0;
        logitRowsLeft -= manyLogits ? slice.logitRows() : 0;
      }
    }

    /** Reserves pages for so many tokens or, when pages are short, for fewer; 0 when the sequence has to wait. */
    private int reserve(Sequence sequence, int wanted) {
      while (true) {
        int available = cache.stats().availablePages();
        if (sequence.pages().pagesNeeded(wanted) <= available) {
          sequence.pages().reserve(wanted);
          return wanted;
        }
        int inLastPage = -sequence.computed() & (KvPages.PAGE_TOKENS - 1);
        int fitting = inLastPage + available * KvPages.PAGE_TOKENS;
        if (fitting > 0 && !config.encoder()) {
          wanted = fitting;
        } else if (preemptAfter(sequence)) {
          preempted = true;
        } else {
          return 0;
        }
      }
    }
  }
}
