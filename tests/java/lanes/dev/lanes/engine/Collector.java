package dev.lanes.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Collects what an engine reports on a generation. */
final class Collector implements GenerationListener {
  final List<Integer> ids = new ArrayList<>();
  final List<Float> logProbabilities = new ArrayList<>();
  final StringBuilder text = new StringBuilder();
  final CountDownLatch firstToken = new CountDownLatch(1);
  private final CompletableFuture<GenerationOutcome> outcome = new CompletableFuture<>();
  private int ends;

  @Override
  public void token(GeneratedToken token) {
    ids.add(token.id());
    logProbabilities.add(token.logProbability());
    text.append(token.text());
    firstToken.countDown();
  }

  @Override
  public void ended(GenerationOutcome value) {
    ends++;
    outcome.complete(value);
  }

  @Override
  public void failed(RuntimeException failure) {
    ends++;
    outcome.completeExceptionally(failure);
  }

  GenerationOutcome await() throws Exception {
    GenerationOutcome value = outcome.get(60, TimeUnit.SECONDS);
    if (ends != 1) {
      throw new AssertionError("told " + ends + " times that it ended");
    }
    return value;
  }

  boolean isDone() {
    return outcome.isDone();
  }

  /** Ids and log-probabilities: equal only when every bit is. */
  List<Object> bits() {
    return List.of(List.copyOf(ids), logProbabilities.stream().map(Float::floatToRawIntBits).toList());
  }
}
