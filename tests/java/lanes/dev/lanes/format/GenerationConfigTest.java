package dev.lanes.format;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GenerationConfigTest {
  @TempDir Path directory;

  @Test
  void thereNeedNotBeOne() {
    assertThat(GenerationConfig.load(directory)).isEmpty();
  }

  @Test
  void everyFieldIsRead() throws IOException {
    Files.writeString(directory.resolve("generation_config.json"), """
        {"bos_token_id": 1, "eos_token_id": [2, 7], "pad_token_id": 0, "do_sample": true, "temperature": 0.7, "top_k": 20, "top_p": 0.8,
         "min_p": 0.0, "repetition_penalty": 1.05, "max_length": 4096, "max_new_tokens": 100, "transformers_version": "4.57.1"}
        """);
    GenerationConfig config = GenerationConfig.load(directory).orElseThrow();
    assertThat(config.bosTokenId()).hasValue(1);
    assertThat(config.eosTokenIds()).containsExactly(2, 7);
    assertThat(config.padTokenId()).hasValue(0);
    assertThat(config.doSample()).contains(true);
    assertThat(config.temperature()).hasValue(0.7);
    assertThat(config.topK()).hasValue(20);
    assertThat(config.topP()).hasValue(0.8);
    assertThat(config.minP()).hasValue(0);
    assertThat(config.repetitionPenalty()).hasValue(1.05);
    assertThat(config.maxLength()).hasValue(4096);
    assertThat(config.maxNewTokens()).hasValue(100);
  }

  @Test
  void whatIsAbsentOrNullIsEmpty() throws IOException {
    Files.writeString(directory.resolve("generation_config.json"), "{\"eos_token_id\":null,\"pad_token_id\":-1,\"temperature\":null}");
    GenerationConfig config = GenerationConfig.load(directory).orElseThrow();
    assertThat(config.eosTokenIds()).isEmpty();
    assertThat(config.padTokenId()).isEmpty();
    assertThat(config.temperature()).isEmpty();
    assertThat(config.doSample()).isEmpty();
  }

  @Test
  void sharedFilesAreRead() {
    assertThat(GenerationConfig.load(SharedData.require("models/minimind2-small")).orElseThrow().eosTokenIds()).containsExactly(2);
    assertThat(GenerationConfig.load(SharedData.require("models/random/qwen2")).orElseThrow().eosTokenIds()).isEmpty();
    assertThat(GenerationConfig.load(SharedData.require("models/stories15M"))).isEmpty();
  }
}
