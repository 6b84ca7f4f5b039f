package dev.lanes.quantize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lanes.Device;
import dev.lanes.Lanes;
import dev.lanes.LanguageModel;
import dev.lanes.LoadOptions;
import dev.lanes.TinyCheckpoint;
import dev.lanes.error.UnsupportedModelException;
import dev.lanes.error.UnsupportedRequestException;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.DType;
import dev.lanes.format.FloatTensors;
import dev.lanes.format.SafetensorsWriter;
import dev.lanes.format.TensorInfo;
import dev.lanes.model.Quantization;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Checkpoints that are quantized and written, from the options to the loaded model. */
class QuantizeTest {
  private static final String TEXT = "Call me Ishmael. Some years ago - never mind how long precisely - having little or no money in my "
      + "purse, and nothing particular to interest me on shore, I thought I would sail about a little and see the watery part of the sea.";

  @TempDir
  private Path folder;
  private Path source;
  private Path target;

  @BeforeEach
  void name() {
    source = folder.resolve("float");
    target = folder.resolve("int8");
  }

  private static QuantizeOptions.Builder options() {
    return QuantizeOptions.builder().window(32).calibrationTokens(64).evaluationTokens(64);
  }

  private static LanguageModel load(Path directory, Quantization quantization) {
    return Lanes.load(directory, LoadOptions.builder().device(Device.CPU).quantization(quantization).build());
  }

