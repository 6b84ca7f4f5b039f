package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lanes.backend.Backend;
import dev.lanes.backend.Backends;
import dev.lanes.backend.MemoryTag;
import dev.lanes.error.InvalidModelException;
import dev.lanes.error.UnsupportedModelException;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.DType;
import dev.lanes.format.ModelConfig;
import dev.lanes.model.ModelFiles.Stored;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Broken W8A8 checkpoints are refused by name of file and tensor, and leave nothing allocated. */
class QuantizedLoadFailureTest {
  private static final String Q = "model.layers.1.self_attn.q_proj";

  @TempDir
  Path temporary;

  private static Arguments broken(String item, String problem, Consumer<ModelFiles> change) {
    return Arguments.of(item, problem, change);
  }

  private static Arguments scales(String problem, DType dtype, float[] values, long... shape) {
    return broken(Q + ".weight_scale", problem, f -> f.tensors.put(Q + ".weight_scale", Stored.of(values, dtype, shape)));
  }

  private static float[] ones(int index, float value) {
    float[] values = new float[32];
    Arrays.fill(values, 1);
    values[index] = value;
    return values;
  }

  static List<Arguments> models() {
    return List.of(
        broken(Q + ".weight_scale", "missing", f -> f.tensors.remove(Q + ".weight_scale")),
        broken(Q + ".weight", "missing", f -> f.tensors.remove(Q + ".weight")),
        broken(Q + ".weight", "dtype F32, expected I8", f -> f.tensors.put(Q + ".weight", Stored.of(new float[32 * 32], 32, 32))),
        broken(Q + ".weight", "shape [32, 31], expected [32, 32]",
            f -> f.tensors.put(Q + ".weight", new Stored(DType.I8, new long[] {32, 31}, new byte[32 * 31]))),
        scales("shape [31, 1], expected [32, 1]", DType.F32, new float[31], 31, 1),
        scales("shape [1, 32], expected [32, 1]", DType.F32, new float[32], 1, 32),
        scales("shape [1], expected [32, 1]", DType.F32, new float[1], 1),
        scales("shape [32, 2], expected [32, 1]", DType.F32, new float[64], 32, 2),
        scales("dtype F64", DType.F64, new float[32], 32, 1),
        scales("element 3 is 0.0", DType.F32, ones(3, 0), 32, 1),
        scales("element 31 is -0.5", DType.BF16, ones(31, -0.5f), 32),
        scales("element 0 is NaN", DType.F16, ones(0, Float.NaN), 32, 1),
        scales("element 7 is Infinity", DType.F32, ones(7, Float.POSITIVE_INFINITY), 32),
        scales("element 8 is -Infinity", DType.F16, ones(8, Float.NEGATIVE_INFINITY), 32),
        broken(Q + ".weight_zero_point", "element 5 is not zero", f -> {
          byte[] zeros = new byte[32];
          zeros[5] = 1;
          f.tensors.put(Q + ".weight_zero_point", new Stored(DType.I8, new long[] {32, 1}, zeros));
        }),
        // With one scale for the tensor and a fixed one for the inputs.
        fixed(Q + ".weight_scale", "shape [32, 1], expected one element", f -> { }),
        fixed(Q + ".input_scale", "missing", QuantizedLoadFailureTest::oneScale),
        fixedInput("shape [32], expected one element", new float[32], 32),
        fixedInput("element 0 is 0.0", new float[1], 1),
        fixedInput("element 0 is NaN", new float[] {Float.NaN}),
        fixedInput("element 0 is -1.0", new float[] {-1}, 1, 1),
        fixedInput("element 0 is Infinity", new float[] {Float.POSITIVE_INFINITY}),
        fixed(Q + ".input_zero_point", "element 0 is not zero", f -> {
          oneScale(f);
          f.tensors.put(Q + ".input_scale", Stored.of(new float[] {1}));
          f.tensors.put(Q + ".input_zero_point", new Stored(DType.I32, new long[] {1}, new byte[] {0, 0, 1, 0}));
        }));
  }

  private static Arguments fixedInput(String problem, float[] values, long... shape) {
    return fixed(Q + ".input_scale", problem, f -> {
      oneScale(f);
      f.tensors.put(Q + ".input_scale", Stored.of(values, shape));
    });
  }

  private static void oneScale(ModelFiles files) {
    files.tensors.put(Q + ".weight_scale", Stored.of(new float[] {1}));
  }

