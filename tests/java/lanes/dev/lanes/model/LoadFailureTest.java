package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.backend.Backend;
import dev.lanes.backend.Backends;
import dev.lanes.backend.DType;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.Tensor;
import dev.lanes.error.InsufficientMemoryException;
import dev.lanes.error.InvalidModelException;
import dev.lanes.error.UnsupportedModelException;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.ModelConfig;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Broken models are refused by name of file and tensor, and whatever fails while loading leaves nothing allocated. */
class LoadFailureTest {
  @TempDir
  Path temporary;

  private Backend backend;
  private long baseline;

  @BeforeEach
  void open() {
    backend = Backends.open(TestBackends.best());
    baseline = backend.memory().liveTotal();
  }

  @AfterEach
  void nothingIsLeft() {
    assertThat(backend.memory().liveTotal()).as("live bytes").isEqualTo(baseline);
    backend.close();
  }

  private static Arguments broken(String item, String problem, Consumer<ModelFiles> change) {
    return Arguments.of(item, problem, change);
  }

  static List<Arguments> brokenModels() {
    String layer = "model.layers.1.";
    return List.of(
        broken("model.embed_tokens.weight", "missing", f -> f.tensors.remove("model.embed_tokens.weight")),
        broken("model.norm.weight", "missing", f -> f.tensors.remove("model.norm.weight")),
        broken("lm_head.weight", "missing", f -> f.tensors.remove("lm_head.weight")),
        broken(layer + "mlp.up_proj.weight", "missing", f -> f.tensors.remove(layer + "mlp.up_proj.weight")),
        broken("model.layers.2.input_layernorm.weight", "missing", f -> f.config.put("num_hidden_layers", 3)),
        broken(layer + "self_attn.q_proj.bias", "missing", f -> {
          f.config.put("attention_bias", true);
          f.tensors.put("model.layers.0.self_attn.q_proj.bias", ModelFiles.Stored.of(new float[32], 32));
          f.tensors.put("model.layers.0.self_attn.k_proj.bias", ModelFiles.Stored.of(new float[16], 16));
          f.tensors.put("model.layers.0.self_attn.v_proj.bias", ModelFiles.Stored.of(new float[16], 16));
          f.tensors.put("model.layers.0.self_attn.o_proj.bias", ModelFiles.Stored.of(new float[32], 32));
        }),
        broken("model.embed_tokens.weight", "50 rows, vocab_size in config.json is 51", f -> f.config.put("vocab_size", 51)),
        broken("model.embed_tokens.weight", "50 rows, vocab_size in config.json is 49", f -> f.config.put("vocab_size", 49)),
        broken("lm_head.weight", "shape [49, 32], expected [50, 32]",
            f -> f.tensors.put("lm_head.weight", ModelFiles.Stored.of(new float[49 * 32], 49, 32))),
        broken("model.layers.0.self_attn.k_proj.weight", "shape [16, 32], expected [32, 32]",
            f -> f.config.put("num_key_value_heads", 4)),
        broken("model.layers.0.mlp.gate_proj.weight", "shape [48, 32], expected [47, 32]",
            f -> f.config.put("intermediate_size", 47)),
        broken(layer + "mlp.down_proj.weight", "shape [48, 32], expected [32, 48]",
            f -> f.tensors.put(layer + "mlp.down_proj.weight", ModelFiles.Stored.of(new float[48 * 32], 48, 32))),
        broken(layer + "mlp.down_proj.weight", "shape [1536], expected [32, 48]",
            f -> f.tensors.put(layer + "mlp.down_proj.weight", ModelFiles.Stored.of(new float[48 * 32], 1536))),
        broken("model.norm.weight", "shape [1, 32], expected [32]",
            f -> f.tensors.put("model.norm.weight", ModelFiles.Stored.of(new float[32], 1, 32))),
        broken(layer + "mlp.up_proj.weight", "dtype F64, expected F32, BF16 or F16", f -> f.tensors.put(layer + "mlp.up_proj.weight",
            ModelFiles.Stored.of(new float[48 * 32], dev.lanes.format.DType.F64, 48, 32))),
        broken("model.norm.weight", "dtype I8", f -> f.tensors.put("model.norm.weight",
            new ModelFiles.Stored(dev.lanes.format.DType.I8, new long[] {32}, new byte[32]))));
  }

  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource("brokenModels")
  void namesFileAndTensor(String item, String problem, Consumer<ModelFiles> change) {
    Path directory = ModelFiles.randomLlama(new Random(1), 2).change(change).write(temporary.resolve("broken"));
    assertThatThrownBy(() -> load(directory, backend, ProgressListener.NONE).close())
        .isInstanceOfSatisfying(InvalidModelException.class, e -> {
          assertThat(e.item()).isEqualTo(item);
          assertThat(e.file()).isEqualTo(directory.resolve("model.safetensors"));
        })
        .hasMessageContaining(problem);
  }

