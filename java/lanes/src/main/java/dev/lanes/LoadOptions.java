package dev.lanes;

import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.model.Quantization;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/** How a model is loaded. Immutable; {@link #builder()} makes one, {@link #defaults()} suits most. */
public final class LoadOptions {
  private static final LoadOptions DEFAULTS = builder().build();

  private final Device device;
  private final int deviceIndex;
  private final int threads;
  private final String isa;
  private final OptionalInt contextLength;
  private final OptionalLong cacheBytes;
  private final OptionalInt cacheTokens;
  private final Optional<DType> weightType;
  private final Quantization quantization;
  private final boolean quantizeHead;
  private final Optional<Compute> compute;
  private final DType ropeType;
  private final Optional<DType> cacheType;
  private final int stepTokens;
  private final int maxBatch;
  private final boolean prefixCache;
  private final boolean pinnedThreads;
  private final boolean ownThreads;
  private final boolean profile;
  private final LoadProgress progress;

  private LoadOptions(Builder builder) {
    device = builder.device;
    deviceIndex = builder.deviceIndex;
    threads = builder.threads;
    isa = builder.isa;
    contextLength = builder.contextLength;
    cacheBytes = builder.cacheBytes;
    cacheTokens = builder.cacheTokens;
    weightType = builder.weightType;
    quantization = builder.quantization;
    quantizeHead = builder.quantizeHead;
    compute = builder.compute;
    ropeType = builder.ropeType;
    cacheType = builder.cacheType;
    stepTokens = builder.stepTokens;
    maxBatch = builder.maxBatch;
    prefixCache = builder.prefixCache;
    pinnedThreads = builder.pinnedThreads;
    ownThreads = builder.ownThreads;
    profile = builder.profile;
    progress = builder.progress;
  }

  public static LoadOptions defaults() {
    return DEFAULTS;
  }

  public static Builder builder() {
    return new Builder();
  }

  public Device device() {
    return device;
  }

  /** Which of several GPUs. */
  public int deviceIndex() {
    return deviceIndex;
  }

  /** Threads that share an operation; 0 for one for each CPU. */
  public int threads() {
    return threads;
  }

  /** {@code auto}, {@code avx512}, {@code avx2}, {@code neon} or {@code reference}. */
  public String isa() {
    return isa;
  }

  /** Tokens that prompt and output share; empty for as many as the model was made for and memory allows. */
  public OptionalInt contextLength() {
    return contextLength;
  }

  /** The most memory that keys and values may take. */
  public OptionalLong cacheBytes() {
    return cacheBytes;
  }

  /** Tokens of all sequences together that the cache has room for. */
  public OptionalInt cacheTokens() {
    return cacheTokens;
  }

  /** Element type of the weights in memory; empty for the type they are stored in. */
  public Optional<DType> weightType() {
    return weightType;
  }

  /** What becomes of float linear layers. */
  public Quantization quantization() {
    return quantization;
  }

  /** Whether token embedding and LM head are int8. */
  public boolean quantizeHead() {
    return quantizeHead;
  }

  /** How linear layers with 16-bit weights multiply, and attention over a 16-bit cache; empty for what suits the device. */
  public Optional<Compute> compute() {
    return compute;
  }

  /** Type that the frequencies of rotary embedding are rounded to. */
  public DType ropeType() {
    return ropeType;
  }

  /** Element type of keys and values; empty for what suits the device. */
  public Optional<DType> cacheType() {
    return cacheType;
  }

  /** The most tokens that go through the model in one step. Longer prompts are processed in chunks of it. */
  public int stepTokens() {
    return stepTokens;
  }

  /** The most generations that run side by side; further ones queue. */
  public int maxBatch() {
    return maxBatch;
  }

  /** Whether prompts that begin alike share their keys and values. */
  public boolean prefixCache() {
    return prefixCache;
  }

  /** Whether each native thread but the engine's stays on a CPU of its own. */
  public boolean pinnedThreads() {
    return pinnedThreads;
  }

  /** Whether the model has native threads to itself. */
  public boolean ownThreads() {
    return ownThreads;
  }

  /** Whether the time of steps is measured op by op. */
  public boolean profile() {
    return profile;
  }

  public LoadProgress progress() {
    return progress;
  }

  /**
   * Makes {@link LoadOptions}. Each method refuses what cannot be with {@link IllegalArgumentException} or
   * {@link NullPointerException}.
   */
  public static final class Builder {
    private Device device = Device.AUTO;
    private int deviceIndex;
    private int threads;
    private String isa = "auto";
    private OptionalInt contextLength = OptionalInt.empty();
    private OptionalLong cacheBytes = OptionalLong.empty();
    private OptionalInt cacheTokens = OptionalInt.empty();
    private Optional<DType> weightType = Optional.empty();
    private Quantization quantization = Quantization.NONE;
    private boolean quantizeHead;
    private Optional<Compute> compute = Optional.empty();
    private DType ropeType = DType.F32;
    private Optional<DType> cacheType = Optional.empty();
    private int stepTokens = 512;
    private int maxBatch = 64;
    private boolean prefixCache = true;
    private boolean pinnedThreads;
    private boolean ownThreads;
    private boolean profile;
    private LoadProgress progress = (done, total) -> {};

    private Builder() {}

    public Builder device(Device value) {
      device = Objects.requireNonNull(value, "device is null");
      return this;
    }

    /** Which of several GPUs, from 0. Only {@link Device#CUDA} and {@link Device#AUTO} look at it. */
    public Builder deviceIndex(int value) {
      deviceIndex = Check.range("deviceIndex", value, 0, 1023);
      return this;
    }

