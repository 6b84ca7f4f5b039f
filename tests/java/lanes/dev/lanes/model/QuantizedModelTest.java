package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.backend.Activation;
import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.backend.DType;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.Op;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.Quantizer;
import dev.lanes.backend.Tensor;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.ModelConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** W8A8 models: checkpoints of compressed-tensors against recorded outputs, and float checkpoints that are quantized while loading. */
class QuantizedModelTest {
  private static final ModelOptions W8A8 = ModelOptions.defaults().withQuantization(Quantization.W8A8);

  @TempDir
  Path temporary;

  /** A checkpoint of {@code tests/golden/w8a8}. */
  static Path golden(String name) {
    return Path.of(System.getProperty("lanes.root"), "tests", "golden", "w8a8", name);
  }

  static List<BackendOptions> backends() {
    return TestBackends.all();
  }

  static List<Arguments> goldens() {
    List<Arguments> cases = new ArrayList<>();
    for (BackendOptions backend : TestBackends.all()) {
      for (String name : List.of("static-tensor", "mixed", "channel-token")) {
        cases.add(Arguments.of(name, backend));
      }
    }
    return cases;
  }

  /** No number of these models lies between two levels, so implementations differ by the rounding of float32 sums only. */
  @ParameterizedTest
  @MethodSource("goldens")
  void recordedOutputs(String name, BackendOptions options) {
    Path directory = golden(name);
    try (Backend backend = Backends.open(options); ModelRun run = new ModelRun(directory, backend)) {
      for (SharedModels.Expected prompt : SharedModels.expected(directory)) {
        float[][] logits = run.logits(prompt.prompt());
        for (int t = 0; t < logits.length; t++) {
          Numbers.assertClose(name + ", logits of token " + t, logits[t], prompt.logits()[t], 1e-4);
        }
        assertThat(run.greedy(prompt.greedy().length, prompt.prompt())).as(name).containsExactly(prompt.greedy());
      }
    }
  }

  static List<BackendOptions> fastBackends() {
    return TestBackends.kernels().stream().filter(b -> b.isa() != BackendOptions.Isa.REFERENCE).toList();
  }

  /**
   * The trained model. Each token has some twenty thousand quotients that are rounded to levels; where one falls within float32 rounding
   * of the middle between two, another order of sums takes it to the other level, and all that follows differs by that step. (So does a
   * second program in numpy.) What is before the first such place agrees closely, and what is behind it nearly always says the same.
   */
  @ParameterizedTest
  @MethodSource("fastBackends")
  void trainedCheckpoint(BackendOptions options) {
    String name = "minimind2-small-w8a8";
    List<SharedModels.Expected> expected = SharedModels.expected(name);
    try (Backend backend = Backends.open(options); ModelRun run = new ModelRun(SharedModels.directory(name), backend)) {
      int tokens = 0;
      int close = 0;
      int agreeing = 0;
      for (SharedModels.Expected prompt : expected) {
        float[][] logits = run.logits(prompt.prompt());
        for (int t = 0; t < logits.length; t++) {
          double difference = largestDifference(logits[t], prompt.logits()[t]);
          assertThat(difference).as("token %d", t).isLessThan(t < 5 ? 1e-4 : 2);
          tokens++;
          close += difference <= 1e-4 ? 1 : 0;
          agreeing += ModelRun.argmax(logits[t]) == ModelRun.argmax(prompt.logits()[t]) ? 1 : 0;
        }
        assertThat(run.greedy(7, prompt.prompt())).as(name).containsExactly(Arrays.copyOf(prompt.greedy(), 7));
      }
      String what = backend.info().isa() + ": of " + tokens + " tokens " + close + " within 1e-4, " + agreeing + " with the same choice";
      System.out.println(name + " on " + what);
      assertThat(close).as(what).isGreaterThan(tokens / 5);
      assertThat(agreeing).as(what).isGreaterThan(tokens * 17 / 20);
    }
  }