  @Test
  void aHeadThatIsTooLongForTheKernels() {
    Path directory = ModelFiles.randomLlama(new Random(1), 1).change(f -> f.config.put("head_dim", 514)).write(temporary.resolve("long"));
    assertThatThrownBy(() -> load(directory, backend, ProgressListener.NONE).close())
        .isInstanceOf(UnsupportedModelException.class).hasMessageContaining("head_dim").hasMessageContaining("514");
  }

  @Test
  void everyFailingAllocationGivesBackWhatWasTaken() {
    Path directory = ModelFiles.randomLlama(new Random(1), 2).write(temporary.resolve("good"));
    int allocations = 0;
    for (boolean failed = true; failed; allocations++) {
      Failing failing = new Failing(backend, allocations);
      try {
        load(directory, failing, ProgressListener.NONE).close();
        failed = false;
      } catch (InsufficientMemoryException e) {
        assertThat(e).hasMessage("planted");
      }
      assertThat(backend.memory().liveTotal()).as("after failure of allocation %d", allocations).isEqualTo(baseline);
    }
    assertThat(allocations).as("allocations that failed in turn").isEqualTo(1 + 2 * 6 + 2 + 1);
  }

  @Test
  void aListenerCanAbort() {
    Path directory = ModelFiles.randomLlama(new Random(1), 2).write(temporary.resolve("good"));
    assertThatThrownBy(() -> load(directory, backend, (done, total, tensor) -> {
      if (done > total / 2) {
        throw new CancellationException();
      }
    })).isInstanceOf(CancellationException.class);
  }

  @Test
  void aFileThatShrinksWhileItIsRead() {
    Path directory = ModelFiles.randomLlama(new Random(1), 2).write(temporary.resolve("shrinking"));
    assertThatThrownBy(() -> load(directory, backend, (done, total, tensor) -> {
      try (RandomAccessFile file = new RandomAccessFile(directory.resolve("model.safetensors").toFile(), "rw")) {
        file.setLength(file.length() / 2);
      } catch (IOException e) {
        throw new AssertionError(e);
      }
    })).isInstanceOfSatisfying(InvalidModelException.class,
        e -> assertThat(e.file()).isEqualTo(directory.resolve("model.safetensors")));
  }

  @Test
  void progressCountsEveryByteOnce() {
    Path directory = ModelFiles.randomLlama(new Random(1), 2).write(temporary.resolve("good"));
    List<Long> done = new ArrayList<>();
    List<Long> total = new ArrayList<>();
    List<String> names = new ArrayList<>();
    long bytes;
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      bytes = checkpoint.totalBytes();
    }
    load(directory, backend, (d, t, tensor) -> {
      done.add(d);
      total.add(t);
      names.add(tensor);
    }).close();
    assertThat(done).isSorted().doesNotHaveDuplicates().last().isEqualTo(bytes);
    assertThat(total).containsOnly(bytes);
    assertThat(names).contains("lm_head.weight", "model.layers.1.mlp.down_proj.weight");
  }

  private static TransformerModel load(Path directory, Backend backend, ProgressListener progress) {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return TransformerModel.load(checkpoint, ModelConfig.load(directory), backend, ModelOptions.defaults(), progress);
    }
  }

  /** Has memory for so many allocations only. */
  private static final class Failing extends DelegatingBackend {
    private int left;

    Failing(Backend inner, int allowed) {
      super(inner);
      left = allowed;
    }

    @Override
    public Tensor tensor(MemoryTag tag, int rows, int columns, DType dtype) {
      take();
      return super.tensor(tag, rows, columns, dtype);
    }

    @Override
    public PackedWeight weight(int rows, int columns, DType dtype) {
      take();
      return super.weight(rows, columns, dtype);
    }

    private void take() {
      if (left-- == 0) {
        throw new InsufficientMemoryException("planted", 1, 0);
      }
    }
  }
}
