package dev.lanes.quantize;

import dev.lanes.backend.BackendOptions;
import java.util.List;
import java.util.Objects;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** How a checkpoint is quantized. Immutable; {@link #builder()} makes one. */
public final class QuantizeOptions {
  private final List<String> texts;
  private final int window;
  private final int calibrationTokens;
  private final int evaluationTokens;
  private final OptionalDouble smooth;
  private final Rounding rounding;
  private final List<String> ignore;
  private final boolean auto;
  private final double minAgreement;
  private final double maxPerplexityIncrease;
  private final boolean overwrite;
  private final BackendOptions backend;
  private final Consumer<String> progress;

  private QuantizeOptions(Builder builder) {
    texts = builder.texts;
    window = builder.window;
    calibrationTokens = builder.calibrationTokens;
    evaluationTokens = builder.evaluationTokens;
    smooth = builder.smooth;
    rounding = builder.rounding;
    ignore = builder.ignore;
    auto = builder.auto;
    minAgreement = builder.minAgreement;
    maxPerplexityIncrease = builder.maxPerplexityIncrease;
    overwrite = builder.overwrite;
    backend = builder.backend;
    progress = builder.progress;
  }

  public static Builder builder() {
    return new Builder();
  }

  /** Texts to calibrate on, to choose by and to judge by: the beginning of each, then what follows, and the end. */
  public List<String> texts() {
    return texts;
  }

  /** Tokens of a window. */
  public int window() {
    return window;
  }

  public int calibrationTokens() {
    return calibrationTokens;
  }

  public int evaluationTokens() {
    return evaluationTokens;
  }

  /** Exponent of smoothing; empty to search the best one for each group of layers, 0 for none. */
  public OptionalDouble smooth() {
    return smooth;
  }

  public Rounding rounding() {
    return rounding;
  }

  /** Modules that stay float: full names, or {@code re:} and a regular expression for the beginning of one. */
  public List<String> ignore() {
    return ignore;
  }

  /** Whether layers that suffer stay float until the budget is met. */
  public boolean auto() {
    return auto;
  }

  public double minAgreement() {
    return minAgreement;
  }

  public double maxPerplexityIncrease() {
    return maxPerplexityIncrease;
  }

  public boolean overwrite() {
    return overwrite;
  }

  public BackendOptions backend() {
    return backend;
  }

  /** Hears what is being done, a line at a time. */
  public Consumer<String> progress() {
    return progress;
  }

  /** Makes {@link QuantizeOptions}; what cannot be is refused with {@link IllegalArgumentException}. */
  public static final class Builder {
    private List<String> texts = List.of();
    private int window = 512;
    private int calibrationTokens = 8192;
    private int evaluationTokens = 8192;
    private OptionalDouble smooth = OptionalDouble.empty();
    private Rounding rounding = Rounding.NEAREST;
    private List<String> ignore = List.of();
    private boolean auto;
    private double minAgreement = 0.95;
    private double maxPerplexityIncrease = 0.01;
    private boolean overwrite;
    private BackendOptions backend = BackendOptions.defaults();
    private Consumer<String> progress = line -> {};

    private Builder() {}

    /** Texts like those that the model is for. Without any, the model calibrates on what it writes itself. */
    public Builder texts(List<String> value) {
      texts = List.copyOf(value);
      return this;
    }

    /** Tokens of a window of text, 8 or more; no more than the model's context are used. */
    public Builder window(int value) {
      window = atLeast("window", value, 8);
      return this;
    }

    /** Tokens to take activations from, over all texts. */
    public Builder calibrationTokens(int value) {
      calibrationTokens = atLeast("calibrationTokens", value, 8);
      return this;
    }

    /** Tokens to judge by, over all texts. */
    public Builder evaluationTokens(int value) {
      evaluationTokens = atLeast("evaluationTokens", value, 8);
      return this;
    }

    /** A fixed exponent of smoothing, 0 (none) to 1. */
    public Builder smooth(double value) {
      if (!(value >= 0 && value <= 1)) {
        throw new IllegalArgumentException("smooth is " + value + ", expected 0 to 1");
      }
      smooth = OptionalDouble.of(value);
      return this;
    }

    public Builder rounding(Rounding value) {
      rounding = Objects.requireNonNull(value, "rounding is null");
      return this;
    }

    public Builder ignore(List<String> value) {
      for (String pattern : value) {
        try {
          if (pattern.startsWith("re:")) {
            Pattern.compile(pattern.substring(3));
          }
        } catch (PatternSyntaxException e) {
          throw new IllegalArgumentException("ignore: '" + pattern + "' is not a regular expression: " + e.getDescription(), e);
        }
      }
      ignore = List.copyOf(value);
      return this;
    }

    public Builder auto(boolean value) {
      auto = value;
      return this;
    }

    /** For {@link #auto}: the share of positions, 0 to 1, whose likeliest token must stay the same. */
    public Builder minAgreement(double value) {
      if (!(value >= 0 && value <= 1)) {
        throw new IllegalArgumentException("minAgreement is " + value + ", expected 0 to 1");
      }
      minAgreement = value;
      return this;
    }

    /** For {@link #auto}: by what share the perplexity may rise. */
    public Builder maxPerplexityIncrease(double value) {
      if (!(value >= 0)) {
        throw new IllegalArgumentException("maxPerplexityIncrease is " + value + ", expected 0 or more");
      }
      maxPerplexityIncrease = value;
      return this;
    }

    /** Whether an older model at the destination is replaced. */
    public Builder overwrite(boolean value) {
      overwrite = value;
      return this;
    }

    public Builder backend(BackendOptions value) {
      backend = Objects.requireNonNull(value, "backend is null");
      return this;
    }

    public Builder progress(Consumer<String> value) {
      progress = Objects.requireNonNull(value, "progress is null");
      return this;
    }

    public QuantizeOptions build() {
      return new QuantizeOptions(this);
    }

    private static int atLeast(String name, int value, int minimum) {
      if (value < minimum) {
        throw new IllegalArgumentException(name + " is " + value + ", expected " + minimum + " or more");
      }
      return value;
    }
  }
}