  /** Of a model in which one layer has fixed scales. */
  private static Arguments fixed(String item, String problem, Consumer<ModelFiles> change) {
    return broken(item, problem, f -> {
      ObjectNode groups = (ObjectNode) f.config.at("/quantization_config/config_groups");
      ObjectNode group = groups.putObject("fixed");
      group.putArray("targets").add(Q);
      group.putObject("weights").put("strategy", "tensor");
      group.putObject("input_activations").put("strategy", "tensor");
      change.accept(f);
    });
  }

  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource("models")
  void namesFileAndTensor(String item, String problem, Consumer<ModelFiles> change) {
    Path directory = ModelFiles.randomLlama(new Random(1), 2).quantize().change(change).write(temporary.resolve("broken"));
    try (Backend backend = Backends.open(TestBackends.best())) {
      long baseline = weightBytes(backend);
      assertThatThrownBy(() -> load(directory, backend, ModelOptions.defaults()).close())
          .isInstanceOfSatisfying(InvalidModelException.class, e -> {
            assertThat(e.item()).isEqualTo(item);
            assertThat(e.file()).isEqualTo(directory.resolve("model.safetensors"));
          })
          .hasMessageContaining(problem);
      assertThat(weightBytes(backend)).as("live bytes").isEqualTo(baseline);
    }
  }

  /** The whole of them loads, zero points that are zero included. */
  @Test
  void theUnbrokenModelLoads() {
    Path directory = ModelFiles.randomLlama(new Random(1), 2).quantize()
        .change(f -> f.tensors.put(Q + ".weight_zero_point", new Stored(DType.I8, new long[] {32, 1}, new byte[32])))
        .write(temporary.resolve("good"));
    try (Backend backend = Backends.open(TestBackends.best())) {
      load(directory, backend, ModelOptions.defaults()).close();
    }
  }

  @Test
  void int8TensorsThatNobodyAnnounces() {
    Path directory = ModelFiles.randomLlama(new Random(1), 2).quantize().change(f -> f.config.remove("quantization_config"))
        .write(temporary.resolve("silent"));
    try (Backend backend = Backends.open(TestBackends.best())) {
      assertThatThrownBy(() -> load(directory, backend, ModelOptions.defaults())).isInstanceOf(InvalidModelException.class)
          .hasMessageContainingAll("model.layers.0.self_attn.q_proj.weight", "dtype I8");
    }
  }

  @Test
  void quantizedConv1d() {
    Path directory = ModelFiles.copyOf(SharedModels.directory("random/gpt2")).quantize()
        .change(f -> ((ObjectNode) f.config.at("/quantization_config/config_groups/group_0")).putArray("targets").add("Conv1D"))
        .write(temporary.resolve("conv1d"));
    try (Backend backend = Backends.open(TestBackends.best())) {
      assertThatThrownBy(() -> load(directory, backend, ModelOptions.defaults())).isInstanceOf(UnsupportedModelException.class)
          .hasMessageContainingAll("quantization_config", "Conv1D", "attn.c_attn");
    }
  }

  /** A scale cannot be found for a matrix that is stored input-major and holds what is no number. */
  @Test
  void floatsThatCannotBeQuantized() {
    String name = "transformer.h.1.mlp.c_fc.weight";
    Path directory = ModelFiles.copyOf(SharedModels.directory("random/gpt2")).change(f -> {
      float[] values = f.tensors.get(name).floats();
      values[256 * 3 + 5] = Float.NaN;
      f.tensors.put(name, Stored.of(values, 64, 256));
    }).write(temporary.resolve("nan"));
    try (Backend backend = Backends.open(TestBackends.best())) {
      long baseline = weightBytes(backend);
      assertThatThrownBy(() -> load(directory, backend, ModelOptions.defaults().withQuantization(Quantization.W8A8)))
          .isInstanceOf(InvalidModelException.class).hasMessageContainingAll(name, "[3, 5]", "NaN");
      assertThat(weightBytes(backend)).isEqualTo(baseline);
    }
  }

  @Test
  void optionsThatContradictThemselves() {
    ModelOptions options = ModelOptions.defaults();
    assertThatThrownBy(() -> options.withWeightType(dev.lanes.backend.DType.S8)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContainingAll("weightType", "S8", "quantization");
    assertThatThrownBy(() -> options.withCompute(dev.lanes.backend.Compute.INT8)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContainingAll("compute", "INT8");
  }

  /** Without the work space that packing takes for itself and keeps. */
  private static long weightBytes(Backend backend) {
    return backend.memory().live().get(MemoryTag.WEIGHTS);
  }

  private static TransformerModel load(Path directory, Backend backend, ModelOptions options) {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return TransformerModel.load(checkpoint, ModelConfig.load(directory), backend, options, ProgressListener.NONE);
    }
  }
}
