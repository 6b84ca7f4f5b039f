package dev.lanes.format;

import com.fasterxml.jackson.databind.JsonNode;
import dev.lanes.format.ModelConfig.Activation;
import dev.lanes.format.ModelConfig.Attention;
import dev.lanes.format.ModelConfig.Experts;
import dev.lanes.format.ModelConfig.Family;
import dev.lanes.format.ModelConfig.Rope;
import dev.lanes.format.ModelConfig.TokenIds;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/** Reads config.json in the dialects of the Llama family, GPT-2 and BERT. Absent fields get the defaults of transformers' classes. */
final class ModelConfigReader {
  private static final long MAX_BYTES = 16 << 20;
  private static final int MAX_WIDTH = 1 << 22;
  private static final int MAX_VOCABULARY = 1 << 24;
  private static final int MAX_POSITIONS = 1 << 30;
  private static final int MAX_LAYERS = 4096;
  private static final int MAX_HEADS = 1 << 16;
  private static final int MAX_EXPERTS = 1 << 16;
  private static final int MAX_TOKEN_ID = Integer.MAX_VALUE - 1;

  private final JsonFields fields;
  private Optional<QuantizationConfig> quantization;

  ModelConfigReader(Path file) {
    this.fields = new JsonFields(file, Json.readObject(file, MAX_BYTES));
  }

  ModelConfig read() {
    String architecture = architecture();
    Family family = familyOf(architecture);
    checkModelType(family);
    quantization = quantization();
    return switch (family) {
      case LLAMA -> llama(architecture, family, new Defaults(11008, 0, 2048, 1e-6, 10_000, 1, 2, 32_000));
      case MISTRAL -> llama(architecture, family, new Defaults(14336, 8, 4096 * 32, 1e-6, 10_000, 1, 2, 32_000));
      case MIXTRAL -> llama(architecture, family, new Defaults(14336, 8, 4096 * 32, 1e-5, 1_000_000, 1, 2, 32_000));
      case QWEN2 -> llama(architecture, family, new Defaults(22016, 32, 32768, 1e-6, 10_000, -1, -1, 151_936));
      case GPT2 -> gpt2(architecture);
      case BERT -> bert(architecture);
    };
  }

  /** What transformers assumes where a config.json of the Llama family is silent; kvHeads 0 means as many as heads, a token -1 none. */
  private record Defaults(
      int intermediateSize, int kvHeads, int maxPositions, double normEpsilon, double ropeTheta, int bos, int eos, int vocabSize) {}

  private String architecture() {
    String supported = "; supported: " + String.join(", ", ModelConfig.SUPPORTED_ARCHITECTURES);
    if (fields.has("architectures")) {
      JsonNode list = fields.raw("architectures");
      if (!list.isArray()) {
        throw fields.invalid("architectures", "is " + Json.show(list) + ", expected a list of names");
      }
      List<String> names = fields.strings("architectures", list.size());
      for (String name : names) {
        if (ModelConfig.SUPPORTED_ARCHITECTURES.contains(name)) {
          return name;
        }
      }
      if (!names.isEmpty()) {
        throw fields.unsupported("architectures", "\"" + String.join("\", \"", names) + "\" is not supported" + supported);
      }
    }
    Optional<String> modelType = fields.text("model_type");
    if (modelType.isEmpty()) {
      throw fields.invalid("architectures", "is missing, and so is model_type; one of them must name the architecture" + supported);
    }
    for (Family family : Family.values()) {
      if (family.modelType().equals(modelType.get())) {
        return family.architectures().get(0);
      }
    }
    throw fields.unsupported("model_type", "\"" + modelType.get() + "\" is not supported" + supported);
  }

  private static Family familyOf(String architecture) {
    for (Family family : Family.values()) {
      if (family.architectures().contains(architecture)) {
        return family;
      }
    }
    throw new IllegalStateException("no family has " + architecture);
  }

