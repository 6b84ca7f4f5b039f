package dev.lanes.engine;

import dev.lanes.backend.SampleRow;
import dev.lanes.cache.PrefixVariant;
import dev.lanes.context.ContextPlan;
import dev.lanes.engine.GenerationOutcome.End;
import dev.lanes.model.StepBatch;
import java.util.Arrays;
import java.util.function.LongSupplier;

/** A generation: prompt, then one token after the other. */
final class GenerationSequence extends Sequence {
  private static final int[] NO_IDS = {};
  private static final float[] NO_FLOATS = {};

  private final GenerationRequest request;
  private final GenerationListener listener;
  private final LongSupplier peakNativeBytes;
  private final int modelWindow;
  private final OutputText text;
  private final SeenTokens seen;
  private final long submitted = System.nanoTime();
  private int[] tokens;
  private int count;
  /** Tokens that went through the model at least once. */
  private int processed;
  private int reusedTokens;
  private long firstStep;
  private long firstToken;
  private long lastToken;
  private End end;
  private RuntimeException failure;
  private boolean told;

  GenerationSequence(long arrival, GenerationRequest request, GenerationListener listener, int modelWindow,
      LongSupplier peakNativeBytes) {
    super(arrival, new PrefixVariant(request.plan().window(), request.plan().sinks()));
    this.request = request;
    this.listener = listener;
    this.modelWindow = modelWindow;
    this.peakNativeBytes = peakNativeBytes;
    text = new OutputText(request.decoder(), request.stop());
    tokens = request.tokens();
    count = tokens.length;
    seen = request.sampling().repetitionPenalty() == 1 ? null : new SeenTokens();
    for (int i = 0; i < count && seen != null; i++) {
      seen.add(tokens[i]);
    }
  }

  ContextPlan plan() {
    return request.plan();
  }

  Sampling sampling() {
    return request.sampling();
  }

  int outputTokens() {
    return count - request.tokens().length;
  }

  /** Ends a request without room for any output, before it is queued. Whether it was one. */
  boolean endIfNothingToDo() {
    end = request.maxTokens() == 0 ? End.LENGTH : count >= plan().capacity() ? End.CONTEXT_FULL : null;
    if (end != null) {
      tellEnded();
    }
    return end != null;
  }

  @Override
  int[] tokens() {
    return tokens;
  }

  @Override
  int count() {
    return count;
  }

  /** The last token of the output is never put through the model. */
  @Override
  long mostTokens() {
    return Math.min((long) request.tokens().length + request.maxTokens(), plan().capacity()) - 1;
  }

  @Override
  boolean mayReusePrefix() {
    return true;
  }

  @Override
  int firstVisible(int index) {
    return plan().firstVisible(index, modelWindow);
  }

  @Override
  long sinkPosition(int index) {
    return plan().sinkPosition(index);
  }

  @Override
  StepBatch.Hidden hidden() {
    return StepBatch.Hidden.NONE;
  }

  @Override
  int firstLogits() {
    return count - 1;
  }

  @Override
  void started(int reused) {
    if (firstStep == 0) {
      firstStep = System.nanoTime();
      reusedTokens = reused;
      processed = reused;
    }
  }

  void stepped() {
    processed = Math.max(processed, computed());
  }

  /** How the next token is to be chosen; the draw depends on seed and index only. */
  SampleRow sampleRow() {
    Sampling s = request.sampling();
    return new SampleRow(s.temperature(), s.topK(), s.topP(), s.minP(), s.repetitionPenalty(), s.seed(), outputTokens(),
        seen == null ? NO_IDS : seen.toArray());
  }

  /**
   * Takes the next token.
   *
   * @param topIds the likeliest tokens, or null
   * @param topLogProbabilities their log-probabilities, or null
   * @return whether the generation has ended, or failed by itself
   */
  boolean accept(int id, float logProbability, int[] topIds, float[] topLogProbabilities) {
    try {
      take(id, logProbability, topIds, topLogProbabilities);
    } catch (RuntimeException e) {
      failure = Failures.of(e);
    }
    return end != null || failure != null;
  }

  private void take(int id, float logProbability, int[] topIds, float[] topLogProbabilities) {
    lastToken = System.nanoTime();
    if (outputTokens() == 0) {
      firstToken = lastToken;
    }
    append(id);
    end = endAfter(id);
    String piece = "";
    if (end != End.END_TOKEN) {
      piece = text.append(id);
    }
    if (text.stopText() == null && end != null) {
      piece += text.finish();
    }
    if (text.stopText() != null) {
      end = End.STOP_TEXT;
    }
    listener.token(new GeneratedToken(id, piece, logProbability, topIds == null ? NO_IDS : topIds,
        topLogProbabilities == null ? NO_FLOATS : topLogProbabilities));
  }

  private End endAfter(int id) {
    for (int endToken : request.endTokens()) {
      if (id == endToken) {
        return End.END_TOKEN;
      }
    }
    if (outputTokens() >= request.maxTokens()) {
      return End.LENGTH;
    }
    return count >= plan().capacity() ? End.CONTEXT_FULL : null;
  }

  private void append(int id) {
    if (count == tokens.length || tokens == request.tokens()) {
      tokens = Arrays.copyOf(tokens, (int) Math.min(Math.max(16L, count + (count >> 1) + 1), Integer.MAX_VALUE - 8));
    }
    tokens[count++] = id;
    if (seen != null) {
      seen.add(id);
    }
  }

  private GenerationOutcome outcome() {
    long now = System.nanoTime();
    boolean began = firstStep != 0;
    boolean produced = outputTokens() > 0;
    return new GenerationOutcome(end, text.stopText(), plan().report(processed), request.tokens().length, reusedTokens, outputTokens(),
        (began ? firstStep : now) - submitted, began ? (produced ? firstToken : now) - firstStep : 0,
        produced ? lastToken - firstToken : 0, peakNativeBytes.getAsLong());
  }

  @Override
  void tellEnded() {
    if (!told) {
      told = true;
      if (failure != null) {
        listener.failed(failure);
      } else {
        listener.ended(outcome());
      }
    }
  }

  @Override
  void tellFailed(RuntimeException cause) {
    failure = cause;
    tellEnded();
  }

  @Override
  void tellCancelled() {
    end = End.CANCELLED;
    tellEnded();
  }
}
