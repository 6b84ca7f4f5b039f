package dev.lanes;

import dev.lanes.engine.Engine;
import dev.lanes.engine.GeneratedToken;
import dev.lanes.engine.GenerationListener;
import dev.lanes.engine.GenerationOutcome;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ForkJoinPool;

/** The engine's reports on one generation, collected for its consumer. */
final class ModelStream implements GenerationStream, GenerationListener {
  /** Keeps the model from being collected as forgotten while it still works for somebody. */
  private final LanguageModel owner;
  private final int[] promptIds;
  private final boolean keepPieces;
  private final CompletableFuture<Generation> future = new CompletableFuture<>();
  private final ArrayDeque<Piece> pieces = new ArrayDeque<>();
  private final StringBuilder text = new StringBuilder();
  private final List<TokenLogProbability> logProbabilities = new ArrayList<>();
  private int[] outputIds = new int[16];
  private int outputCount;
  private Generation result;
  private RuntimeException failure;
  private Engine.Ticket ticket = () -> {};

  /** @param keepPieces whether anybody will take the pieces one by one */
  ModelStream(LanguageModel owner, int[] promptIds, boolean keepPieces) {
    this.owner = owner;
    this.promptIds = promptIds;
    this.keepPieces = keepPieces;
    future.whenComplete((generation, problem) -> {
      if (future.isCancelled()) {
        cancel();
      }
    });
  }

  synchronized void started(Engine.Ticket value) {
    ticket = value;
  }

  /** Completed from a thread other than the engine's, so that what hangs on it may wait for the model. */
  CompletableFuture<Generation> future() {
    return future;
  }

  LanguageModel owner() {
    return owner;
  }

  @Override
  public synchronized void token(GeneratedToken token) {
    if (outputCount == outputIds.length) {
      outputIds = Arrays.copyOf(outputIds, outputCount * 2);
    }
    outputIds[outputCount++] = token.id();
    text.append(token.text());
    Optional<TokenLogProbability> logProbability = logProbability(token);
    logProbability.ifPresent(logProbabilities::add);
    if (keepPieces) {
      pieces.add(new Piece(token.text(), token.id(), logProbability));
      notifyAll();
    }
  }

  private static Optional<TokenLogProbability> logProbability(GeneratedToken token) {
    if (Float.isNaN(token.logProbability())) {
      return Optional.empty();
    }
    List<TokenLogProbability> top = new ArrayList<>(token.topIds().length);
    for (int i = 0; i < token.topIds().length; i++) {
      top.add(new TokenLogProbability(token.topIds()[i], token.topLogProbabilities()[i], List.of()));
    }
    return Optional.of(new TokenLogProbability(token.id(), token.logProbability(), top));
  }

  @Override
  public synchronized void ended(GenerationOutcome outcome) {
    GenerationStats stats = new GenerationStats(outcome.promptTokens(), outcome.reusedTokens(), outcome.outputTokens(),
        outcome.queueNanos() / 1e9, outcome.prefillNanos() / 1e9, outcome.decodeNanos() / 1e9, outcome.peakNativeBytes());
    Generation generation = new Generation(text.toString(), promptIds, Arrays.copyOf(outputIds, outputCount), reason(outcome.end()),
        Optional.ofNullable(outcome.stopText()), outcome.context(), logProbabilities, stats);
    result = generation;
    notifyAll();
    ForkJoinPool.commonPool().execute(() -> future.complete(generation));
  }

  private static FinishReason reason(GenerationOutcome.End end) {
    return switch (end) {
      case END_TOKEN -> FinishReason.END_TOKEN;
      case STOP_TEXT -> FinishReason.STOP_TEXT;
      case LENGTH -> FinishReason.LENGTH;
      case CONTEXT_FULL -> FinishReason.CONTEXT_FULL;
      case CANCELLED -> FinishReason.CANCELLED;
    };
  }

  @Override
  public synchronized void failed(RuntimeException problem) {
    failure = problem;
    notifyAll();
    ForkJoinPool.commonPool().execute(() -> future.completeExceptionally(problem));
  }

  @Override
  public synchronized boolean hasNext() {
    await(true);
    if (pieces.isEmpty() && failure != null) {
      throw failure;
    }
    return !pieces.isEmpty();
  }

  @Override
  public synchronized Piece next() {
    if (!hasNext()) {
      throw new NoSuchElementException("the generation has ended");
    }
    return pieces.remove();
  }

  @Override
  public void cancel() {
    Engine.Ticket current;
    synchronized (this) {
      current = ticket;
    }
    current.cancel();
  }

  @Override
  public synchronized Generation result() {
    await(false);
    if (failure != null) {
      throw failure;
    }
    return result;
  }

  @Override
  public void close() {
    cancel();
  }

  /** Waits for the end, or for a piece. An interrupt cancels the generation; the thread stays interrupted. */
  private void await(boolean pieceWillDo) {
    boolean interrupted = false;
    while (result == null && failure == null && (!pieceWillDo || pieces.isEmpty())) {
      try {
        wait();
      } catch (InterruptedException e) {
        interrupted = true;
        ticket.cancel();
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