  /** transformers goes by model_type, others by architectures: where they contradict each other, either could be meant. */
  private void checkModelType(Family family) {
    Optional<String> modelType = fields.text("model_type");
    if (modelType.isPresent() && !modelType.get().equals(family.modelType())) {
      throw fields.invalid(
          "model_type", "is \"" + modelType.get() + "\", which contradicts architectures; expected \"" + family.modelType() + "\"");
    }
  }

  /** The older name of the field is compression_config. */
  private Optional<QuantizationConfig> quantization() {
    for (String field : List.of("quantization_config", "compression_config")) {
      if (fields.has(field)) {
        return Optional.of(new QuantizationConfigReader(fields, field).read());
      }
    }
    return Optional.empty();
  }

  private ModelConfig llama(String architecture, Family family, Defaults defaults) {
    int hiddenSize = fields.integer("hidden_size", 4096, 1, MAX_WIDTH);
    int layers = fields.integer("num_hidden_layers", 32, 1, MAX_LAYERS);
    int heads = fields.integer("num_attention_heads", 32, 1, MAX_HEADS);
    int kvHeads = keyValueHeads(heads, defaults.kvHeads());
    int headDim = headDim(hiddenSize, heads);
    int maxPositions = fields.integer("max_position_embeddings", defaults.maxPositions(), 1, MAX_POSITIONS);
    boolean attentionBias = family == Family.LLAMA && fields.bool("attention_bias", false);
    Attention attention =
        new Attention(
            heads,
            kvHeads,
            headDim,
            attentionBias || family == Family.QWEN2,
            attentionBias,
            Collections.nCopies(layers, 1 / Math.sqrt(headDim)),
            slidingWindows(family, layers));
    return new ModelConfig(
        fields.file(),
        architecture,
        family,
        fields.integer("vocab_size", defaults.vocabSize(), 1, MAX_VOCABULARY),
        maxPositions,
        hiddenSize,
        fields.integer("intermediate_size", defaults.intermediateSize(), 1, MAX_WIDTH),
        layers,
        epsilon("rms_norm_eps", defaults.normEpsilon()),
        activation("hidden_act", "silu"),
        attention,
        Optional.of(rope(headDim, maxPositions, defaults.ropeTheta())),
        family == Family.MIXTRAL ? Optional.of(experts()) : Optional.empty(),
        family == Family.LLAMA && fields.bool("mlp_bias", false),
        fields.bool("tie_word_embeddings", false),
        0,
        tokens(defaults.bos(), defaults.eos(), -1),
        dtype(),
        quantization);
  }

  private ModelConfig gpt2(String architecture) {
    if (fields.bool("add_cross_attention", false)) {
      throw fields.unsupported("add_cross_attention", "is true; cross-attention is not supported");
    }
    String hiddenField = either("n_embd", "hidden_size");
    String headsField = either("n_head", "num_attention_heads");
    int hiddenSize = fields.integer(hiddenField, 768, 1, MAX_WIDTH);
    int layers = fields.integer(either("n_layer", "num_hidden_layers"), 12, 1, MAX_LAYERS);
    int heads = fields.integer(headsField, 12, 1, MAX_HEADS);
    checkDivides(hiddenField, hiddenSize, headsField, heads);
    int headDim = hiddenSize / heads;
    double base = fields.bool("scale_attn_weights", true) ? 1 / Math.sqrt(headDim) : 1;
    boolean byLayer = fields.bool("scale_attn_by_inverse_layer_idx", false);
    List<Double> scales = new ArrayList<>();
    for (int layer = 0; layer < layers; layer++) {
      scales.add(byLayer ? base / (layer + 1) : base);
    }
    return new ModelConfig(
        fields.file(),
        architecture,
        Family.GPT2,
        fields.integer("vocab_size", 50257, 1, MAX_VOCABULARY),
        fields.integer(either("n_positions", "max_position_embeddings"), 1024, 1, MAX_POSITIONS),
        hiddenSize,
        fields.optionalInteger("n_inner", 1, MAX_WIDTH).orElse((int) Math.min(4L * hiddenSize, MAX_WIDTH)),
        layers,
        epsilon("layer_norm_epsilon", 1e-5),
        activation("activation_function", "gelu_new"),
        new Attention(heads, heads, headDim, true, true, scales, Collections.nCopies(layers, 0)),
        Optional.empty(),
        Optional.empty(),
        true,
        fields.bool("tie_word_embeddings", true),
        0,
        tokens(50256, 50256, -1),
        dtype(),
        quantization);
  }

