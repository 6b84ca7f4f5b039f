package dev.lanes.cli;

import static dev.lanes.cli.CommandLineFixture.lanes;
import static dev.lanes.cli.CommandLineFixture.lanesIntoClosedPipe;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.lanes.cli.CommandLineFixture.Result;
import dev.lanes.format.SafetensorsFile;
import dev.lanes.format.SyntheticModel;
import dev.lanes.format.TensorInfo;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The commands that run a model: a small random one everywhere, trained ones where they are at hand. */
class ModelCommandsTest {
  private static final int VOCABULARY = 100;
  private static final int CONTEXT = 64;

  @TempDir
  private static Path folder;

  private static String model;

  @BeforeAll
  static void writeModel() throws IOException {
    Path directory = folder.resolve("model");
    new SyntheticModel(2, 64, 4, 2, 96, VOCABULARY, CONTEXT, true).write(directory);
    model = directory.toString();
  }

  private static Result generate(String... more) {
    String[] start = {"generate", "--model", model, "--prompt-ids", "5,6,7", "--ignore-eos"};
    String[] all = new String[start.length + more.length];
    System.arraycopy(start, 0, all, 0, start.length);
    System.arraycopy(more, 0, all, start.length, more.length);
    return lanes(all);
  }

  @Test
  void idsComeBackOnStdoutAndTimingsOnStderr() {
    Result result = generate("--max-tokens", "5");
    assertThat(result.exitCode()).as(result.err()).isZero();
    assertThat(result.out().strip().split(" ")).hasSize(5);
    assertThat(result.err()).contains("weights", "loaded in", "tokens/s", "stopped: length").containsPattern("chose (cpu|cuda): ");
    assertThat(generate("--max-tokens", "5", "--quiet").err()).isEmpty();
  }

  /** The smaller the elements of the cache, the less memory it takes. */
  @Test
  void cacheTypesByName() {
    long before = Long.MAX_VALUE;
    assertThat(generate("--max-tokens", "5", "--json", "--kv-dtype", "f16").json().get("outputIds")).hasSize(5);
    assertThat(generate("--kv-dtype", "fp8").err()).contains("expected auto, f32, bf16, f16 or int8 but was 'fp8'");
    assertThat(generate("--max-tokens", "5", "--kv-dtype", "auto").exitCode()).isZero();
    for (String type : new String[] {"f32", "bf16", "int8"}) {
      assertThat(generate("--max-tokens", "5", "--json", "--kv-dtype", type).json().get("outputIds")).as(type).hasSize(5);
      long bytes = lanes("inspect", "--model", model, "--kv-dtype", type, "--json").json().get("cacheBytesPerToken").asLong();
      assertThat(bytes).as(type).isLessThan(before);
      before = bytes;
    }
  }

  /** What was asked for, and on a CPU the exact way where nothing was. */
  @Test
  void saysHowItComputes() {
    String[] cpu = {"--max-tokens", "5", "--device", "cpu"};
    assertThat(generate(cpu).err()).contains("compute exact, cache of f32");
    assertThat(generate("--max-tokens", "5", "--device", "cpu", "--compute", "auto", "--kv-dtype", "auto").err())
        .contains("compute exact, cache of f32");
    assertThat(generate("--max-tokens", "5", "--dtype", "bf16", "--compute", "BF16", "--kv-dtype", "int8").err())
        .contains("compute bf16, cache of int8");
    assertThat(generate("--max-tokens", "5", "--dtype", "f16", "--compute", "f16").err()).contains("compute f16, cache of ");
  }

  @Test
  void quantizesWhileLoading() {
    Result result = generate("--max-tokens", "5", "--quantize", "w8a8", "--quantize-head");
    assertThat(result.exitCode()).as(result.err()).isZero();
    assertThat(result.out().strip().split(" ")).hasSize(5);
    long plain = lanes("inspect", "--model", model, "--json").json().get("weightBytes").asLong();
    long layers = lanes("inspect", "--model", model, "--json", "--quantize", "w8a8").json().get("weightBytes").asLong();
    long all = lanes("inspect", "--model", model, "--json", "--quantize", "w8a8", "--quantize-head").json().get("weightBytes").asLong();
    assertThat(layers).isLessThan(plain);
    assertThat(all).isLessThan(layers);
    assertThat(generate("--dtype", "s8").err()).contains("weightType is S8", "quantization");
    assertThat(generate("--compute", "int8").err()).contains("expected auto, exact, bf16 or f16 but was 'int8'");
    assertThat(generate("--quantize", "w4a16").err()).contains("--quantize", "w4a16");
  }