    /** Threads that share an operation; 0 for one for each CPU. A GPU does not look at it. */
    public Builder threads(int value) {
      threads = Check.range("threads", value, 0, 1024);
      return this;
    }

    /** The instruction set: {@code auto}, {@code avx512}, {@code avx2}, {@code neon} or {@code reference}. */
    public Builder isa(String value) {
      Objects.requireNonNull(value, "isa is null");
      switch (value) {
        case "auto", "avx512", "avx2", "neon", "reference" -> isa = value;
        default -> throw new IllegalArgumentException("isa is '" + value + "', expected auto, avx512, avx2, neon or reference");
      }
      return this;
    }

    /** Tokens that prompt and output share, at most as many as the model was made for. */
    public Builder contextLength(int value) {
      contextLength = OptionalInt.of(Check.atLeast("contextLength", value, 1));
      return this;
    }

    /** The most memory that keys and values may take. */
    public Builder cacheBytes(long value) {
      cacheBytes = OptionalLong.of(Check.atLeast("cacheBytes", value, 1));
      return this;
    }

    /** Tokens of all sequences together that the cache has room for, rounded up to whole pages. */
    public Builder cacheTokens(int value) {
      cacheTokens = OptionalInt.of(Check.atLeast("cacheTokens", value, 1));
      return this;
    }

    /**
     * Element type of the weights in memory, when it shall not be the type they are stored in: one of floats. Int8 weights of a quantized
     * checkpoint are converted too, and their activations stay float, unless {@link #quantization} asks for int8.
     */
    public Builder weightType(DType value) {
      Objects.requireNonNull(value, "weightType is null");
      if (!value.isFloat()) {
        throw new IllegalArgumentException("weightType is " + value + ", expected F32, BF16 or F16; quantization makes weights int8");
      }
      weightType = Optional.of(value);
      return this;
    }

    /** Whether float linear layers become int8 while loading; quantized checkpoints need no asking. */
    public Builder quantization(Quantization value) {
      quantization = Objects.requireNonNull(value, "quantization is null");
      return this;
    }

    /** Whether token embedding and LM head become int8 while loading: one matrix where they are tied. */
    public Builder quantizeHead(boolean value) {
      quantizeHead = value;
      return this;
    }

    /**
     * How linear layers with 16-bit weights multiply, and attention over a 16-bit cache: {@link Compute#EXACT}, or {@link Compute#BF16} or
     * {@link Compute#F16} where weights, or keys and values, are of that type. When nothing is asked for, all is exact on a CPU; a GPU
     * multiplies each 16-bit type in itself, on tensor cores, which is some thirty times as fast and rounds activations.
     */
    public Builder compute(Compute value) {
      Objects.requireNonNull(value, "compute is null");
      if (value == Compute.INT8) {
        throw new IllegalArgumentException("compute is INT8, expected EXACT, BF16 or F16; int8 weights multiply so without being asked");
      }
      compute = Optional.of(value);
      return this;
    }

    /**
     * Type that the frequencies of rotary embedding are rounded to: float32 as Hugging Face loads models, or bfloat16 to reproduce what a
     * model gave that was cast as a whole ({@code model.to(torch.bfloat16)}).
     */
    public Builder ropeType(DType value) {
      ropeType = Objects.requireNonNull(value, "ropeType is null");
      return this;
    }

    /**
     * Element type of keys and values: float32, bfloat16, IEEE half ({@link DType#F16}: eight times as exact as bfloat16, up to 65504), or
     * int8 ({@link DType#S8}) with a float32 scale for each key and value of a token and head, which takes a quarter of float32's memory
     * and a little more. Attention reads each as it is. With a 16-bit type and the {@link Compute} of that name it multiplies in it as
     * well. When nothing is asked for, it is float32 on a CPU, and on a GPU the type that the layers multiply in.
     */
    public Builder cacheType(DType value) {
      cacheType = Optional.of(Objects.requireNonNull(value, "cacheType is null"));
      return this;
    }

    /** The most tokens that go through the model in one step. */
    public Builder stepTokens(int value) {
      stepTokens = Check.range("stepTokens", value, 1, 1 << 20);
      return this;
    }

    /** The most generations that run side by side. */
    public Builder maxBatch(int value) {
      maxBatch = Check.range("maxBatch", value, 1, 1 << 16);
      return this;
    }

    public Builder prefixCache(boolean value) {
      prefixCache = value;
      return this;
    }

    /**
     * Whether each native thread but the engine's stays on a CPU of its own, where the system can do that and has as many. Off unless
     * asked for: it helps on a machine that does nothing else, and harms where other programs want the same CPUs.
     */
    public Builder pinnedThreads(boolean value) {
      pinnedThreads = value;
      return this;
    }

    /**
     * Whether the model has native threads to itself. Otherwise models with the same number of threads share them and take turns, so
     * that several models in one JVM do not ask for more CPUs than one. Models that shall run at the same time on different CPUs need
     * threads of their own, and fewer each.
     */
    public Builder ownThreads(boolean value) {
      ownThreads = value;
      return this;
    }

    /** Whether the time of steps is measured op by op, for {@link LanguageModel#profile()}. It costs a percent or two of small models. */
    public Builder profile(boolean value) {
      profile = value;
      return this;
    }

    public Builder progress(LoadProgress value) {
      progress = Objects.requireNonNull(value, "progress is null");
      return this;
    }

    public LoadOptions build() {
      return new LoadOptions(this);
    }
  }
}
