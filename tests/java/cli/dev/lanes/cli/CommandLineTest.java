package dev.lanes.cli;

import static dev.lanes.cli.CommandLineFixture.lanes;
import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.cli.CommandLineFixture.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Options, exit codes and messages, without a model. */
class CommandLineTest {
  @Test
  void versionAndHelpGoToStdout() {
    assertThat(lanes("--version").out()).startsWith("lanes ").contains("Java");
    Result help = lanes("generate", "--help");
    assertThat(help.exitCode()).isZero();
    assertThat(help.out()).contains("--model", "--prompt-ids", "--policy", "--logits", "--max-tokens");
    assertThat(help.err()).isEmpty();
  }

  @Test
  void infoListsBackendsAndKernels() {
    Result text = lanes("info");
    assertThat(text.exitCode()).isZero();
    assertThat(text.out()).contains("backend", "library", "cuda:0", "reference (Java)", "attention", "linear", "LlamaForCausalLM");
    Result json = lanes("info", "--json");
    assertThat(json.json().at("/chosen/available").asBoolean()).isTrue();
    assertThat(json.json().at("/chosen/library").asText()).isNotEmpty();
    String own = json.json().at("/chosen/name").asText().equals("cuda") ? "bf16" : "exact";
    assertThat(json.json().at("/automaticCompute/bf16").asText()).isEqualTo(own);
    assertThat(json.json().at("/automaticCompute/f32").asText()).isEqualTo("exact");
    assertThat(text.out()).containsPattern("compute auto +exact for float32 weights, " + own + " for bfloat16");
    assertThat(json.json().at("/chosen/availableBytes").asLong()).isPositive();
    assertThat(json.json().at("/backends").findValuesAsText("name")).startsWith("cuda:0")
        .endsWith("cpu avx512", "cpu avx2", "cpu neon", "cpu reference", "reference (Java)");
    assertThat(json.json().at("/architectures").toString()).contains("MixtralForCausalLM", "BertModel");
  }

  @ParameterizedTest
  @ValueSource(strings = {
      "", "nonsense", "generate --model x", "generate --model x --prompt a --prompt-ids 1", "generate --model x --prompt a --max-tokens no",
      "generate --model x --prompt a --max-tokens -1", "generate --model x --prompt a --temperature NaN",
      "generate --model x --prompt a --policy sideways", "generate --model x --prompt-ids 1,,2", "generate --model x --prompt a --isa mmx",
      "generate --model x --prompt a --threads -2", "generate --model x --prompt a --kv-bytes lots", "generate --model x --prompt-file missing.txt",
      "embed --model x", "perplexity --model x", "perplexity --text x", "perplexity --model x --text x --stride 0",
      "quantize --model x", "quantize --out x", "quantize --model x --out y --smooth 2", "quantize --model x --out y --rounding up",
      "quantize --model x --out y --ignore re:(", "quantize --model x --out y --min-agreement 101",
      "bench nonsense", "bench model --shape 70b", "bench model --shape 15m --model x", "bench kernels --only (",
      "generate --model x --prompt a --kv-dtype f8", "generate --model x --prompt a --compute int8", "generate --model x --prompt a --device gpu",
      "generate --model x --prompt a --device cuda:x", "bench kernels --device cpu:1"})
  void wrongOptionsAreRefusedInOneOrTwoLines(String line) {
    Result result = lanes(line.isEmpty() ? new String[0] : line.split(" "));
    assertThat(result.exitCode()).as(result.err()).isEqualTo(ExitCode.USAGE);
    assertThat(result.err().lines().count()).as(result.err()).isBetween(1L, 3L);
    assertThat(result.err()).startsWith("lanes: ").doesNotContain("Exception");
    assertThat(result.out()).isEmpty();
  }

  @Test
  void aMissingModelIsABadModel(@TempDir Path folder) {
    Result result = lanes("generate", "--model", folder.resolve("nowhere").toString(), "--prompt", "a");
    assertThat(result.exitCode()).isEqualTo(ExitCode.BAD_MODEL);
    assertThat(result.err()).contains("nowhere", "config.json");
  }

  @Test
  void anUnknownArchitectureIsRefusedByNameWithTheListOfThoseSupported(@TempDir Path folder) throws IOException {
    Files.writeString(folder.resolve("config.json"), "{\"architectures\": [\"OracleForDelphi\"], \"model_type\": \"oracle\"}");
    Result result = lanes("inspect", "--model", folder.toString());
    assertThat(result.exitCode()).isEqualTo(ExitCode.BAD_MODEL);
    assertThat(result.err()).contains("OracleForDelphi", "LlamaForCausalLM", "BertModel", "config.json");
  }

  @ParameterizedTest
  @CsvSource({"123, 123", "2K, 2048", "512m, 536870912", "4G, 4294967296"})
  void bytesTakeUnits(String text, long bytes) {
    assertThat(new ByteCount().convert(text)).isEqualTo(bytes);
  }

  @Test
  void argumentsAreReadAsTyped() {
    String raw = "java\0-jar\0lanes.jar\0chat\0--message\0中国的首都是哪里？\0\0";
    assertThat(Arguments.lastOf(raw, new String[] {"chat", "--message", "???", ""}))
        .containsExactly("chat", "--message", "中国的首都是哪里？", "");
    assertThat(Arguments.lastOf("x\0", new String[] {"a", "b"})).containsExactly("a", "b");
  }
}
