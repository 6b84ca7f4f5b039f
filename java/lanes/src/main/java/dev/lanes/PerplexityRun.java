package dev.lanes;

import dev.lanes.engine.ForwardRequest;
import dev.lanes.error.UnsupportedRequestException;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/** The sliding windows of a measurement of perplexity. */
final class PerplexityRun {
  private final PerplexityOptions options;
  private final Consumer<ForwardRequest> forward;
  /** What every window begins with: BOS or nothing. */
  private final int[] start;
  /** Tokens of the text in a window. */
  private final int width;
  private final int stride;

  /**
   * @param info the model, loaded
   * @param forward fills a request's arrays
   */
  PerplexityRun(PerplexityOptions options, ModelInfo info, Consumer<ForwardRequest> forward) {
    this.options = options;
    this.forward = forward;
    int window = options.window().orElse(Math.min(info.contextLength(), PerplexityOptions.DEFAULT_WINDOW));
    if (window > info.contextLength() || window < 2) {
      throw new IllegalArgumentException("window is " + window + ", expected 2 to " + info.contextLength()
          + ", the context the model was loaded with");
    }
    start = options.bos() ? new int[] {info.config().tokens().bos().orElseThrow(() -> new UnsupportedRequestException(
        info.config().file() + " names no BOS token to begin the windows with"))} : new int[0];
    width = window - start.length;
    stride = Check.range("stride", options.stride().orElse((width + 1) / 2), 1, width);
  }

  /** @param texts ids of each text */
  Perplexity run(List<int[]> texts) {
    List<int[]> used = texts.stream().map(this::use).toList();
    long total = used.stream().mapToLong(ids -> Math.max(0, ids.length - 1 + start.length)).sum();
    if (total == 0) {
      throw new IllegalArgumentException("there is nothing to score: the text is shorter than two tokens");
    }
    Perplexity sum = Perplexity.NONE;
    for (int[] ids : used) {
      int done = 0;
      for (int begin = 0; done < ids.length; begin += stride) {
        int end = Math.min(begin + width, ids.length);
        // Without BOS a window's first token has nothing before it.
        int from = Math.max(done, begin + 1 - start.length);
        if (from < end) {
          sum = sum.plus(score(ids, begin, from, end));
          options.progress().update(sum, total);
        }
        done = end;
      }
    }
    return sum;
  }

  private int[] use(int[] ids) {
    return ids.length <= options.maxTokens().orElse(Long.MAX_VALUE) ? ids : Arrays.copyOf(ids, (int) options.maxTokens().getAsLong());
  }

  /** Scores the tokens {@code from … end - 1} of the window that starts at {@code begin}. */
  private Perplexity score(int[] ids, int begin, int from, int end) {
    long started = System.nanoTime();
    int[] window = IntStream.concat(Arrays.stream(start), Arrays.stream(ids, begin, end)).toArray();
    int first = window.length - 1 - (end - from);
    // The last token is only predicted, never read.
    int[] tokens = Arrays.copyOf(window, window.length - 1);
    float[] logProbability = new float[tokens.length];
    forward.accept(new ForwardRequest(tokens, null, null, null,
        new ForwardRequest.Scores(first, Arrays.copyOfRange(window, 1, window.length), logProbability)));
    double sum = 0;
    double squares = 0;
    for (int i = first; i < tokens.length; i++) {
      sum -= logProbability[i];
      squares += (double) logProbability[i] * logProbability[i];
    }
    return new Perplexity(end - from, 1, tokens.length, sum, squares, (System.nanoTime() - started) * 1e-9);
  }
}