  private static double largestDifference(float[] a, float[] b) {
    double largest = 0;
    for (int i = 0; i < a.length; i++) {
      largest = Math.max(largest, Math.abs((double) a[i] - b[i]));
    }
    return largest;
  }

  /** A float checkpoint that is quantized while loading computes the bits of the checkpoint that was quantized before. */
  @ParameterizedTest
  @MethodSource("backends")
  void quantizingWhileLoadingEqualsTheQuantizedCheckpoint(BackendOptions options) {
    for (String name : List.of("llama", "random/qwen2", "random/mistral-window")) {
      ModelFiles files = name.equals("llama") ? ModelFiles.randomLlama(new Random(5), 2)
          : ModelFiles.copyOf(SharedModels.directory(name));
      Path original = files.write(temporary.resolve("float"));
      Path quantized = files.quantize().write(temporary.resolve("int8"));
      try (Backend backend = Backends.open(options); ModelRun a = new ModelRun(original, backend, W8A8, 8, DType.F32);
          ModelRun b = new ModelRun(quantized, backend); ModelRun c = new ModelRun(quantized, backend, W8A8, 8, DType.F32);
          ModelRun plain = new ModelRun(original, backend)) {
        int[] prompt = new Random(6).ints(20, 0, a.model.config().vocabSize()).toArray();
        float[][] expected = b.logits(prompt);
        assertThat(a.logits(prompt)).as(name).isDeepEqualTo(expected);
        assertThat(c.logits(prompt)).as("%s, asked for what it is", name).isDeepEqualTo(expected);
        assertThat(plain.logits(prompt)).as("%s as float", name).isNotEqualTo(expected);
        assertThat(a.model.footprint().weightBytes()).isEqualTo(b.model.footprint().weightBytes())
            .isLessThan(plain.model.footprint().weightBytes());
      }
    }
  }

  static List<Arguments> everyArchitecture() {
    List<Arguments> cases = new ArrayList<>();
    for (BackendOptions backend : TestBackends.all()) {
      for (String name : List.of("llama3-rope", "mistral-window", "qwen2", "mixtral", "gpt2", "bert")) {
        cases.add(Arguments.of(name, backend));
      }
    }
    return cases;
  }

  /** Every architecture: which matrices are int8, what is in them, and that the outputs stay near those of the float model. */
  @ParameterizedTest
  @MethodSource("everyArchitecture")
  void quantizesTheLinearLayers(String name, BackendOptions options) {
    Path directory = SharedModels.directory("random/" + name);
    for (boolean head : new boolean[] {false, true}) {
      try (Watching backend = new Watching(Backends.open(options)); ModelRun exact = new ModelRun(directory, backend);
          ModelRun run = new ModelRun(directory, backend, W8A8.withQuantizeHead(head), 16, DType.F32)) {
        int[] prompt = SharedModels.expected("random/" + name).get(0).prompt();
        List<float[]> expected = exact.hidden(prompt);
        backend.linears.clear();
        List<float[]> hidden = run.hidden(prompt);
        if (run.model.hasLogits()) {
          run.logits(prompt);
        }
        assertThat(similarity(last(hidden), last(expected))).as("%s: cosine of hidden states", name).isGreaterThan(0.995);
        assertThat(hidden.get(0).equals(expected.get(0)) || similarity(hidden.get(0), expected.get(0)) > 0.999).isTrue();
        checkWeights(run, backend, directory, head);
      }
    }
  }

  private static float[] last(List<float[]> states) {
    return states.get(states.size() - 1);
  }

  private static double similarity(float[] a, float[] b) {
    double dot = 0;
    double aa = 0;
    double bb = 0;
    for (int i = 0; i < a.length; i++) {
      dot += (double) a[i] * b[i];
      aa += (double) a[i] * a[i];
      bb += (double) b[i] * b[i];
    }
    return dot / Math.sqrt(aa * bb);
  }

