package dev.lanes;

import java.util.Objects;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * How perplexity is measured: over windows of {@code window} tokens, each {@code stride} tokens after the one before. A window scores
 * those of its tokens that no earlier window has scored, so that each token is scored once, with at least {@code window - stride} tokens
 * of context unless the text begins nearer. The protocol of Hugging Face transformers; as there, a window's first token is not scored
 * where the windows do not overlap, having no context.
 *
 * @param window tokens of a window, 2 or more and at most the context that the model was loaded with; empty for that context, but at
 *     most {@link #DEFAULT_WINDOW}
 * @param stride tokens between the beginnings of two windows, at least 1; at most {@code window}, or one less with {@code bos}; empty for
 *     half a window, rounded up
 * @param bos whether each window begins with the BOS token that config.json names, one of its {@code window} tokens; texts are then
 *     encoded without special tokens. Some models predict nothing useful without
 * @param maxTokens the most tokens to use of each text, from its beginning; empty for all
 * @param progress hears about each window
 */
public record PerplexityOptions(OptionalInt window, OptionalInt stride, boolean bos, OptionalLong maxTokens,
    PerplexityProgress progress) {
  /** The longest window that is used unasked. */
  public static final int DEFAULT_WINDOW = 1024;

  private static final PerplexityOptions DEFAULTS =
      new PerplexityOptions(OptionalInt.empty(), OptionalInt.empty(), false, OptionalLong.empty(), (soFar, total) -> {});

  public PerplexityOptions {
    Objects.requireNonNull(window, "window is null");
    Objects.requireNonNull(stride, "stride is null");
    Objects.requireNonNull(maxTokens, "maxTokens is null");
    Objects.requireNonNull(progress, "progress is null");
    window.ifPresent(value -> Check.atLeast("window", value, 2));
    stride.ifPresent(value -> Check.atLeast("stride", value, 1));
    maxTokens.ifPresent(value -> Check.atLeast("maxTokens", value, 2));
  }

  /** Windows of the model's context or {@link #DEFAULT_WINDOW} tokens, half of each of them new. */
  public static PerplexityOptions defaults() {
    return DEFAULTS;
  }

  public PerplexityOptions withWindow(int value) {
    return new PerplexityOptions(OptionalInt.of(value), stride, bos, maxTokens, progress);
  }

  public PerplexityOptions withStride(int value) {
    return new PerplexityOptions(window, OptionalInt.of(value), bos, maxTokens, progress);
  }

  public PerplexityOptions withBos(boolean value) {
    return new PerplexityOptions(window, stride, value, maxTokens, progress);
  }

  public PerplexityOptions withMaxTokens(long value) {
    return new PerplexityOptions(window, stride, bos, OptionalLong.of(value), progress);
  }

  public PerplexityOptions withProgress(PerplexityProgress value) {
    return new PerplexityOptions(window, stride, bos, maxTokens, value);
  }
}