  private ModelConfig bert(String architecture) {
    if (fields.bool("is_decoder", false)) {
      throw fields.unsupported("is_decoder", "is true; only the encoder is supported");
    }
    if (fields.bool("add_cross_attention", false)) {
      throw fields.unsupported("add_cross_attention", "is true; cross-attention is not supported");
    }
    String positions = fields.text("position_embedding_type").orElse("absolute");
    if (!positions.equals("absolute")) {
      throw fields.unsupported("position_embedding_type", "is \"" + positions + "\"; supported: \"absolute\"");
    }
    int hiddenSize = fields.integer("hidden_size", 768, 1, MAX_WIDTH);
    int layers = fields.integer("num_hidden_layers", 12, 1, MAX_LAYERS);
    int heads = fields.integer("num_attention_heads", 12, 1, MAX_HEADS);
    checkDivides("hidden_size", hiddenSize, "num_attention_heads", heads);
    int headDim = hiddenSize / heads;
    return new ModelConfig(
        fields.file(),
        architecture,
        Family.BERT,
        fields.integer("vocab_size", 30522, 1, MAX_VOCABULARY),
        fields.integer("max_position_embeddings", 512, 1, MAX_POSITIONS),
        hiddenSize,
        fields.integer("intermediate_size", 3072, 1, MAX_WIDTH),
        layers,
        epsilon("layer_norm_eps", 1e-12),
        activation("hidden_act", "gelu"),
        new Attention(
            heads, heads, headDim, true, true, Collections.nCopies(layers, 1 / Math.sqrt(headDim)), Collections.nCopies(layers, 0)),
        Optional.empty(),
        Optional.empty(),
        true,
        fields.bool("tie_word_embeddings", true),
        fields.integer("type_vocab_size", 2, 1, MAX_VOCABULARY),
        tokens(-1, -1, 0),
        dtype(),
        quantization);
  }

  private int keyValueHeads(int heads, int fallback) {
    String field = "num_key_value_heads";
    int kvHeads = !fields.mentions(field) && fallback > 0 ? fallback : fields.optionalInteger(field, 1, MAX_HEADS).orElse(heads);
    checkDivides("num_attention_heads", heads, field, kvHeads);
    return kvHeads;
  }

  private int headDim(int hiddenSize, int heads) {
    OptionalInt given = fields.optionalInteger("head_dim", 1, MAX_WIDTH);
    if (given.isEmpty()) {
      checkDivides("hidden_size", hiddenSize, "num_attention_heads", heads);
      return hiddenSize / heads;
    }
    if ((long) given.getAsInt() * heads > MAX_WIDTH) {
      throw fields.invalid("head_dim", "is " + given.getAsInt() + ", which times " + heads + " heads is more than " + MAX_WIDTH);
    }
    return given.getAsInt();
  }

  /** The name that the file uses for a field with an alias, as GPT-2's have. */
  private String either(String name, String alias) {
    return !fields.mentions(name) && fields.mentions(alias) ? alias : name;
  }

  private void checkDivides(String field, int value, String byField, int by) {
    if (value % by != 0) {
      throw fields.invalid(byField, "is " + by + ", which does not divide " + field + " = " + value);
    }
  }

  private List<Integer> slidingWindows(Family family, int layers) {
    return switch (family) {
      // Unlike the others, a Mistral configuration that says nothing means a window.
      case MISTRAL -> Collections.nCopies(
          layers, fields.mentions("sliding_window") ? fields.optionalInteger("sliding_window", 1, MAX_POSITIONS).orElse(0) : 4096);
      case MIXTRAL -> Collections.nCopies(layers, fields.optionalInteger("sliding_window", 1, MAX_POSITIONS).orElse(0));
      case QWEN2 -> qwen2Windows(layers);
      default -> Collections.nCopies(layers, 0);
    };
  }