  private static int[] ids() {
    int[] ids = new int[30];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = 7 * i % 256;
    }
    return ids;
  }

  private void write(String architecture) {
    switch (architecture) {
      case "llama" -> TinyCheckpoint.llama(source, 5);
      case "mistral" -> TinyCheckpoint.llama(source, 5, 16);
      case "qwen2" -> TinyCheckpoint.qwen2(source, 5);
      default -> TinyCheckpoint.mixtral(source, 5);
    }
    TinyCheckpoint.addByteTokenizer(source);
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "mistral", "qwen2", "mixtral"})
  void withoutSmoothingItIsWhatQuantizingWhileLoadingGivesBitForBit(String architecture) {
    write(architecture);
    Lanes.quantize(source, target, options().smooth(0).build());
    try (LanguageModel written = load(target, Quantization.NONE); LanguageModel loaded = load(source, Quantization.W8A8)) {
      assertThat(written.logits(ids())).isDeepEqualTo(loaded.logits(ids()));
    }
  }

  @ParameterizedTest
  @CsvSource({"llama, NEAREST", "llama, GPTQ", "mistral, NEAREST", "qwen2, GPTQ", "mixtral, NEAREST", "mixtral, GPTQ"})
  void writtenCheckpointsLoadAndPredictAlike(String architecture, Rounding rounding) throws IOException {
    write(architecture);
    QuantizationReport report = Lanes.quantize(source, target, options().texts(List.of(TEXT, TEXT)).rounding(rounding).build());
    assertThat(report.quality().tokens()).isBetween(60L, 80L);
    assertThat(report.byText()).hasSize(2);
    assertThat(report.quality().meanDivergence()).isBetween(0.0, architecture.equals("mixtral") ? 0.2 : 0.05);
    assertThat(report.int8Parameters()).isEqualTo(report.linearParameters());
    assertThat(report.layers()).allSatisfy(layers -> {
      assertThat(layers.kept()).isEmpty();
      assertThat(layers.error()).isBetween(0.0, 0.01);
    });
    try (Checkpoint before = Checkpoint.open(source); Checkpoint after = Checkpoint.open(target)) {
      long int8 = 0;
      for (TensorInfo tensor : after.tensors()) {
        if (tensor.dtype() == DType.I8) {
          int8 += tensor.bytes();
          assertThat(before.tensor(tensor.name()).shape()).isEqualTo(tensor.shape());
          TensorInfo scale = after.tensor(tensor.name() + "_scale");
          assertThat(scale.shape()).containsExactly(tensor.dim(0), 1);
          assertThat(scale.dtype()).isEqualTo(DType.F32);
        }
      }
      assertThat(int8).isEqualTo(report.int8Bytes()).isEqualTo(report.int8Parameters());
      assertThat(after.totalBytes()).isEqualTo(report.bytesAfter()).isLessThan(report.bytesBefore());
    }
    // What the report says is what the loaded model does.
    try (LanguageModel written = load(target, Quantization.NONE); LanguageModel original = load(source, Quantization.NONE)) {
      float[][] expected = original.logits(ids());
      float[][] found = written.logits(ids());
      double error = 0;
      double energy = 0;
      for (int t = 0; t < expected.length; t++) {
        for (int i = 0; i < expected[t].length; i++) {
          error += Math.pow(found[t][i] - expected[t][i], 2);
          energy += Math.pow(expected[t][i], 2);
        }
      }
      // A router's choice may flip.
      assertThat(error / energy).isBetween(0.0, architecture.equals("mixtral") ? 0.2 : 0.02);
    }
    JsonNode config = new ObjectMapper().readTree(target.resolve("config.json").toFile());
    JsonNode original = new ObjectMapper().readTree(source.resolve("config.json").toFile());
    original.fieldNames().forEachRemaining(field -> assertThat(config.get(field)).as(field).isEqualTo(original.get(field)));
    assertThat(config.at("/quantization_config/format").asText()).isEqualTo("int-quantized");
    assertThat(config.at("/quantization_config/ignore").toString()).contains("lm_head");
    if (architecture.equals("mixtral")) {
      assertThat(config.at("/quantization_config/ignore").toString()).contains("model.layers.1.block_sparse_moe.gate");
    }
    assertThat(target.resolve("tokenizer.json")).hasSameBinaryContentAs(source.resolve("tokenizer.json"));
    JsonNode json = new ObjectMapper().readTree(target.resolve(CheckpointQuantizer.REPORT).toFile());
    assertThat(json.at("/quality/agreement").asDouble()).isEqualTo(report.quality().agreement());
    assertThat(json.get("layers")).hasSize(report.layers().size());
  }

  @Test
  void outliersOfActivationsAreSmoothedAway() {
    // Channels of very different size in what the norms give, and in what the up-projection gives.
    write("llama");
    rescale(Map.of("model.layers.0.input_layernorm.weight", 40f, "model.layers.1.post_attention_layernorm.weight", 40f));
    QuantizationReport smooth = Lanes.quantize(source, target, options().texts(List.of(TEXT)).build());
    QuantizationReport plain = Lanes.quantize(source, folder.resolve("plain"), options().texts(List.of(TEXT)).smooth(0).build());
    assertThat(smooth.layers().get(0).plainError()).isEqualTo(plain.layers().get(0).error());
    assertThat(smooth.layers().get(0).error()).isLessThan(0.7 * plain.layers().get(0).error());
    assertThat(smooth.layers().get(0).alpha()).isPositive();
    assertThat(smooth.quality().meanDivergence()).isLessThan(plain.quality().meanDivergence());
  }

  /** Multiplies every eighth element of vectors. */
  private void rescale(Map<String, Float> factors) {
    SafetensorsWriter writer = new SafetensorsWriter();
    try (Checkpoint checkpoint = Checkpoint.open(source)) {
      for (TensorInfo tensor : checkpoint.tensors()) {
        float[] values = FloatTensors.read(checkpoint, tensor);
        for (int i = 0; i < values.length; i += 8) {
          values[i] *= factors.getOrDefault(tensor.name(), 1f);
        }
        writer.add(tensor.name(), values, tensor.shape());
      }
      writer.write(source.resolve("model.safetensors"));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void ignoredLayersStayWhatTheyAre() {
    write("llama");
    QuantizationReport report = Lanes.quantize(source, target, options().texts(List.of(TEXT)).ignore(
        List.of("model.layers.0.self_attn.k_proj", "re:.*mlp\\.down_proj")).build());
    List<String> kept = new ArrayList<>();
    report.layers().forEach(layers -> {
      kept.addAll(layers.kept());
      assertThat(layers.why()).isEqualTo(layers.kept().isEmpty() ? "" : "named by ignore");
    });
    assertThat(kept).containsExactlyInAnyOrder("model.layers.0.self_attn.k_proj", "model.layers.0.mlp.down_proj",
        "model.layers.1.mlp.down_proj");
    assertThat(report.int8Parameters()).isLessThan(report.linearParameters());
    try (Checkpoint before = Checkpoint.open(source); Checkpoint after = Checkpoint.open(target)) {
      String down = "model.layers.1.mlp.down_proj.weight";
      assertThat(FloatTensors.read(after, after.tensor(down))).isEqualTo(FloatTensors.read(before, before.tensor(down)));
      assertThat(after.contains("model.layers.1.mlp.down_proj.weight_scale")).isFalse();
      assertThat(after.tensor("model.layers.0.self_attn.k_proj.weight").dtype()).isEqualTo(DType.F32);
      assertThat(after.tensor("model.layers.0.self_attn.q_proj.weight").dtype()).isEqualTo(DType.I8);
    }
    assertThat(report.quality().meanDivergence()).isLessThan(0.05);
  }

  @Test
  void autoKeepsAsManyLayersFloatAsTheBudgetNeeds() throws IOException {
    write("llama");
    QuantizationReport generous = Lanes.quantize(source, target, options().auto(true).minAgreement(0).maxPerplexityIncrease(100).build());
    assertThat(generous.budget()).contains("met with every layer int8");
    assertThat(generous.layers()).allSatisfy(layers -> assertThat(layers.kept()).isEmpty());
    // No quantized model predicts exactly what the original does.
    QuantizationReport strict = Lanes.quantize(source, folder.resolve("strict"), options().auto(true).minAgreement(1)
        .maxPerplexityIncrease(0).smooth(0.5).build());
    List<QuantizationReport.Layers> kept = strict.layers().stream().filter(layers -> !layers.kept().isEmpty()).toList();
    assertThat(kept).isNotEmpty();
    assertThat(kept).allSatisfy(layers -> {
      assertThat(layers.why()).contains("cost the most quality");
      assertThat(layers.kept()).isEqualTo(layers.modules());
      assertThat(layers.divergence()).isPositive();
    });
    assertThat(strict.budget()).contains("groups float");
    JsonNode config = new ObjectMapper().readTree(folder.resolve("strict").resolve("config.json").toFile());
    kept.forEach(layers -> layers.modules().forEach(
        module -> assertThat(config.at("/quantization_config/ignore").toString()).contains("\"" + module + "\"")));
    assertThat(strict.quality().meanDivergence()).isLessThan(generous.quality().meanDivergence());
  }

  @Test
  void shardsStayShards() throws IOException {
    write("llama");
    Map<String, String> shardOf = new TreeMap<>();
    try (Checkpoint checkpoint = Checkpoint.open(source)) {
      SafetensorsWriter[] writers = {new SafetensorsWriter(), new SafetensorsWriter()};
      int i = 0;
      for (TensorInfo tensor : checkpoint.tensors()) {
        int shard = i++ % 2;
        writers[shard].add(tensor.name(), FloatTensors.read(checkpoint, tensor), tensor.shape());
        shardOf.put(tensor.name(), "model-0000" + (shard + 1) + "-of-00002.safetensors");
      }
      for (int shard = 0; shard < 2; shard++) {
        writers[shard].write(source.resolve("model-0000" + (shard + 1) + "-of-00002.safetensors"));
      }
    }
    Lanes.quantize(source, folder.resolve("whole"), options().smooth(0.5).build());
    Files.delete(source.resolve("model.safetensors"));
    ObjectNode index = new ObjectMapper().createObjectNode();
    shardOf.forEach(index.putObject("weight_map")::put);
    new ObjectMapper().writeValue(source.resolve("model.safetensors.index.json").toFile(), index);
    Lanes.quantize(source, target, options().smooth(0.5).build());
    assertThat(target.resolve("model-00002-of-00002.safetensors")).exists();
    assertThat(target.resolve("model.safetensors")).doesNotExist();
    try (LanguageModel sharded = load(target, Quantization.NONE); LanguageModel whole = load(folder.resolve("whole"), Quantization.NONE)) {
      assertThat(sharded.logits(ids())).isDeepEqualTo(whole.logits(ids()));
    }
  }

  @Test
  void whatCannotBeQuantizedIsRefusedByName() {
    TinyCheckpoint.gpt2(source, 1, 32);
    assertThatThrownBy(() -> Lanes.quantize(source, target, options().build())).isInstanceOf(UnsupportedModelException.class)
        .hasMessageContaining("GPT2LMHeadModel").hasMessageContaining("Conv1D");
    Path encoder = folder.resolve("bert");
    TinyCheckpoint.bert(encoder, 1);
    assertThatThrownBy(() -> Lanes.quantize(encoder, target, options().build())).isInstanceOf(UnsupportedModelException.class)
        .hasMessageContaining("BertModel").hasMessageContaining("encoder");
    nothingIsLeft("bert", "float");
  }

  @Test
  void wrongOptionsAreRefusedAndLeaveNothing() throws IOException {
    TinyCheckpoint.llama(source, 5);
    assertThatThrownBy(() -> Lanes.quantize(source, target, options().texts(List.of(TEXT)).build()))
        .isInstanceOf(UnsupportedRequestException.class).hasMessageContaining("tokenizer.json");
    TinyCheckpoint.addByteTokenizer(source);
    assertThatThrownBy(() -> Lanes.quantize(source, target, options().texts(List.of("short")).build()))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("text 1 has 5 tokens");
    assertThatThrownBy(() -> Lanes.quantize(source, target, options().ignore(List.of("model.layers.0.nothing")).build()))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("model.layers.0.nothing")
        .hasMessageContaining("model.layers.0.self_attn.q_proj");
    assertThatThrownBy(() -> options().ignore(List.of("re:("))).hasMessageContaining("re:(");
    assertThatThrownBy(() -> options().smooth(1.5)).hasMessageContaining("smooth is 1.5");
    assertThatThrownBy(() -> options().smooth(Double.NaN)).hasMessageContaining("NaN");
    assertThatThrownBy(() -> options().minAgreement(95)).hasMessageContaining("minAgreement is 95");
    assertThatThrownBy(() -> options().maxPerplexityIncrease(-1)).hasMessageContaining("maxPerplexityIncrease");
    assertThatThrownBy(() -> options().window(7)).hasMessageContaining("window is 7");
    assertThatThrownBy(() -> options().calibrationTokens(1)).hasMessageContaining("calibrationTokens");
    assertThatThrownBy(() -> options().evaluationTokens(1)).hasMessageContaining("evaluationTokens");
    assertThatThrownBy(() -> Lanes.quantize(source, folder.resolve("no/where"), options().build()))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("is no directory");
    nothingIsLeft("float");
  }

  @Test
  void anOlderModelIsReplacedOnlyWhenAsked() throws IOException {
    write("llama");
    Lanes.quantize(source, target, options().smooth(0).build());
    assertThatThrownBy(() -> Lanes.quantize(source, target, options().build())).hasMessageContaining("is there already");
    assertThatThrownBy(() -> Lanes.quantize(source, source, options().overwrite(true).build())).hasMessageContaining("the model itself");
    assertThatThrownBy(() -> Lanes.quantize(target, folder.resolve("twice"), options().build()))
        .isInstanceOf(UnsupportedModelException.class).hasMessageContaining("quantized already");
    Files.writeString(target.resolve("left-over.txt"), "old");
    Lanes.quantize(source, target, options().smooth(0).overwrite(true).build());
    assertThat(target.resolve("left-over.txt")).doesNotExist();
    Path other = Files.createDirectory(folder.resolve("other"));
    Files.writeString(other.resolve("diary.txt"), "dear diary");
    assertThatThrownBy(() -> Lanes.quantize(source, other, options().overwrite(true).build())).hasMessageContaining("no config.json");
    assertThat(other.resolve("diary.txt")).exists();
    nothingIsLeft("float", "int8", "other");
  }

  /** No directory but these: nothing half written. */
  private void nothingIsLeft(String... expected) {
    assertThat(folder.toFile().list()).containsExactlyInAnyOrder(expected);
  }
}
