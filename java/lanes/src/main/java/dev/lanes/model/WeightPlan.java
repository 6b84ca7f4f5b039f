package dev.lanes.model;

import dev.lanes.backend.DType;
import dev.lanes.backend.OpChecks;
import dev.lanes.error.InvalidModelException;
import dev.lanes.error.UnsupportedModelException;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.ModelConfig;
import dev.lanes.format.QuantizationConfig;
import dev.lanes.format.TensorInfo;
import dev.lanes.model.ModelWeights.Expert;
import dev.lanes.model.ModelWeights.FeedForward;
import dev.lanes.model.ModelWeights.Layer;
import dev.lanes.model.ModelWeights.Linear;
import dev.lanes.model.ModelWeights.Norm;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Finds the tensors of a recipe in a checkpoint and checks name, shape and type of each against the configuration. Nothing is read but
 * the scales of inputs, nothing allocated. Tensors that no part of the recipe asks for (buffers of older exports, poolers, a tied head's copy) are left alone.
 */
final class WeightPlan {
  /**
   * A matrix to be packed.
   *
   * @param rows output features
   * @param columns input features
   * @param dtype in memory; floats are quantized where it is S8, int8 is dequantized where it is not
   */
  record Matrix(int rows, int columns, DType dtype, float inputScale, List<Part> parts) implements LinearInput {}

  /**
   * Rows {@code rowBegin … rowBegin + rowCount - 1} of a matrix: the elements from {@code byteOffset} of a tensor on.
   *
   * @param scales of int8 elements; null for floats
   * @param inputMajor whether they are stored [columns, rowCount]
   */
  record Part(TensorInfo tensor, Scales scales, long byteOffset, boolean inputMajor, int rowBegin, int rowCount) {
    /** Type of the stored elements. */
    DType type() {
      return scales != null ? DType.S8 : DType.valueOf(tensor.dtype().name());
    }
  }

  /**
   * Scales of int8 rows.
   *
   * @param tensor one element for all rows, or one for each
   * @param zeroPoint what must hold zeros only; or null
   */
  record Scales(TensorInfo tensor, TensorInfo zeroPoint) {}

  /** What a matrix is for. */
  private enum Role {
    /** Of attention or feed-forward network. */
    LAYER,
    ROUTER,
    TOKENS_OR_HEAD,
    OTHER_EMBEDDING
  }

  /** A stored matrix and what it becomes. */
  private record Source(TensorInfo tensor, Scales scales, DType dtype, float inputScale, int rows) {
    /** Whether both can be parts of one matrix. Different floats meet in float32, which holds all of them exactly. */
    boolean joins(Source other) {
      return (dtype == DType.S8) == (other.dtype == DType.S8) && inputScale == other.inputScale;
    }
  }

  /** Vectors of the checkpoint, one behind the other. */
  record Vector(int length, List<TensorInfo> parts) {}

  private final Checkpoint checkpoint;
  private final ModelConfig config;
  private final Architecture architecture;
  private final ModelOptions options;
  private final QuantizedTensors quantized;
  private final String prefix;

  private WeightPlan(Checkpoint checkpoint, ModelConfig config, ModelOptions options) {
    this.checkpoint = checkpoint;
    this.config = config;
    this.architecture = Architectures.of(config);
    this.options = options;
    this.quantized = new QuantizedTensors(checkpoint, config);
    this.prefix = prefix(checkpoint, architecture);
  }

  /** What the names of a checkpoint's tensors begin with. */
  static String prefix(Checkpoint checkpoint, Architecture architecture) {
    return architecture.prefixes().stream()
        .filter(p -> checkpoint.contains(p + architecture.tokens() + ".weight"))
        .findFirst()
        .orElse(architecture.prefixes().get(0));
  }

  static ModelWeights<Matrix, Vector> of(Checkpoint checkpoint, ModelConfig config, ModelOptions options) {
    return new WeightPlan(checkpoint, config, options).build();
  }

  private ModelWeights<Matrix, Vector> build() {
    if (config.attention().headDim() > OpChecks.MAX_HEAD_DIM) {
      throw new UnsupportedModelException(config.file(), "head_dim",
          "a head of " + config.attention().headDim() + " elements; at most " + OpChecks.MAX_HEAD_DIM + " are supported");
    }
    int hidden = config.hiddenSize();
    Matrix tokens = embedding(Role.TOKENS_OR_HEAD, architecture.tokens(), config.vocabSize(), "vocab_size");
    Matrix positions = architecture.positions() == null
        ? null
        : embedding(Role.OTHER_EMBEDDING, architecture.positions(), config.maxPositions(), "the maximum position of the configuration");
    Matrix types = architecture.tokenTypes() == null
        ? null : embedding(Role.OTHER_EMBEDDING, architecture.tokenTypes(), config.typeVocabSize(), "type_vocab_size");
    List<Layer<Matrix, Vector>> layers = new ArrayList<>();
    for (int i = 0; i < config.layers(); i++) {
      layers.add(layer(prefix + architecture.layer().replace("{i}", Integer.toString(i))));
    }
    Matrix head = null;
    if (architecture.head() != null) {
      boolean tied = config.tieWordEmbeddings() && !quantized.contains(architecture.head());
      head = tied ? tokens : matrix(Role.TOKENS_OR_HEAD, architecture.head(), config.vocabSize(), hidden);
    }
    return new ModelWeights<>(tokens, positions, types, norm(prefix, architecture.embeddingNorm()), List.copyOf(layers),
        norm(prefix, architecture.finalNorm()), head);
  }

  private Layer<Matrix, Vector> layer(String layer) {
    ModelConfig.Attention attention = config.attention();
    boolean inputMajor = architecture.attention().inputMajor();
    long queries = (long) attention.heads() * attention.headDim();
    long keys = (long) attention.kvHeads() * attention.headDim();
    List<String> qkv = architecture.attention().qkv().stream().map(layer::concat).toList();
    long[] qkvRows = qkv.size() == 1 ? new long[] {queries + 2 * keys} : new long[] {queries, keys, keys};
    return new Layer<>(
        norm(layer, architecture.attentionNorm()),
        linear(qkv, qkvRows, config.hiddenSize(), inputMajor, attention.qkvBias()),
        linear(List.of(layer + architecture.attention().output()), new long[] {config.hiddenSize()}, queries, inputMajor,
            attention.outputBias()),
        norm(layer, architecture.feedForwardNorm()),
        feedForward(layer, architecture.feedForward(), inputMajor));
  }

  private FeedForward<Matrix, Vector> feedForward(String layer, Architecture.FeedForward network, boolean inputMajor) {
    if (network instanceof Architecture.Plain plain) {
      return new FeedForward<>(null, List.of(expert(List.of(layer + plain.up()), layer + plain.down(), inputMajor)));
    }
    if (network instanceof Architecture.Gated gated) {
      return new FeedForward<>(null, List.of(gated(layer, gated, inputMajor)));
    }
    return mixture(layer, (Architecture.Mixture) network);
  }

  private FeedForward<Matrix, Vector> mixture(String layer, Architecture.Mixture mixture) {
    int experts = config.experts().orElseThrow(() -> new InvalidModelException(
        config.file(), "num_local_experts", "missing; a mixture of experts needs it")).count();
    Architecture.FusedExperts fused = mixture.fused();
    if (fused != null && checkpoint.contains(layer + fused.gateUp())) {
      Matrix router = matrix(Role.ROUTER, layer + fused.router(), experts, config.hiddenSize());
      return new FeedForward<>(router, fusedExperts(layer + fused.gateUp(), layer + fused.down(), experts));
    }
    Matrix router = matrix(Role.ROUTER, layer + mixture.router(), experts, config.hiddenSize());
    List<Expert<Matrix, Vector>> all = new ArrayList<>();
    for (int e = 0; e < experts; e++) {
      String number = Integer.toString(e);
      Architecture.Gated names = mixture.expert();
      all.add(gated(layer, new Architecture.Gated(names.gate().replace("{e}", number), names.up().replace("{e}", number),
          names.down().replace("{e}", number)), false));
    }
    return new FeedForward<>(router, List.copyOf(all));
  }

  private List<Expert<Matrix, Vector>> fusedExperts(String gateUpName, String downName, int experts) {
    int hidden = config.hiddenSize();
    int inner = config.intermediateSize();
    TensorInfo gateUp = tensor(gateUpName, experts, 2L * inner, hidden);
    TensorInfo down = tensor(downName, experts, hidden, inner);
    List<Expert<Matrix, Vector>> all = new ArrayList<>();
    for (int e = 0; e < experts; e++) {
      all.add(new Expert<>(
          new Linear<>(List.of(slice(gateUp, e, 2 * inner, hidden)), null),
          new Linear<>(List.of(slice(down, e, hidden, inner)), null)));
    }
    return List.copyOf(all);
  }

  private Matrix slice(TensorInfo stack, int index, int rows, int columns) {
    DType type = typeOf(stack);
    long offset = Math.multiplyExact((long) index * rows * columns, (long) type.bytes());
    return new Matrix(rows, columns, target(Role.LAYER, type), 0, List.of(new Part(stack, null, offset, false, 0, rows)));
  }

  private Expert<Matrix, Vector> gated(String layer, Architecture.Gated names, boolean inputMajor) {
    return expert(List.of(layer + names.gate(), layer + names.up()), layer + names.down(), inputMajor);
  }

  private Expert<Matrix, Vector> expert(List<String> in, String out, boolean inputMajor) {
    long[] rows = new long[in.size()];
    Arrays.fill(rows, config.intermediateSize());
    return new Expert<>(
        linear(in, rows, config.hiddenSize(), inputMajor, config.mlpBias()),
        linear(List.of(out), new long[] {config.hiddenSize()}, config.intermediateSize(), inputMajor, config.mlpBias()));
  }

  private Linear<Matrix, Vector> linear(List<String> names, long[] rows, long columns, boolean inputMajor, boolean bias) {
    List<List<Source>> runs = new ArrayList<>();
    for (int i = 0; i < names.size(); i++) {
      Source source = source(Role.LAYER, names.get(i), rows[i], columns, inputMajor);
      if (runs.isEmpty() || !runs.get(runs.size() - 1).get(0).joins(source)) {
        runs.add(new ArrayList<>());
      }
      runs.get(runs.size() - 1).add(source);
    }
    return new Linear<>(runs.stream().map(run -> matrix(run, columns, inputMajor)).toList(), bias ? vector(names, ".bias", rows) : null);
  }

  private Norm<Vector> norm(String scope, String name) {
    if (name == null) {
      return null;
    }
    List<String> names = List.of(scope + name);
    long[] length = {config.hiddenSize()};
    return switch (architecture.norm()) {
      case RMS -> new Norm<>(vector(names, ".weight", length), null);
      // Checkpoints converted from TensorFlow (bert-base-uncased and its kin) say gamma and beta.
      case LAYER -> checkpoint.contains(scope + name + ".gamma")
          ? new Norm<>(vector(names, ".gamma", length), vector(names, ".beta", length))
          : new Norm<>(vector(names, ".weight", length), vector(names, ".bias", length));
    };
  }

  private Matrix embedding(Role role, String name, int rows, String field) {
    String tensor = prefix + name + ".weight";
    TensorInfo found = require(tensor);
    if (found.rank() == 2 && found.dim(0) != rows && found.dim(1) == config.hiddenSize()) {
      throw new InvalidModelException(checkpoint.fileOf(tensor), tensor, "the embedding has " + found.dim(0) + " rows, " + field
          + " in " + config.file().getFileName() + " is " + rows);
    }
    return matrix(role, prefix + name, rows, config.hiddenSize());
  }

  private Matrix matrix(Role role, String name, long rows, long columns) {
    return matrix(List.of(source(role, name, rows, columns, false)), columns, false);
  }

  /** The matrices of these sources below each other. */
  private static Matrix matrix(List<Source> sources, long columns, boolean inputMajor) {
    List<Part> parts = new ArrayList<>();
    DType type = sources.get(0).dtype();
    int begin = 0;
    for (Source source : sources) {
      type = type == source.dtype() ? type : DType.F32;
      parts.add(new Part(source.tensor(), source.scales(), 0, inputMajor, begin, source.rows()));
      begin = Math.addExact(begin, source.rows());
    }
    return new Matrix(begin, Math.toIntExact(columns), type, sources.get(0).inputScale(), List.copyOf(parts));
  }

  /** The matrix of a module. */
  private Source source(Role role, String module, long rows, long columns, boolean inputMajor) {
    String name = module + ".weight";
    TensorInfo tensor = inputMajor ? tensor(name, columns, rows) : tensor(name, rows, columns);
    boolean linear = role != Role.OTHER_EMBEDDING && !module.equals(prefix + architecture.tokens());
    Optional<QuantizationConfig.Scheme> scheme = linear ? quantized.schemeOf(module, inputMajor) : Optional.empty();
    if (scheme.isEmpty()) {
      return new Source(tensor, null, target(role, typeOf(tensor)), 0, Math.toIntExact(rows));
    }
    Scales scales = quantized.weightScales(module, tensor, rows, scheme.get());
    DType type = target(role, DType.S8);
    float inputScale = type == DType.S8 ? quantized.inputScale(module, scheme.get()) : 0;
    return new Source(tensor, scales, type, inputScale, Math.toIntExact(rows));
  }

  /** Type in memory of a matrix that is stored as {@code type}. */
  private DType target(Role role, DType type) {
    boolean quantize = switch (role) {
      case LAYER -> options.quantization() == Quantization.W8A8;
      case TOKENS_OR_HEAD -> options.quantizeHead();
      case ROUTER, OTHER_EMBEDDING -> false;
    };
    boolean keep = type == DType.S8 && (options.quantization() == Quantization.W8A8 || options.weightType().isEmpty());
    return quantize || keep ? DType.S8 : options.weightType().orElse(type);
  }

  private Vector vector(List<String> names, String suffix, long[] lengths) {
    List<TensorInfo> parts = new ArrayList<>();
    for (int i = 0; i < names.size(); i++) {
      TensorInfo tensor = tensor(names.get(i) + suffix, lengths[i]);
      typeOf(tensor);
      parts.add(tensor);
    }
    return new Vector(Math.toIntExact(Arrays.stream(lengths).sum()), List.copyOf(parts));
  }

  private TensorInfo tensor(String name, long... shape) {
    TensorInfo tensor = require(name);
    if (!tensor.hasShape(shape)) {
      throw new InvalidModelException(checkpoint.fileOf(name), name,
          "shape " + Arrays.toString(tensor.shape()) + ", expected " + Arrays.toString(shape) + " by " + config.file().getFileName());
    }
    return tensor;
  }

  private TensorInfo require(String name) {
    return checkpoint.find(name).orElseThrow(() -> new InvalidModelException(checkpoint.fileOf(name), name,
        "missing tensor; " + config.architecture() + " needs it"));
  }

  private DType typeOf(TensorInfo tensor) {
    return switch (tensor.dtype()) {
      case F32 -> DType.F32;
      case BF16 -> DType.BF16;
      case F16 -> DType.F16;
      default -> throw new InvalidModelException(checkpoint.fileOf(tensor.name()), tensor.name(),
          "dtype " + tensor.dtype() + ", expected F32, BF16 or F16");
    };
  }
}
