package dev.lanes.quantize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.offset;

import dev.lanes.Device;
import dev.lanes.Lanes;
import dev.lanes.LanguageModel;
import dev.lanes.LoadOptions;
import dev.lanes.TinyCheckpoint;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.FloatTensors;
import dev.lanes.format.Json;
import dev.lanes.format.ModelConfig;
import dev.lanes.model.LinearGroup;
import dev.lanes.model.LinearGroups;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Scales that move from activations into weights, whatever they are, leave the model what it was. */
class SmoothingTest {
  @TempDir
  private Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"llama", "mistral", "qwen2", "mixtral"})
  void smoothingAloneChangesNoLogits(String architecture) throws Exception {
    Path source = folder.resolve("float");
    switch (architecture) {
      case "llama" -> TinyCheckpoint.llama(source, 3);
      case "mistral" -> TinyCheckpoint.llama(source, 3, 16);
      case "qwen2" -> TinyCheckpoint.qwen2(source, 3);
      default -> TinyCheckpoint.mixtral(source, 3);
    }
    Path target = Files.createDirectory(folder.resolve("smooth"));
    ModelConfig config = ModelConfig.load(source);
    Random random = new Random(4);
    try (Checkpoint checkpoint = Checkpoint.open(source); Spool spool = new Spool(folder)) {
      List<QuantizedGroup> groups = new ArrayList<>();
      List<LinearGroup> layers = LinearGroups.of(checkpoint, config);
      assertThat(layers).hasSize(architecture.equals("mixtral") ? TinyCheckpoint.LAYERS * (3 + TinyCheckpoint.EXPERTS)
          : TinyCheckpoint.LAYERS * 4);
      for (LinearGroup group : layers) {
        float[] scales = new float[group.source().elements()];
        for (int i = 0; i < scales.length; i++) {
          scales[i] = (float) Math.exp(2 * random.nextGaussian());
        }
        groups.add(new QuantizedGroup(group, scales, 0.5, 0, 0, group.modules().stream().map(module -> (Spool.Entry) null).toList()));
      }
      new CheckpointRewriter(source, checkpoint, spool, groups, group -> true, Set.of(), List.of()).write(target);
    }
    // Nothing is int8: without its quantization_config the copy is a float model.
    var written = Json.readObject(target.resolve("config.json"), 1 << 20);
    written.remove("quantization_config");
    Json.write(target.resolve("config.json"), written);
    try (Checkpoint before = Checkpoint.open(source); Checkpoint after = Checkpoint.open(target)) {
      for (String norm : List.of("input_layernorm", "post_attention_layernorm")) {
        String name = "model.layers.1." + norm + ".weight";
        assertThat(FloatTensors.read(after, after.tensor(name))).isNotEqualTo(FloatTensors.read(before, before.tensor(name)));
      }
    }
    int[] ids = random.ints(40, 0, 256).toArray();
    LoadOptions options = LoadOptions.builder().device(Device.CPU).build();
    try (LanguageModel before = Lanes.load(source, options); LanguageModel after = Lanes.load(target, options)) {
      float[][] expected = before.logits(ids);
      float[][] found = after.logits(ids);
      for (int t = 0; t < ids.length; t++) {
        for (int i = 0; i < expected[t].length; i++) {
          assertThat(found[t][i]).as("token %d, logit %d", t, i).isCloseTo(expected[t][i], offset(2e-4f));
        }
      }
    }
  }
}