  @Test
  void jsonHoldsEverything() {
    JsonNode json = generate("--max-tokens", "5", "--json", "--logprobs", "2").json();
    assertThat(json.get("promptIds")).hasSize(3);
    assertThat(json.get("outputIds")).hasSize(5);
    assertThat(json.get("finishReason").asText()).isEqualTo("length");
    assertThat(json.get("droppedTokens").asInt()).isZero();
    assertThat(json.get("text").isTextual()).isTrue();
    assertThat(json.get("prefillTokensPerSecond").asDouble()).isPositive();
    assertThat(json.get("decodeTokensPerSecond").asDouble()).isPositive();
    assertThat(json.get("peakNativeBytes").asLong()).isPositive();
    assertThat(json.get("logProbabilities")).hasSize(5);
    assertThat(json.at("/logProbabilities/0/top")).hasSize(2);
  }

  @Test
  void theSameSeedGivesTheSameTokensWhateverTheThreads() {
    String[] sampled = {"--max-tokens", "12", "--temperature", "1.5", "--top-p", "0.95", "--seed", "7"};
    String one = generate(with(sampled, "--threads", "1")).out();
    assertThat(generate(with(sampled, "--threads", "2")).out()).isEqualTo(one);
    sampled[sampled.length - 1] = "8";
    assertThat(generate(sampled).out()).isNotEqualTo(one);
  }

  private static String[] with(String[] options, String... more) {
    String[] all = Arrays.copyOf(options, options.length + more.length);
    System.arraycopy(more, 0, all, options.length, more.length);
    return all;
  }

  @Test
  @Timeout(60)
  void closedPipeEndsTheGeneration() {
    Result result = lanesIntoClosedPipe(100, "generate", "--model", model, "--prompt-ids", "5,6,7", "--ignore-eos",
        "--policy", "sliding:16", "--max-tokens", Integer.toString(Integer.MAX_VALUE), "--quiet");
    assertThat(result.exitCode()).isEqualTo(ExitCode.FAILURE);
    assertThat(result.out()).hasSize(100);
    assertThat(result.err()).isEqualTo("lanes: cannot write to standard output" + System.lineSeparator());
  }

  @Test
  void resultThatDoesNotGetThroughIsAFailure() {
    for (String[] line : new String[][] {{"inspect", "--model", model}, {"info", "--json"},
        {"generate", "--model", model, "--prompt-ids", "5", "--max-tokens", "2", "--json", "--quiet"}}) {
      Result result = lanesIntoClosedPipe(10, line);
      assertThat(result.exitCode()).as(line[0]).isEqualTo(ExitCode.FAILURE);
      assertThat(result.err()).as(line[0]).isEqualTo("lanes: cannot write to standard output" + System.lineSeparator());
    }
  }

