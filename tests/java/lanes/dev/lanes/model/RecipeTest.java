package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.error.UnsupportedModelException;
import dev.lanes.format.ModelConfig;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The spellings of checkpoints that recipes know: each changed copy of a model computes the very bits of the original. */
class RecipeTest {
  @TempDir
  Path temporary;

  private int copies;

  @Test
  void everyArchitectureOfTheConfigurationHasARecipe() {
    Path directory = ModelFiles.randomLlama(new Random(1), 1).write(temporary.resolve("llama"));
    ModelConfig llama = ModelConfig.load(directory);
    assertThat(ModelConfig.SUPPORTED_ARCHITECTURES).isNotEmpty()
        .allSatisfy(name -> assertThat(Architectures.of(named(llama, name))).isNotNull());
    assertThatThrownBy(() -> Architectures.of(named(llama, "FalconForCausalLM"))).isInstanceOf(UnsupportedModelException.class)
        .hasMessageContaining("FalconForCausalLM").hasMessageContaining("GPT2LMHeadModel").hasMessageContaining("LlamaForCausalLM");
  }

  private static ModelConfig named(ModelConfig c, String architecture) {
    return new ModelConfig(c.file(), architecture, c.family(), c.vocabSize(), c.maxPositions(), c.hiddenSize(), c.intermediateSize(),
        c.layers(), c.normEpsilon(), c.activation(), c.attention(), c.rope(), c.experts(), c.mlpBias(), c.tieWordEmbeddings(),
        c.typeVocabSize(), c.tokens(), c.dtype(), c.quantization());
  }

  @Test
  void prefixesMayBeMissingOrAdded() {
    assertUnchanged("random/gpt2", f -> rename(f, "^transformer\\.", ""));
    assertUnchanged("random/llama3-rope", f -> rename(f, "^model\\.", ""));
    assertUnchanged("random/bert", f -> rename(f, "^", "bert."));
  }

  @Test
  void layerNormsMaySpeakOfGammaAndBeta() {
    assertUnchanged("random/bert", f -> {
      rename(f, "LayerNorm\\.weight$", "LayerNorm.gamma");
      rename(f, "LayerNorm\\.bias$", "LayerNorm.beta");
    });
  }

  @Test
  void whatOlderExportsCarryAlongIsLeftAlone() {
    assertUnchanged("random/llama3-rope", f -> f.tensors.put("model.layers.0.self_attn.rotary_emb.inv_freq",
        ModelFiles.Stored.of(new float[8], 8)));
    assertUnchanged("random/gpt2", f -> {
      f.tensors.put("transformer.h.0.attn.bias", new ModelFiles.Stored(dev.lanes.format.DType.BOOL, new long[] {1, 1, 4, 4}, new byte[16]));
      f.tensors.put("transformer.h.0.attn.masked_bias", ModelFiles.Stored.of(new float[] {-1e4f}));
      f.tensors.put("lm_head.weight", f.tensors.get("transformer.wte.weight"));
    });
    assertUnchanged("random/bert", f -> {
      f.tensors.put("embeddings.position_ids", new ModelFiles.Stored(dev.lanes.format.DType.I64, new long[] {1, 256}, new byte[2048]));
      f.tensors.put("cls.predictions.bias", ModelFiles.Stored.of(new float[320], 320));
      f.tensors.remove("pooler.dense.weight");
    });
  }

  @Test
  void expertsMayBeStacked() {
    assertUnchanged("stories260K-moe-clone", f -> {
      for (int layer = 0; layer < 5; layer++) {
        String old = "model.layers." + layer + ".block_sparse_moe.";
        String now = "model.layers." + layer + ".mlp.";
        f.tensors.put(now + "gate.weight", f.tensors.remove(old + "gate.weight"));
        ByteBuffer gateUp = ByteBuffer.allocate(4 * 2 * 172 * 64 * 4);
        ByteBuffer down = ByteBuffer.allocate(4 * 64 * 172 * 4);
        for (int e = 0; e < 4; e++) {
          gateUp.put(f.tensors.remove(old + "experts." + e + ".w1.weight").bytes());
          gateUp.put(f.tensors.remove(old + "experts." + e + ".w3.weight").bytes());
          down.put(f.tensors.remove(old + "experts." + e + ".w2.weight").bytes());
        }
        f.tensors.put(now + "experts.gate_up_proj",
            new ModelFiles.Stored(dev.lanes.format.DType.F32, new long[] {4, 344, 64}, gateUp.array()));
        f.tensors.put(now + "experts.down_proj",
            new ModelFiles.Stored(dev.lanes.format.DType.F32, new long[] {4, 64, 172}, down.array()));
      }
    });
  }

  /** One type for Q, another for K: the packed matrix holds both exactly. */
  @Test
  void typesMayBeMixed() {
    Random random = new Random(5);
    ModelFiles files = ModelFiles.randomLlama(random, 1);
    String name = "model.layers.0.self_attn.q_proj.weight";
    ModelFiles.Stored narrow = ModelFiles.Stored.of(files.tensors.get(name).floats(), dev.lanes.format.DType.BF16, 32, 32);
    float[] widened = new float[32 * 32];
    for (int i = 0; i < widened.length; i++) {
      int bits = (narrow.bytes()[2 * i] & 0xff) | narrow.bytes()[2 * i + 1] << 8;
      widened[i] = Float.intBitsToFloat(bits << 16);
    }
    files.tensors.put(name, ModelFiles.Stored.of(widened, 32, 32));
    Path wide = files.write(temporary.resolve("wide"));
    files.tensors.put(name, narrow);
    assertSameOutputs(wide, files.write(temporary.resolve("mixed")));
  }

  private static void rename(ModelFiles files, String pattern, String replacement) {
    Map<String, ModelFiles.Stored> renamed = new LinkedHashMap<>();
    files.tensors.forEach((name, tensor) -> renamed.put(name.replaceFirst(pattern, replacement), tensor));
    assertThat(renamed.keySet()).as("names after the change").isNotEqualTo(files.tensors.keySet());
    files.tensors.clear();
    files.tensors.putAll(renamed);
  }

  private void assertUnchanged(String model, Consumer<ModelFiles> change) {
    Path original = SharedModels.directory(model);
    assertSameOutputs(original, ModelFiles.copyOf(original).change(change).write(temporary.resolve("copy" + copies++)));
  }

  private static void assertSameOutputs(Path original, Path changed) {
    for (BackendOptions options : TestBackends.all()) {
      try (Backend backend = Backends.open(options);
          ModelRun first = new ModelRun(original, backend);
          ModelRun second = new ModelRun(changed, backend)) {
        int[] prompt = new Random(3).ints(20, 0, first.model.config().vocabSize()).toArray();
        var expected = first.hidden(prompt);
        var actual = second.hidden(prompt);
        for (int i = 0; i < expected.size(); i++) {
          Numbers.assertSameBits("hidden state " + i, actual.get(i), expected.get(i));
        }
      }
    }
  }
}