  /** That every multiplied matrix is int8 but head (unless asked for) and router, and equals the rows of the checkpoint, quantized. */
  private static void checkWeights(ModelRun run, Watching backend, Path directory, boolean head) {
    ModelConfig config = run.model.config();
    Map<String, float[]> stored = new LinkedHashMap<>();
    ModelFiles.copyOf(directory).tensors.forEach((tensor, values) -> {
      if (values.shape().length >= 2) {
        stored.put(tensor, values.floats());
      }
    });
    int int8 = 0;
    for (PackedWeight weight : backend.linears.keySet()) {
      boolean isHead = weight.rows() == config.vocabSize();
      boolean isRouter = config.experts().isPresent() && weight.rows() == config.experts().get().count();
      assertThat(weight.dtype() == DType.S8).as("[%d, %d] is int8", weight.rows(), weight.columns()).isEqualTo(isHead ? head : !isRouter);
      if (weight.dtype() != DType.S8) {
        continue;
      }
      int8++;
      float[] packed;
      try (Tensor y = backend.tensor(MemoryTag.OTHER, weight.rows(), weight.columns())) {
        backend.embed(new Op.Embed(weight, IntStream.range(0, weight.rows()).toArray(), false, y));
        packed = y.toArray();
      }
      for (int r = 0; r < weight.rows(); r += 29) {
        float[] row = Arrays.copyOfRange(packed, r * weight.columns(), (r + 1) * weight.columns());
        assertThat(stored.entrySet().stream().anyMatch(tensor -> holds(tensor.getValue(), row)))
            .as("row %d of [%d, %d] is a quantized row, or column, of the checkpoint", r, weight.rows(), weight.columns()).isTrue();
      }
    }
    assertThat(int8).isGreaterThanOrEqualTo(config.layers() * 4);
  }

  /** Whether a tensor has a row, or a column, that is this one when quantized. */
  private static boolean holds(float[] tensor, float[] row) {
    int k = row.length;
    int other = tensor.length / k;
    if (other * k != tensor.length) {
      return false;
    }
    for (int r = 0; r < other; r++) {
      if (equalsQuantized(tensor, r * k, 1, row) || equalsQuantized(tensor, r, other, row)) {
        return true;
      }
    }
    return false;
  }

  private static boolean equalsQuantized(float[] tensor, int begin, int step, float[] row) {
    // A quantized element is within half a level of what it was: a quick look before the exact one.
    float first = tensor[begin];
    if (Math.abs(first - row[0]) > 0.2f * Math.max(1, Math.abs(first))) {
      return false;
    }
    float[] values = new float[row.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = tensor[begin + i * step];
    }
    byte[] q = new byte[values.length];
    float scale = Quantizer.row(values, 0, values.length, q, 0);
    for (int i = 0; i < row.length; i++) {
      if (row[i] != scale * q[i]) {
        return false;
      }
    }
    return true;
  }

  /** Remembers the weights that were multiplied with. */
  private static final class Watching extends DelegatingBackend {
    final Map<PackedWeight, Activation> linears = new LinkedHashMap<>();

    Watching(Backend inner) {
      super(inner);
    }

    @Override
    public void linear(Op.Linear op) {
      linears.put(op.weight(), op.activation());
      super.linear(op);
    }
  }

  /** The kernels of every instruction set against plain Java: a level apart here and there, as another order of sums can put it. */
  @ParameterizedTest
  @MethodSource("everyArchitecture")
  void agreesWithPlainJava(String name, BackendOptions options) {
    Path directory = SharedModels.directory("random/" + name);
    int[] prompt = SharedModels.expected("random/" + name).get(1).prompt();
    float[] expected;
    float[] unquantized;
    try (Backend backend = Backends.open(TestBackends.JAVA); ModelRun run = new ModelRun(directory, backend, W8A8, 16, DType.F32);
        ModelRun exact = new ModelRun(directory, backend)) {
      expected = last(run.hidden(prompt));
      unquantized = last(exact.hidden(prompt));
    }
    try (Backend backend = Backends.open(options); ModelRun run = new ModelRun(directory, backend, W8A8, 16, DType.F32)) {
      float[] actual = last(run.hidden(prompt));
      double own = 1 - similarity(expected, unquantized);
      assertThat(1 - similarity(actual, expected)).as("%s: distance, beside %s of quantizing itself", name, own).isLessThan(own / 10 + 1e-9);
    }
  }

