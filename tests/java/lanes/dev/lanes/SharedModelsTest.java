package dev.lanes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.offset;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.model.Quantization;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Trained models end to end, against what other implementations gave for them. */
class SharedModelsTest {
  /** Recorded outputs are those of exact products. */
  private static LanguageModel load(Path model, Device device) {
    return Lanes.load(model, LoadOptions.builder().device(device).compute(Compute.EXACT).cacheTokens(4096).build());
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#devices")
  void storiesFromTheBeginningOfSequence(Device device) throws Exception {
    for (String name : device != Device.REFERENCE ? List.of("stories15M", "stories260K") : List.of("stories260K")) {
      Path directory = Shared.model(name);
      String expected = Files.readString(directory.resolve("expected-greedy.txt"));
      // The program that wrote the file ends it with a line about its speed.
      int end = expected.indexOf("achieved tok/s");
      expected = (end < 0 ? expected : expected.substring(0, end)).stripTrailing();
      try (LanguageModel model = load(directory, device)) {
        Generation generation = model.generate("", GenerationOptions.builder().maxTokens(200).build());
        assertThat(expected.length()).isGreaterThan(400);
        assertThat(generation.text()).as(name).startsWith(expected.substring(0, Math.min(expected.length(), generation.text().length())));
        assertThat(generation.text().length()).isGreaterThanOrEqualTo(Math.min(expected.length(), 400));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"stories15M", "stories260K", "minimind2-small"})
  void promptsAndGreedyIds(String name) {
    Path directory = Shared.model(name);
    try (LanguageModel model = load(directory, TestDevices.best())) {
      for (int i = 0; i < 3; i++) {
        int[] expected = Shared.ids(directory, i + ".greedy_ids");
        int[] prompt = Shared.ids(directory, i + ".prompt_ids");
        String text = Shared.metadata(directory, i + ".prompt");
        boolean chat = text.startsWith("<|im_start|>");
        assertThat(model.tokenizer().orElseThrow().encode(text, !chat)).as("ids of %s", text).isEqualTo(prompt);
        Generation generation = model.generate(prompt, GenerationOptions.builder().maxTokens(expected.length).build());
        assertThat(generation.outputIds()).as("after %s", text).isEqualTo(expected);
        if (!chat) {
          assertThat(model.generate(text, GenerationOptions.builder().maxTokens(expected.length).build()).outputIds()).isEqualTo(expected);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"stories15M", "stories260K", "minimind2-small"})
  void logitsOfEveryPosition(String name) {
    Path directory = Shared.model(name);
    try (LanguageModel model = load(directory, TestDevices.best())) {
      float[][] logits = model.logits(Shared.ids(directory, "0.prompt_ids"));
      float[] expected = Shared.floats(directory, "0.logits");
      int at = 0;
      for (float[] row : logits) {
        for (float value : row) {
          assertThat(value).isCloseTo(expected[at++], offset(name.startsWith("mini") ? 2e-3f : 1e-4f));
        }
      }
      assertThat(at).isEqualTo(expected.length);
    }
  }

  @Test
  void outputContinuesThePromptsText() {
    Path directory = Shared.model("stories15M");
    try (LanguageModel model = load(directory, TestDevices.best())) {
      Generation generation =
          model.generate("The little dog ran to the park and", GenerationOptions.builder().maxTokens(7).build());
      assertThat(generation.text()).isEqualTo(" saw a big, red ball.");
    }
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#devices")
  void capitalOfChina(Device device) {
    Path directory = Shared.model("minimind2-small");
    List<ChatMessage> messages =
        List.of(ChatMessage.system("You are a helpful assistant"), ChatMessage.user("中国的首都是哪里？"));
    try (LanguageModel model = load(directory, device)) {
      Generation generation = model.chat(messages, GenerationOptions.defaults());
      assertThat(generation.text()).isEqualTo("中国的首都是北京。");
      assertThat(generation.finishReason()).isEqualTo(FinishReason.END_TOKEN);
      assertThat(generation.promptIds()).isEqualTo(Shared.ids(directory, "1.prompt_ids"));
      assertThat(generation.outputIds()).isEqualTo(Shared.ids(directory, "1.greedy_ids"));
      List<String> pieces = new ArrayList<>();
      try (GenerationStream stream = model.streamChat(messages, GenerationOptions.defaults())) {
        stream.forEach(piece -> pieces.add(piece.text()));
      }
      assertThat(String.join("", pieces)).isEqualTo(generation.text());
      assertThat(pieces).hasSizeGreaterThan(3).allSatisfy(piece -> assertThat(piece).doesNotContain("\uFFFD"));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama3-rope", "mistral-window", "qwen2", "mixtral", "gpt2"})
  void randomModelsOnIdsAlone(String name) {
    Path directory = Shared.model("random/" + name);
    // The recorded outputs are those of a model that was cast to bfloat16 as a whole, rotary frequencies included.
    LoadOptions options = LoadOptions.builder().device(TestDevices.best()).compute(Compute.EXACT).ropeType(DType.BF16).cacheTokens(4096).build();
    try (LanguageModel model = Lanes.load(directory, options)) {
      assertThat(model.tokenizer()).isEmpty();
      for (int i = 0; i < 3; i++) {
        Generation generation = model.generate(Shared.ids(directory, i + ".prompt_ids"),
            GenerationOptions.builder().maxTokens(16).ignoreEos(true).build());
        assertThat(generation.outputIds()).as("prompt %d", i).isEqualTo(Shared.ids(directory, i + ".greedy_ids"));
        assertThat(generation.text()).isEmpty();
      }
    }
  }

  @Test
  void encoderGivesItsHiddenStates() {
    Path directory = Shared.model("random/bert");
    try (LanguageModel model = load(directory, TestDevices.best())) {
      for (int i = 0; i < 3; i++) {
        float[] expected = Shared.floats(directory, i + ".last_hidden");
        int at = 0;
        for (float[] token : model.hiddenStates(Shared.ids(directory, i + ".prompt_ids"))) {
          for (float value : token) {
            assertThat(value).isCloseTo(expected[at++], offset(1e-4f));
          }
        }
        assertThat(at).isEqualTo(expected.length);
      }
    }
  }

  @Test
  void sentenceEmbeddings() throws Exception {
    Path directory = Shared.model("minilm-l6-v2");
    JsonNode items = new ObjectMapper().readTree(directory.resolve("reference_ort_fp32.json").toFile()).get("items");
    List<String> texts = new ArrayList<>();
    items.forEach(item -> texts.add(item.get("text").asText()));
    try (LanguageModel model = load(directory, TestDevices.best())) {
      List<float[]> together = model.embed(texts, EmbeddingOptions.defaults());
      for (int i = 0; i < texts.size(); i++) {
        JsonNode item = items.get(i);
        int[] ids = new ObjectMapper().convertValue(item.get("ids"), int[].class);
        assertThat(model.tokenizer().orElseThrow().encode(texts.get(i), true)).isEqualTo(ids);
        float[][] hidden = model.hiddenStates(ids);
        float[] expected = new ObjectMapper().convertValue(item.get("last_hidden"), float[].class);
        for (int t = 0; t < hidden.length; t++) {
          for (int h = 0; h < hidden[t].length; h++) {
            // The weights here are float16, those of the reference float32.
            assertThat(hidden[t][h]).isCloseTo(expected[t * hidden[t].length + h], offset(5e-3f));
          }
        }
        assertThat(together.get(i)).isEqualTo(model.embed(texts.get(i)));
        double length = 0;
        for (float value : together.get(i)) {
          length += value * value;
        }
        assertThat(length).isCloseTo(1, offset(1e-5));
        assertThat(model.embed(ids, new EmbeddingOptions(EmbeddingOptions.Pooling.CLS, false))).isEqualTo(hidden[0]);
        assertThat(model.embed(ids, new EmbeddingOptions(EmbeddingOptions.Pooling.LAST, false))).isEqualTo(hidden[ids.length - 1]);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Quantization.class)
  void batchOfAllSizesGivesTheTokensOfOne(Quantization quantization) {
    Path directory = Shared.model("stories260K");
    GenerationOptions options = GenerationOptions.builder().maxTokens(20).temperature(0.8).seed(3).build();
    String[] starts = {"Once upon a time", "Lily", "The little dog ran to the park and", "One day, a big"};
    try (LanguageModel model = Lanes.load(directory, LoadOptions.builder().device(TestDevices.best()).prefixCache(false)
        .quantization(quantization).quantizeHead(quantization == Quantization.W8A8).build())) {
      List<int[]> alone = Arrays.stream(starts).map(start -> model.generate(start, options).outputIds()).toList();
      for (int size : new int[] {1, 2, 3, 8, 17, 64}) {
        List<String> prompts = new ArrayList<>();
        for (int i = 0; i < size; i++) {
          prompts.add(starts[i % starts.length]);
        }
        List<Generation> together = model.generateAll(prompts, options);
        for (int i = 0; i < size; i++) {
          assertThat(together.get(i).outputIds()).as("%d of %d", i, size).isEqualTo(alone.get(i % starts.length));
        }
      }
    }
  }
}
