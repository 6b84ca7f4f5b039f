package dev.lanes.engine;

import dev.lanes.backend.Tensor;
import dev.lanes.cache.PrefixVariant;
import dev.lanes.model.StepBatch;
import dev.lanes.model.StepOutput;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;

/** Logits or hidden states of every position. */
final class ForwardSequence extends Sequence {
  private final ForwardRequest request;
  private final int modelWindow;
  private final CompletableFuture<Void> done = new CompletableFuture<>();

  ForwardSequence(long arrival, ForwardRequest request, int modelWindow) {
    super(arrival, PrefixVariant.FULL);
    this.request = request;
    this.modelWindow = modelWindow;
  }

  /** Completes, on the engine's thread, when the arrays are filled; with a CancellationException when the engine is closed. */
  CompletableFuture<Void> done() {
    return done;
  }

  @Override
  int[] tokens() {
    return request.tokens();
  }

  @Override
  int count() {
    return request.tokens().length;
  }

  @Override
  long mostTokens() {
    return count();
  }

  @Override
  boolean mayReusePrefix() {
    return false;
  }

  @Override
  int firstVisible(int index) {
    return modelWindow == 0 ? 0 : Math.max(0, index - modelWindow + 1);
  }

  @Override
  long sinkPosition(int index) {
    return index;
  }

  @Override
  StepBatch.Hidden hidden() {
    if (request.layers() != null) {
      return StepBatch.Hidden.ALL;
    }
    return request.hidden() != null ? StepBatch.Hidden.LAST : StepBatch.Hidden.NONE;
  }

  @Override
  int firstLogits() {
    if (request.logits() != null) {
      return 0;
    }
    return request.scores() != null ? request.scores().from() : count();
  }

  /** The log-probabilities that are wanted, or null. */
  ForwardRequest.Scores scores() {
    return request.scores();
  }

  @Override
  void started(int reusedTokens) {}

  /**
   * Copies what a step computed for the tokens {@code from … from + count - 1}.
   *
   * @param firstRow first of their rows in the step
   * @param firstLogitRow first of their rows of logits
   */
  void take(StepOutput output, int from, int count, int firstRow, int firstLogitRow) {
    if (request.logits() != null) {
      copy(output.logits(), firstLogitRow, request.logits(), from, count);
    }
    if (request.hidden() != null) {
      copy(output.hidden(), firstRow, request.hidden(), from, count);
    }
    if (request.layers() != null) {
      for (int layer = 0; layer < request.layers().length; layer++) {
        float[] all = output.layers().get(layer);
        for (int i = 0; i < count; i++) {
          float[] row = request.layers()[layer][from + i];
          System.arraycopy(all, (firstRow + i) * row.length, row, 0, row.length);
        }
      }
    }
  }

  private static void copy(Tensor source, int firstRow, float[][] destination, int from, int count) {
    for (int i = 0; i < count; i++) {
      source.rows(firstRow + i, 1).copyTo(destination[from + i], 0);
    }
  }

  @Override
  void tellEnded() {
    done.complete(null);
  }

  @Override
  void tellFailed(RuntimeException failure) {
    done.completeExceptionally(failure);
  }

  @Override
  void tellCancelled() {
    done.completeExceptionally(new CancellationException("the model was closed"));
  }
}