  private List<Integer> qwen2Windows(int layers) {
    int window = 0;
    if (fields.bool("use_sliding_window", false)) {
      window = fields.mentions("sliding_window") ? fields.optionalInteger("sliding_window", 1, MAX_POSITIONS).orElse(0) : 4096;
    }
    int fullLayers = fields.integer("max_window_layers", 28, 0, MAX_LAYERS);
    List<Integer> windows = new ArrayList<>();
    if (!fields.has("layer_types")) {
      for (int layer = 0; layer < layers; layer++) {
        windows.add(layer >= fullLayers ? window : 0);
      }
      return windows;
    }
    List<String> types = fields.strings("layer_types", layers);
    for (int layer = 0; layer < layers; layer++) {
      switch (types.get(layer)) {
        case "full_attention" -> windows.add(0);
        case "sliding_attention" -> {
          if (window == 0) {
            throw fields.invalid("layer_types[" + layer + "]", "is \"sliding_attention\", but no sliding_window is in use");
          }
          windows.add(window);
        }
        default -> throw fields.unsupported(
            "layer_types[" + layer + "]",
            "is \"" + types.get(layer) + "\"; supported: \"full_attention\", \"sliding_attention\"");
      }
    }
    return windows;
  }

  private Rope rope(int headDim, int maxPositions, double defaultTheta) {
    return new RopeReader(fields, headDim, maxPositions, defaultTheta).read();
  }

  private Experts experts() {
    int count = fields.integer(either("num_local_experts", "num_experts"), 8, 1, MAX_EXPERTS);
    int perToken = fields.integer("num_experts_per_tok", 2, 1, MAX_EXPERTS);
    if (perToken > count) {
      throw fields.invalid("num_experts_per_tok", "is " + perToken + ", more than num_local_experts = " + count);
    }
    return new Experts(count, perToken);
  }

  private double epsilon(String field, double fallback) {
    return fields.number(field, fallback, 0, 1);
  }

  private Activation activation(String field, String fallback) {
    String name = fields.text(field).orElse(fallback);
    return switch (name) {
      case "silu", "swish" -> Activation.SILU;
      case "gelu", "gelu_python" -> Activation.GELU;
      case "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate" -> Activation.GELU_TANH;
      case "relu" -> Activation.RELU;
      default -> throw fields.unsupported(field, "activation \"" + name + "\" is not supported; supported: silu, swish, gelu, "
          + "gelu_python, gelu_new, gelu_pytorch_tanh, gelu_fast, gelu_accurate, relu");
    };
  }

  private TokenIds tokens(int bos, int eos, int pad) {
    return new TokenIds(
        fields.mentions("bos_token_id") ? fields.optionalInteger("bos_token_id", 0, MAX_TOKEN_ID) : optional(bos),
        fields.mentions("eos_token_id") ? fields.integers("eos_token_id", 0, MAX_TOKEN_ID) : eos < 0 ? List.of() : List.of(eos),
        padding(pad));
  }

  /** Early Llama exports write -1 for no padding. */
  private OptionalInt padding(int fallback) {
    OptionalInt pad = fields.mentions("pad_token_id") ? fields.optionalInteger("pad_token_id", -1, MAX_TOKEN_ID) : optional(fallback);
    return pad.isPresent() && pad.getAsInt() < 0 ? OptionalInt.empty() : pad;
  }

  private static OptionalInt optional(int id) {
    return id < 0 ? OptionalInt.empty() : OptionalInt.of(id);
  }

  private Optional<DType> dtype() {
    String field = fields.has("dtype") ? "dtype" : "torch_dtype";
    Optional<String> name = fields.text(field);
    if (name.isEmpty() || name.get().equals("auto")) {
      return Optional.empty();
    }
    Optional<DType> type = DType.ofConfig(name.get());
    if (type.isEmpty()) {
      throw fields.unsupported(field, "is \"" + name.get() + "\"; supported: float32, float16, bfloat16, float64");
    }
    return type;
  }
}
