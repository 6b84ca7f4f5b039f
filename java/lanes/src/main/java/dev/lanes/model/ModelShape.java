package dev.lanes.model;

import dev.lanes.backend.Activation;
import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import dev.lanes.backend.NormKind;
import dev.lanes.format.ModelConfig;
import java.util.stream.IntStream;

/**
 * The numbers that a step needs, worked out once from configuration and recipe.
 *
 * @param inner width inside the feed-forward network, or of one expert
 * @param gated whether the feed-forward network has a gate beside its up-projection
 * @param experts experts a layer, 0 for a dense network
 * @param expertsPerToken 0 for a dense network
 * @param rotaryHalf rotated pairs a head, 0 where positions are not rotary
 * @param scales per layer, what Q·K is multiplied by
 * @param windows per layer, how many tokens a token attends to, 0 for all
 */
record ModelShape(
    int vocabulary,
    int maxPositions,
    int hidden,
    int inner,
    int layers,
    int heads,
    int kvHeads,
    int headDim,
    boolean causal,
    boolean logits,
    boolean learnedPositions,
    NormKind norm,
    boolean postNorm,
    float epsilon,
    Activation activation,
    boolean gated,
    int experts,
    int expertsPerToken,
    boolean normalizeExperts,
    int rotaryHalf,
    float[] scales,
    int[] windows) {

  static ModelShape of(ModelConfig config) {
    Architecture architecture = Architectures.of(config);
    ModelConfig.Attention attention = config.attention();
    Architecture.FeedForward network = architecture.feedForward();
    boolean mixture = network instanceof Architecture.Mixture;
    float[] scales = new float[config.layers()];
    for (int i = 0; i < scales.length; i++) {
      scales[i] = (float) attention.scale(i);
    }
    return new ModelShape(
        config.vocabSize(),
        config.maxPositions(),
        config.hiddenSize(),
        config.intermediateSize(),
        config.layers(),
        attention.heads(),
        attention.kvHeads(),
        attention.headDim(),
        architecture.causal(),
        architecture.head() != null,
        architecture.positions() != null,
        architecture.norm(),
        architecture.postNorm(),
        (float) config.normEpsilon(),
        switch (config.activation()) {
          case SILU -> Activation.SILU;
          case GELU -> Activation.GELU;
          case GELU_TANH -> Activation.GELU_TANH;
          case RELU -> Activation.RELU;
        },
        !(network instanceof Architecture.Plain),
        mixture ? config.experts().orElseThrow().count() : 0,
        mixture ? config.experts().orElseThrow().perToken() : 0,
        network instanceof Architecture.Mixture m && m.normalize(),
        config.rope().map(rope -> rope.rotaryDim() / 2).orElse(0),
        scales,
        IntStream.range(0, config.layers()).map(attention::slidingWindow).toArray());
  }

  int queryWidth() {
    return heads * headDim;
  }

  int keyWidth() {
    return kvHeads * headDim;
  }

  /** Columns of the packed projection: queries, keys, values. */
  int qkvWidth() {
    return (heads + 2 * kvHeads) * headDim;
  }

  /** Columns that come out of the first linear layer of the feed-forward network. */
  int innerWidth() {
    return gated ? 2 * inner : inner;
  }

  /** Rows that go through the feed-forward network for {@code tokens} tokens. */
  int innerRows(int tokens) {
    return experts == 0 ? tokens : Math.multiplyExact(tokens, expertsPerToken);
  }

  /** How many of the latest tokens any layer looks at, 0 for all. */
  int widestWindow() {
    int widest = 0;
    for (int window : windows) {
      if (window == 0) {
        return 0;
      }
      widest = Math.max(widest, window);
    }
    return widest;
  }

  KvPages.Spec kvSpec(int pages, DType dtype) {
    return new KvPages.Spec(pages, layers, kvHeads, headDim, dtype);
  }
}
