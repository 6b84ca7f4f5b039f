package dev.lanes.cli;

import static dev.lanes.cli.CommandLineFixture.lanes;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.lanes.Lanes;
import dev.lanes.cli.CommandLineFixture.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The model that is there when none is named. */
@Timeout(120)
class BundledModelTest {
  private static final long MOST_BYTES = 16 << 20;

  @TempDir
  private Path out;

  @Test
  void firstCommandTellsAStory() {
    Result result = lanes("generate", "--prompt", "Once upon a time");
    assertThat(result.exitCode()).as(result.err()).isZero();
    assertThat(result.out().split("\\s+")).hasSizeGreaterThan(50);
  }

  @Test
  void chatGoesOnWithTheStory() {
    String opening = "Once upon a time, there was a";
    Result generated = lanes("generate", "--prompt", opening, "--temperature", "0", "--max-tokens", "30", "--quiet");
    Result chatted = lanes("chat", "--message", opening, "--temperature", "0", "--max-tokens", "30", "--quiet");
    assertThat(chatted.exitCode()).as(chatted.err()).isZero();
    assertThat(chatted.out()).isEqualTo(generated.out());
  }

  @Test
  void benchTimesItWhenNoOtherModelIsNamed() {
    Result result = lanes("bench", "model", "--prompt", "32", "--output", "8", "--rounds", "1", "--json");
    assertThat(result.exitCode()).as(result.err()).isZero();
    assertThat(result.json()).hasSize(3);
    assertThat(result.json().get(1).get("name").asText()).startsWith("tiny").contains("prefill 32");
  }

  @Test
  void itsFilesAreSmall() throws IOException {
    long bytes = 0;
    for (String name : List.of("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")) {
      bytes += Files.size(Lanes.directory(ModelOptions.BUNDLED).resolve(name));
    }
    assertThat(bytes).isLessThan(MOST_BYTES);
  }

  @Test
  void needlesAreFoundUnlessThePolicyDropsThem() {
    Result result = lanes("needle", "--out", out.toString(), "--lengths", "512,2048", "--policies", "reject", "sliding:256", "sinks:4,252",
        "truncate-oldest@1024", "--json", "--quiet");
    assertThat(result.exitCode()).as(result.err()).isZero();
    JsonNode policies = result.json().get("policies");
    assertThat(policies.get(0).get("score").asDouble()).isGreaterThanOrEqualTo(0.95);
    for (JsonNode probe : result.json().get("probes")) {
      int distance = probe.get("promptTokens").asInt() - probe.get("needleBegin").asInt();
      int visible = switch (probe.get("policy").asText()) {
        case "sliding:256", "sinks:4,252" -> 250;
        case "truncate-oldest@1024" -> 1010;
        default -> 1 << 20;
      };
      if (distance > visible + 20) {
        assertThat(probe.get("verdict").asText()).as(probe.toString()).isEqualTo("lost");
      }
    }
  }
}
