package dev.lanes.token;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.format.SharedData;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The 47 test strings of llama.cpp's vocabularies (the last one is empty), with the ids that its tests expect: without special tokens. The
 * BERT vocabulary of bge is that of MiniLM. No string is left out.
 */
class TokenizerVectorsTest {
  private static final String SEPARATOR = "\n__ggml_vocab_test__\n";

  @ParameterizedTest
  @CsvSource({
    "tokenizers/gpt2, ggml-vocab-gpt-2.gguf",
    "models/stories15M, ggml-vocab-llama-spm.gguf",
    "models/minilm-l6-v2, ggml-vocab-bert-bge.gguf",
  })
  void encodesEveryString(String directory, String vectors) throws IOException {
    List<String> texts = read(vectors + ".inp", SEPARATOR);
    List<String> expected = read(vectors + ".out", "\n");
    assertThat(texts).hasSize(47).hasSameSizeAs(expected);
    try (Tokenizer tokenizer = Tokenizer.load(SharedData.require(directory)).orElseThrow()) {
      for (int i = 0; i < texts.size(); i++) {
        int[] ids = Arrays.stream(expected.get(i).split(" ")).filter(id -> !id.isEmpty()).mapToInt(Integer::parseInt).toArray();
        assertThat(tokenizer.encode(texts.get(i), false)).as("string %d: [%s]", i, texts.get(i)).isEqualTo(ids);
      }
    }
  }

  private static List<String> read(String file, String separator) throws IOException {
    return Arrays.asList(Files.readString(SharedData.require("tokenizers/" + file)).split(separator, -1));
  }
}
