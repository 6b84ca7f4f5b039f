package dev.lanes;

import dev.lanes.context.ContextPolicy;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;

/**
 * How text is generated. Immutable; {@link #builder()} makes one. The defaults are greedy decoding of at most 256 tokens, so that the
 * same prompt always gives the same text; what a model's generation_config.json says about sampling is not applied by itself.
 */
public final class GenerationOptions {
  private static final GenerationOptions DEFAULTS = builder().build();

  private final int maxTokens;
  private final float temperature;
  private final int topK;
  private final float topP;
  private final float minP;
  private final float repetitionPenalty;
  private final long seed;
  private final List<String> stop;
  private final int[] stopTokenIds;
  private final boolean ignoreEos;
  private final OptionalInt contextLength;
  private final ContextPolicy contextPolicy;
  private final OptionalInt logProbabilities;

  private GenerationOptions(Builder builder) {
    maxTokens = builder.maxTokens;
    temperature = builder.temperature;
    topK = builder.topK;
    topP = builder.topP;
    minP = builder.minP;
    repetitionPenalty = builder.repetitionPenalty;
    seed = builder.seed;
    stop = builder.stop;
    stopTokenIds = builder.stopTokenIds;
    ignoreEos = builder.ignoreEos;
    contextLength = builder.contextLength;
    contextPolicy = builder.contextPolicy;
    logProbabilities = builder.logProbabilities;
  }

  public static GenerationOptions defaults() {
    return DEFAULTS;
  }

  public static Builder builder() {
    return new Builder();
  }

  /** A builder that starts from these options. */
  public Builder toBuilder() {
    Builder builder = new Builder();
    builder.maxTokens = maxTokens;
    builder.temperature = temperature;
    builder.topK = topK;
    builder.topP = topP;
    builder.minP = minP;
    builder.repetitionPenalty = repetitionPenalty;
    builder.seed = seed;
    builder.stop = stop;
    builder.stopTokenIds = stopTokenIds;
    builder.ignoreEos = ignoreEos;
    builder.contextLength = contextLength;
    builder.contextPolicy = contextPolicy;
    builder.logProbabilities = logProbabilities;
    return builder;
  }

  /** The most tokens to make. */
  public int maxTokens() {
    return maxTokens;
  }

  /** What logits are divided by; 0 takes the likeliest token. */
  public float temperature() {
    return temperature;
  }

  /** Only the k likeliest tokens are drawn from; 0 for all. */
  public int topK() {
    return topK;
  }

  /** Only the likeliest tokens that together reach this probability are drawn from; 1 for all. */
  public float topP() {
    return topP;
  }

  /** Only tokens with at least this share of the likeliest token's probability are drawn from; 0 for all. */
  public float minP() {
    return minP;
  }

  /** Above 1 makes tokens of prompt and output less likely to come again (Keskar et al. 2019); 1 for none. */
  public float repetitionPenalty() {
    return repetitionPenalty;
  }

  /** With prompt and options, all that a sampled text depends on. */
  public long seed() {
    return seed;
  }

  /** Texts that end the output; none of them appears in it. */
  public List<String> stop() {
    return stop;
  }

  /** Token ids that end the output besides the model's own end tokens. */
  public int[] stopTokenIds() {
    return stopTokenIds.clone();
  }

  /** Whether the model's own end tokens are tokens like any other. */
  public boolean ignoreEos() {
    return ignoreEos;
  }

  /** Tokens that prompt and output share; empty for the model's limit. */
  public OptionalInt contextLength() {
    return contextLength;
  }

  public ContextPolicy contextPolicy() {
    return contextPolicy;
  }

  /** How many of the likeliest tokens to report with each token, besides the log-probability of the token itself; empty for none of it. */
  public OptionalInt logProbabilities() {
    return logProbabilities;
  }

  /**
   * Makes {@link GenerationOptions}. Each method refuses what cannot be with {@link IllegalArgumentException} or
   * {@link NullPointerException}.
   */
  public static final class Builder {
    private int maxTokens = 256;
    private float temperature;
    private int topK;
    private float topP = 1;
    private float minP;
    private float repetitionPenalty = 1;
    private long seed;
    private List<String> stop = List.of();
    private int[] stopTokenIds = {};
    private boolean ignoreEos;
    private OptionalInt contextLength = OptionalInt.empty();
    private ContextPolicy contextPolicy = ContextPolicy.reject();
    private OptionalInt logProbabilities = OptionalInt.empty();

