package dev.lanes.format;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What config.json says about a model, normalised: one set of names for every architecture, absent fields filled with the defaults
 * of Hugging Face transformers, every value checked.
 *
 * @param file the config.json it was read from, for error messages
 * @param architecture the architecture's class name, such as {@code LlamaForCausalLM}; one of {@link #SUPPORTED_ARCHITECTURES}
 * @param family which configuration dialect and layer recipe that is
 * @param vocabSize rows of the token embedding
 * @param maxPositions the longest context the model was made for (a hard limit where positions are learned)
 * @param hiddenSize width of a token's hidden state
 * @param intermediateSize width inside the feed-forward network (of one expert, where there are experts)
 * @param layers number of layers
 * @param normEpsilon the epsilon of LayerNorm or RMSNorm
 * @param activation the feed-forward network's activation
 * @param attention heads, biases, scale and windows
 * @param rope rotary position embedding; empty where positions are learned (GPT-2, BERT)
 * @param experts mixture of experts; empty for a dense feed-forward network
 * @param mlpBias whether the feed-forward projections have biases
 * @param tieWordEmbeddings whether the LM head is the token embedding
 * @param typeVocabSize rows of the token-type embedding (BERT), 0 where there is none
 * @param tokens ids of the special tokens
 * @param dtype the element type that the file announces; the tensors themselves decide
 * @param quantization how linear layers are quantized; empty for float weights
 */
public record ModelConfig(
    Path file,
    String architecture,
    Family family,
    int vocabSize,
    int maxPositions,
    int hiddenSize,
    int intermediateSize,
    int layers,
    double normEpsilon,
    Activation activation,
    Attention attention,
    Optional<Rope> rope,
    Optional<Experts> experts,
    boolean mlpBias,
    boolean tieWordEmbeddings,
    int typeVocabSize,
    TokenIds tokens,
    Optional<DType> dtype,
    Optional<QuantizationConfig> quantization) {

  /** Every architecture that can be read, in the order messages list them. */
  public static final List<String> SUPPORTED_ARCHITECTURES =
      Arrays.stream(Family.values()).flatMap(family -> family.architectures().stream()).toList();

  /**
   * Reads {@code config.json} in a model directory.
   *
   * @throws dev.lanes.error.InvalidModelException if it is missing, is not JSON, or a field has a value that cannot be
   * @throws dev.lanes.error.UnsupportedModelException if it asks for an architecture, RoPE type, activation or quantization that is not
   *     supported
   */
  public static ModelConfig load(Path directory) {
    return read(directory.resolve("config.json"));
  }

  /** Reads one config.json by its own path; errors as {@link #load}. */
  public static ModelConfig read(Path file) {
    return new ModelConfigReader(file).read();
  }

  /** The dialects of config.json, each with the architectures that use it; the first is the default where only model_type is given. */
  public enum Family {
    LLAMA("llama", "LlamaForCausalLM"),
    MISTRAL("mistral", "MistralForCausalLM"),
    QWEN2("qwen2", "Qwen2ForCausalLM"),
    MIXTRAL("mixtral", "MixtralForCausalLM"),
    GPT2("gpt2", "GPT2LMHeadModel"),
    BERT("bert", "BertModel", "BertForMaskedLM", "BertForPreTraining");

    private final String modelType;
    private final List<String> architectures;

    Family(String modelType, String... architectures) {
      this.modelType = modelType;
      this.architectures = List.of(architectures);
    }

    /** The {@code model_type} of config.json. */
    public String modelType() {
      return modelType;
    }

    public List<String> architectures() {
      return architectures;
    }
  }

  /** Activation functions of the feed-forward network. */
  public enum Activation {
    /** x * sigmoid(x). */
    SILU,
    /** x * Phi(x), with the error function. */
    GELU,
    /** GELU's tanh approximation ({@code gelu_new}, {@code gelu_pytorch_tanh}). */
    GELU_TANH,
    RELU
  }

  /**
   * Attention.
   *
   * @param heads query heads
   * @param kvHeads key/value heads; divides {@code heads}
   * @param headDim size of one head; {@code heads * headDim} need not equal the hidden size
   * @param qkvBias whether the Q, K and V projections have biases
   * @param outputBias whether the output projection has a bias
   * @param scales what Q·K is multiplied by before the softmax, per layer
   * @param slidingWindows per layer, how many tokens a token attends to, itself included; 0 for all
   */
  public record Attention(
      int heads, int kvHeads, int headDim, boolean qkvBias, boolean outputBias, List<Double> scales, List<Integer> slidingWindows) {
    public Attention {
      scales = List.copyOf(scales);
      slidingWindows = List.copyOf(slidingWindows);
    }

    /** What Q·K of layer {@code layer} is multiplied by. */
    public double scale(int layer) {
      return scales.get(layer);
    }

    /** How many tokens a token of layer {@code layer} attends to, itself included; 0 for all. */
    public int slidingWindow(int layer) {
      return slidingWindows.get(layer);
    }
  }

  /** Kinds of RoPE scaling. */
  public enum RopeType {
    DEFAULT,
    /** All frequencies divided by a factor (position interpolation). */
    LINEAR,
    /** Llama 3.1's: low frequencies divided by a factor, high ones kept, those between blended. */
    LLAMA3
  }

  /**
   * Rotary position embedding, in the half-split pairing of Hugging Face checkpoints (element i rotates with i + rotaryDim/2).
   *
   * @param type which scaling
   * @param theta the base
   * @param rotaryDim how many elements of a head are rotated, from the first; even
   * @param factor the scaling factor; 1 for {@link RopeType#DEFAULT}
   * @param lowFreqFactor wavelengths beyond {@code originalMaxPositions / lowFreqFactor} are scaled (LLAMA3 only, else 1)
   * @param highFreqFactor wavelengths below {@code originalMaxPositions / highFreqFactor} are kept (LLAMA3 only, else 1)
   * @param originalMaxPositions the context the frequencies were trained for (LLAMA3 only, else the model's own)
   */
  public record Rope(
      RopeType type,
      double theta,
      int rotaryDim,
      double factor,
      double lowFreqFactor,
      double highFreqFactor,
      int originalMaxPositions) {}

  /**
   * A mixture of experts: softmax over the router's top choices.
   *
   * @param count experts in a layer
   * @param perToken how many of them a token uses
   */
  public record Experts(int count, int perToken) {}

  /**
   * Special tokens as the model's configuration names them; generation_config.json takes precedence where it names them too.
   *
   * @param bos begins a sequence
   * @param eos each of these ends a generation
   * @param pad fills batches
   */
  public record TokenIds(OptionalInt bos, List<Integer> eos, OptionalInt pad) {
    public TokenIds {
      eos = List.copyOf(eos);
    }
  }
}