  @Test
  void folderOfLogitsMustExistBeforeTheWork() {
    Path file = folder.resolve("none").resolve("logits.safetensors");
    Result result = generate("--max-tokens", "1", "--logits", file.toString());
    assertThat(result.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(result.out()).isEmpty();
    assertThat(result.err()).contains("--logits", folder.resolve("none").toString()).doesNotContain("loaded in");
  }

  @Test
  void logitsAreWrittenAsSafetensors() {
    Path file = folder.resolve("logits.safetensors");
    Result result = generate("--max-tokens", "1", "--logits", file.toString());
    assertThat(result.exitCode()).as(result.err()).isZero();
    try (SafetensorsFile tensors = SafetensorsFile.open(file)) {
      TensorInfo logits = tensors.tensors().stream().filter(tensor -> tensor.name().equals("logits")).findFirst().orElseThrow();
      assertThat(logits.shape()).containsExactly(3, VOCABULARY);
    }
  }

  @ParameterizedTest
  @CsvSource({"reject, context_full, 0", "truncate-oldest, context_full, 4", "truncate-oldest:1, context_full, 4",
      "truncate-newest, context_full, 4", "truncate-middle, context_full, 4", "sliding:4, length, 7", "'sinks:2,2', length, 7"})
  void everyPolicyReportsWhatItDropped(String policy, String reason, int dropped) {
    JsonNode json = lanes("generate", "--model", model, "--prompt-ids", "1,2,3,4,5,6,7,8", "--context", "8", "--max-tokens", "4",
        "--ignore-eos", "--policy", policy, "--json", "--quiet").json();
    assertThat(json.get("finishReason").asText()).isEqualTo(policy.startsWith("truncate") ? "length" : reason);
    assertThat(json.get("droppedTokens").asInt()).isEqualTo(dropped);
  }

  @Test
  void aPromptBeyondTheContextHasAnExitCodeOfItsOwn() {
    Result result = generate("--context", "2");
    assertThat(result.exitCode()).isEqualTo(ExitCode.CONTEXT_OVERFLOW);
    assertThat(result.err()).contains("3 tokens", "1 more", "limit of 2");
  }

  @Test
  void whatTheModelCannotDoIsRefused() {
    assertThat(lanes("generate", "--model", model, "--prompt", "text").exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(lanes("chat", "--model", model, "--message", "hello").exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(generate("--context", "4096").err()).contains("4096", String.valueOf(CONTEXT));
    assertThat(lanes("generate", "--model", model, "--prompt-ids", "5,100").exitCode()).isEqualTo(ExitCode.USAGE);
  }

  @Test
  void memoryThatDoesNotSufficeHasAnExitCodeOfItsOwn() {
    Result result = lanes("generate", "--model", model, "--prompt-ids", "5,6,7", "--kv-bytes", "10");
    assertThat(result.exitCode()).as(result.err()).isEqualTo(ExitCode.OUT_OF_MEMORY);
  }

  @Test
  void inspectTellsWhatAContextCosts() {
    Result text = lanes("inspect", "--model", model, "--context", "32");
    assertThat(text.exitCode()).as(text.err()).isZero();
    assertThat(text.out()).contains("LlamaForCausalLM", "model.layers.1.mlp.down_proj.weight", "A context of 32 tokens costs");
    JsonNode json = lanes("inspect", "--model", model, "--context", "32", "--json").json();
    // 2 (keys and values) * layers * kv heads * head size * 4 bytes
    assertThat(json.get("cacheBytesPerToken").asLong()).isEqualTo(2 * 2 * 2 * 16 * 4);
    assertThat(json.get("contextBytes").asLong()).isEqualTo(32 * json.get("cacheBytesPerToken").asLong());
    assertThat(json.get("tensors")).hasSize(2 * 9 + 2);
  }

  @Test
  void perplexityOfTexts() throws IOException {
    String stories = CommandLineFixture.trainedModel("stories260K");
    Path first = Files.writeString(folder.resolve("first.txt"), "Once upon a time, there was a little girl named Lily.");
    Path second = Files.writeString(folder.resolve("second.txt"), "She liked to play outside in the park.");
    String[] line = {"perplexity", "--model", stories, "--text", first.toString(), "--context", "16", "--stride", "8"};
    Result text = lanes(line);
    assertThat(text.exitCode()).as(text.err()).isZero();
    assertThat(text.out()).contains("first.txt: perplexity ", " +- ", "tokens/s");
    JsonNode json = lanes(with(line, "--text", second.toString(), "--json", "--quiet")).json();
    assertThat(json.get("texts")).hasSize(2);
    assertThat(json.get("window").asInt()).isEqualTo(16);
    assertThat(json.get("stride").asInt()).isEqualTo(8);
    assertThat(json.get("tokens").asInt()).isEqualTo(json.at("/texts/0/tokens").asInt() + json.at("/texts/1/tokens").asInt());
    // A story teller knows its beginning.
    assertThat(json.at("/texts/0/perplexity").asDouble()).isBetween(1.0, 5.0);
    assertThat(json.at("/texts/0/standardError").asDouble()).isPositive();
    assertThat(lanes(with(line, "--bos", "--tokens", "10", "--json")).json().get("tokens").asInt()).isEqualTo(10);
    InputStream before = System.in;
    try {
      System.setIn(Files.newInputStream(first));
      line[4] = "-";
      assertThat(lanes(with(line, "--json")).json().get("perplexity")).isEqualTo(json.at("/texts/0/perplexity"));
    } finally {
      System.setIn(before);
    }
    line[4] = folder.resolve("none.txt").toString();
    assertThat(lanes(line).exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(lanes(line).err()).contains("--text", "none.txt is missing");
    assertThat(lanes("perplexity", "--model", model, "--text", first.toString()).err()).contains("tokenizer.json");
  }

  @Test
  void quantizedCheckpointsTellStories() throws IOException {
    String stories = CommandLineFixture.trainedModel("stories260K");
    Path text = folder.resolve("stories.txt");
    String start = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. ";
    Files.writeString(text, start.repeat(12));
    Path target = folder.resolve("stories-w8a8");
    String[] line = {"quantize", "--model", stories, "--out", target.toString(), "--calibration", text.toString(), "--window", "64",
        "--calibration-tokens", "128", "--evaluation-tokens", "128"};
    Result result = lanes(line);
    assertThat(result.exitCode()).as(result.err()).isZero();
    assertThat(result.out()).contains("model.layers.4.mlp.down_proj", "stories.txt", "top-1 agreement", "perplexity", "int8",
        "quantization_report.json");
    assertThat(result.err()).contains("calibrating: 1 texts", "writing");
    assertThat(lanes("inspect", "--model", target.toString()).out()).contains("W8A8");
    Result told = lanes("generate", "--model", target.toString(), "--prompt", "Once upon a time", "--max-tokens", "20", "--quiet");
    assertThat(told.out()).startsWith(", there was a little girl");
    assertThat(lanes(line).err()).contains("is there already");
    assertThat(lanes(line).exitCode()).isEqualTo(ExitCode.USAGE);
    JsonNode json = lanes(with(line, "--overwrite", "--json", "--quiet", "--auto", "--min-agreement", "0", "--max-perplexity", "1000",
        "--ignore", "re:.*o_proj", "--smooth", "0.5", "--rounding", "gptq")).json();
    assertThat(json.at("/quality/agreement").asDouble()).isBetween(0.8, 1.0);
    assertThat(json.get("budget").asText()).contains("met with every layer int8");
    assertThat(json.at("/layers/1/float/0").asText()).isEqualTo("model.layers.0.self_attn.o_proj");
    assertThat(lanes(with(line, "--overwrite", "--ignore", "nothing")).err()).contains("nothing", "fits no linear layer");
    assertThat(lanes("quantize", "--model", CommandLineFixture.trainedModel("minilm-l6-v2"), "--out", folder.resolve("x").toString())
        .exitCode()).isEqualTo(ExitCode.BAD_MODEL);
  }

  @Test
  void storiesAreTold() throws IOException {
    String stories = CommandLineFixture.trainedModel("stories260K");
    String start = "Once upon a time, there was a little girl named Lily.";
    Result result = lanes("generate", "--model", stories, "--prompt", "Once upon a time", "--max-tokens", "40", "--quiet");
    assertThat("Once upon a time" + result.out()).startsWith(start);
    Path prompt = Files.writeString(folder.resolve("prompt.txt"), "Once upon a time", StandardCharsets.UTF_8);
    JsonNode json = lanes("generate", "--model", stories, "--prompt-file", prompt.toString(), "--stop", "Lily", "--json").json();
    assertThat(json.get("finishReason").asText()).isEqualTo("stop_text");
    assertThat("Once upon a time" + json.get("text").asText() + "Lily.").isEqualTo(start);
  }

  @Test
  void questionsAreAnswered() {
    String chat = CommandLineFixture.trainedModel("minimind2-small");
    Result result = lanes("chat", "--model", chat, "--system", "You are a helpful assistant", "--message", "中国的首都是哪里？", "--context", "512");
    assertThat(result.exitCode()).as(result.err()).isZero();
    assertThat(result.out().strip()).isEqualTo("中国的首都是北京。");
  }

  @Test
  void textsAreEmbedded() {
    String encoder = CommandLineFixture.trainedModel("minilm-l6-v2");
    JsonNode json = lanes("embed", "--model", encoder, "--text", "Hello world", "--text", "Bonjour", "--json").json();
    assertThat(json).hasSize(2);
    assertThat(json.at("/0/embedding")).hasSize(384);
    assertThat(lanes("generate", "--model", encoder, "--prompt", "Hello").exitCode()).isEqualTo(ExitCode.USAGE);
  }
}