    private Builder() {}

    /** The most tokens to make; 0 only checks the prompt. */
    public Builder maxTokens(int value) {
      maxTokens = Check.atLeast("maxTokens", value, 0);
      return this;
    }

    /** What logits are divided by; 0 takes the likeliest token. */
    public Builder temperature(double value) {
      float rounded = (float) value;
      if (!(value >= 0) || Float.isInfinite(rounded)) {
        throw new IllegalArgumentException("temperature is " + value + ", expected a finite number of 0 or more");
      }
      // A temperature below the smallest float is the limit it tends to.
      temperature = rounded;
      return this;
    }

    /** Only the k likeliest tokens are drawn from; 0 for all. */
    public Builder topK(int value) {
      topK = Check.atLeast("topK", value, 0);
      return this;
    }

    /** Only the likeliest tokens that together reach this probability are drawn from. */
    public Builder topP(double value) {
      if (!(value > 0 && value <= 1)) {
        throw new IllegalArgumentException("topP is " + value + ", expected more than 0 and at most 1");
      }
      topP = Math.max((float) value, Float.MIN_VALUE);
      return this;
    }

    /** Only tokens with at least this share of the likeliest token's probability are drawn from. */
    public Builder minP(double value) {
      if (!(value >= 0 && (float) value < 1)) {
        throw new IllegalArgumentException("minP is " + value + ", expected at least 0 and less than 1");
      }
      minP = (float) value;
      return this;
    }

    /** Above 1 makes tokens of prompt and output less likely to come again. */
    public Builder repetitionPenalty(double value) {
      float rounded = (float) value;
      if (!(rounded > 0) || Float.isInfinite(rounded)) {
        throw new IllegalArgumentException("repetitionPenalty is " + value + ", expected a finite number above 0");
      }
      repetitionPenalty = rounded;
      return this;
    }

    /** Any number; the same seed with the same prompt and options gives the same tokens. */
    public Builder seed(long value) {
      seed = value;
      return this;
    }

    /** Texts that end the output. */
    public Builder stop(String... values) {
      Objects.requireNonNull(values, "stop is null");
      return stop(Arrays.asList(values));
    }

    /** Texts that end the output. */
    public Builder stop(List<String> values) {
      Objects.requireNonNull(values, "stop is null");
      for (int i = 0; i < values.size(); i++) {
        if (Objects.requireNonNull(values.get(i), "stop[" + i + "] is null").isEmpty()) {
          throw new IllegalArgumentException("stop[" + i + "] is empty, expected at least one character");
        }
        String text = values.get(i);
        if (Character.isLowSurrogate(text.charAt(0)) || Character.isHighSurrogate(text.charAt(text.length() - 1))) {
          throw new IllegalArgumentException("stop[" + i + "] begins or ends with half a character, expected whole ones");
        }
      }
      stop = List.copyOf(values);
      return this;
    }

    /** Token ids that end the output besides the model's own end tokens. */
    public Builder stopTokenIds(int... values) {
      stopTokenIds = Check.ids("stopTokenIds", values);
      return this;
    }

    /** Whether the model's own end tokens are tokens like any other. */
    public Builder ignoreEos(boolean value) {
      ignoreEos = value;
      return this;
    }

    /** Tokens that prompt and output share, at most the model's limit. */
    public Builder contextLength(int value) {
      contextLength = OptionalInt.of(Check.atLeast("contextLength", value, 1));
      return this;
    }

    public Builder contextPolicy(ContextPolicy value) {
      contextPolicy = Objects.requireNonNull(value, "contextPolicy is null");
      return this;
    }

    /** Reports the log-probability of each token and of the {@code top} likeliest beside it. */
    public Builder logProbabilities(int top) {
      logProbabilities = OptionalInt.of(Check.range("logProbabilities", top, 0, 1000));
      return this;
    }

    public GenerationOptions build() {
      return new GenerationOptions(this);
    }
  }
}
