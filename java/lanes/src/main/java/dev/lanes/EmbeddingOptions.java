package dev.lanes;

import java.util.Objects;

/**
 * How the hidden states of a text become one vector.
 *
 * @param pooling which of them count
 * @param normalize whether the vector is scaled to length 1
 */
public record EmbeddingOptions(Pooling pooling, boolean normalize) {
  private static final EmbeddingOptions DEFAULTS = new EmbeddingOptions(Pooling.MEAN, true);

  /** Which hidden states of the last layer make the vector. */
  public enum Pooling {
    /** The mean over all tokens. */
    MEAN,
    /** The first token: [CLS] of BERT. */
    CLS,
    /** The last token. */
    LAST
  }

  public EmbeddingOptions {
    Objects.requireNonNull(pooling, "pooling is null");
  }

  /** The mean, scaled to length 1. */
  public static EmbeddingOptions defaults() {
    return DEFAULTS;
  }
}