  @Test
  void tiedHeadsShareOneInt8Matrix() {
    ModelFiles files = ModelFiles.randomLlama(new Random(2), 1);
    files.config.put("tie_word_embeddings", true);
    files.tensors.remove("lm_head.weight");
    Path tied = files.write(temporary.resolve("tied"));
    files.config.put("tie_word_embeddings", false);
    files.tensors.put("lm_head.weight", files.tensors.get("model.embed_tokens.weight"));
    Path untied = files.write(temporary.resolve("untied"));
    ModelOptions options = W8A8.withQuantizeHead(true);
    try (Backend backend = Backends.open(TestBackends.best()); ModelRun a = new ModelRun(tied, backend, options, 8, DType.F32);
        ModelRun b = new ModelRun(untied, backend, options, 8, DType.F32)) {
      assertThat(b.model.footprint().weightBytes() - a.model.footprint().weightBytes()).isEqualTo(backend.weightBytes(50, 32, DType.S8));
      assertThat(a.logits(1, 2, 3)).isDeepEqualTo(b.logits(1, 2, 3));
    }
  }

  /** A type that is asked for brings int8 layers back to floats, with the activations float as well. */
  @ParameterizedTest
  @MethodSource("backends")
  void aTypeOfFloatsDequantizes(BackendOptions options) {
    ModelFiles files = ModelFiles.randomLlama(new Random(3), 2).quantize("model.layers.0.mlp.up_proj");
    Path directory = files.write(temporary.resolve("int8"));
    ModelFiles floats = ModelFiles.randomLlama(new Random(3), 2);
    files.tensors.forEach((name, stored) -> {
      if (stored.dtype() == dev.lanes.format.DType.I8) {
        float[] scales = files.tensors.get(name + "_scale").floats();
        float[] values = new float[stored.bytes().length];
        for (int i = 0; i < values.length; i++) {
          values[i] = scales[i / (values.length / scales.length)] * stored.bytes()[i];
        }
        floats.tensors.put(name, ModelFiles.Stored.of(values, stored.shape()));
      }
    });
    Path dequantized = floats.write(temporary.resolve("float"));
    try (Backend backend = Backends.open(options);
        ModelRun a = new ModelRun(directory, backend, ModelOptions.defaults().withWeightType(DType.F32), 8, DType.F32);
        ModelRun b = new ModelRun(dequantized, backend)) {
      assertThat(a.logits(4, 5, 6, 7)).isDeepEqualTo(b.logits(4, 5, 6, 7));
    }
  }

  /** What int8 weights and buffers take is known before, to the byte. */
  @ParameterizedTest
  @MethodSource("backends")
  void memoryIsWhatTheFootprintSays(BackendOptions options) {
    for (String name : List.of("static-tensor", "mixed", "channel-token")) {
      try (Backend backend = Backends.open(options)) {
        long weights = backend.memory().live().get(MemoryTag.WEIGHTS);
        ModelFootprint before;
        try (Checkpoint checkpoint = Checkpoint.open(golden(name))) {
          before = ModelFootprint.of(checkpoint, ModelConfig.load(golden(name)), backend, ModelOptions.defaults());
        }
        try (ModelRun run = new ModelRun(golden(name), backend)) {
          assertThat(backend.memory().live().get(MemoryTag.WEIGHTS) - weights).as(name).isEqualTo(before.weightBytes());
          long scratch = backend.memory().live().get(MemoryTag.SCRATCH);
          run.model.prepare(33, 5);
          ModelShape shape = ModelShape.of(run.model.config());
          long sinks = 33L * Float.BYTES * (2L * shape.rotaryHalf() + shape.qkvWidth());
          assertThat(backend.memory().live().get(MemoryTag.SCRATCH) - scratch).as(name).isEqualTo(before.scratchBytes(33, 5) - sinks);
        }
      }
    }
  }
}
