package dev.lanes.token;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.format.SharedData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Decoding is ours: it must give what the reference gives, at once and piece by piece. */
class DecodingTest {
  private static final String STORIES = "models/stories15M";

  @TempDir Path directory;

  @ParameterizedTest
  @ValueSource(strings = {STORIES, "models/stories260K", "models/minimind2-small", "models/minilm-l6-v2", "tokenizers/gpt2",
      "tokenizers/qwen2_5"})
  void randomIdsDecodeAsInTheReference(String model) {
    checkRandomIds(SharedData.require(model), 300);
  }

  /** Every decoder of the library, with texts that try its rules. */
  @ParameterizedTest
  @ValueSource(strings = {
      "null",
      "{'type':'ByteLevel',BYTES}",
      "{'type':'ByteFallback'}",
      "{'type':'Fuse'}",
      "{'type':'WordPiece','prefix':'##','cleanup':true}",
      "{'type':'WordPiece','prefix':'##','cleanup':false}",
      "{'type':'BPEDecoder','suffix':'</w>'}",
      "{'type':'Metaspace','replacement':'▁','prepend_scheme':'always','split':true}",
      "{'type':'Metaspace','replacement':'▁','prepend_scheme':'first','split':true}",
      "{'type':'Metaspace','replacement':'▁','prepend_scheme':'never','split':true}",
      "{'type':'Strip','content':'▁','start':2,'stop':0}",
      "{'type':'Replace','pattern':{'String':'▁'},'content':' '}",
      "{SEQUENCE:[{'type':'Replace','pattern':{'String':'▁'},'content':' '},{'type':'ByteFallback'},{'type':'Fuse'}]}",
      "{SEQUENCE:[{'type':'ByteFallback'},{'type':'Fuse'},{'type':'Strip','content':'a','start':3,'stop':0}]}",
      "{SEQUENCE:[{'type':'Fuse'},{'type':'Replace','pattern':{'String':'ab'},'content':'X'}]}",
      "{SEQUENCE:[{'type':'Fuse'},{'type':'Metaspace','replacement':'▁','prepend_scheme':'first','split':true}]}",
      "{SEQUENCE:[{'type':'Fuse'},{'type':'BPEDecoder','suffix':'</w>'}]}",
      "{SEQUENCE:[{'type':'Fuse'},{'type':'ByteFallback'},{'type':'ByteLevel',BYTES}]}",
      "{SEQUENCE:[{'type':'ByteLevel',BYTES},{'type':'WordPiece','prefix':'a','cleanup':true}]}"})
  void everyDecoderDecodesAsInTheReference(String decoder) throws IOException {
    List<String> tokens = List.of(
        "a", "b", "ab", "▁", "▁a", "▁▁b", "##a", "a##", "b</w>", "</w>", "<0x41>", "<0xC3>", "<0xA9>", "<0xE4>", "<0xB8>", "<0xAD>",
        "<0xff>", "<s>", "Ġ", "Ã", "©", "ð", "Ł", "¦", "Ļ", "é", "🦙", "'", "s", "n't", ".", ",", " ' ", "do not", "'re", "!", "?");
    StringBuilder vocabulary = new StringBuilder();
    for (String token : tokens) {
      vocabulary.append(vocabulary.isEmpty() ? "" : ",").append('"').append(token).append("\":").append(tokens.indexOf(token));
    }
    String json = decoder.replace("BYTES", "'add_prefix_space':true,'trim_offsets':true")
        .replace("SEQUENCE", "'type':'Sequence','decoders'").replace('\'', '"');
    Files.writeString(directory.resolve("tokenizer.json"), """
        {"version":"1.0","truncation":null,"padding":null,"normalizer":null,"pre_tokenizer":null,"post_processor":null,"decoder":%s,
         "added_tokens":[{"id":17,"content":"<s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
         "model":{"type":"BPE","vocab":{%s},"merges":[]}}
        """.formatted(json, vocabulary));
    checkRandomIds(directory, 3000);
  }

  private static void checkRandomIds(Path model, int rounds) {
    Random random = SharedData.random("DecodingTest");
    try (Tokenizer tokenizer = Tokenizer.load(model).orElseThrow(); NativeDecoding reference = new NativeDecoding(model)) {
      for (int round = 0; round < rounds; round++) {
        int[] ids = random.ints(random.nextInt(12), 0, tokenizer.vocabularySize() + 1).toArray();
        // Low ids are the bytes and special tokens of most vocabularies: runs of them are the hard part.
        for (int i = 0; round % 2 == 0 && i < ids.length; i++) {
          ids[i] = random.nextInt(Math.min(260, tokenizer.vocabularySize()));
        }
        for (boolean skip : new boolean[] {false, true}) {
          String expected = reference.decode(ids, skip);
          assertThat(tokenizer.decode(ids, skip)).as("ids %s", ids).isEqualTo(expected);
          IncrementalDecoder decoder = tokenizer.incrementalDecoder(skip);
          StringBuilder pieces = new StringBuilder();
          for (int id : ids) {
            pieces.append(decoder.append(id));
          }
          assertThat(pieces.append(decoder.flush()).toString()).as("pieces of %s", ids).isEqualTo(expected);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {STORIES, "models/minimind2-small", "tokenizers/gpt2", "tokenizers/qwen2_5"})
  void textComesBackInWholeCharacters(String model) {
    String text = "Hello  world\n\n 中国的首都 é 🦙👩‍🚀 end.";
    try (Tokenizer tokenizer = Tokenizer.load(SharedData.require(model)).orElseThrow()) {
      int[] ids = tokenizer.encode(text, false);
      assertThat(tokenizer.decode(ids, false)).isEqualTo(text);
      IncrementalDecoder decoder = tokenizer.incrementalDecoder(false);
      List<String> pieces = new ArrayList<>();
      for (int id : ids) {
        pieces.add(decoder.append(id));
      }
      pieces.add(decoder.flush());
      assertThat(String.join("", pieces)).isEqualTo(text);
      assertThat(pieces).allSatisfy(piece -> {
        assertThat(piece).doesNotContain("\uFFFD");
        assertThat(piece.isEmpty() || !Character.isLowSurrogate(piece.charAt(0))).isTrue();
      });
      assertThat(pieces.get(0)).as("text is streamed, not kept to the end").isNotEmpty();
    }
  }

  @Test
  void aBrokenCharacterIsHeldBackAndThenReplaced() {
    try (Tokenizer tokenizer = Tokenizer.load(SharedData.require("tokenizers/gpt2")).orElseThrow()) {
      int[] ids = tokenizer.encode("🦙", false);
      assertThat(ids).hasSizeGreaterThan(1);
      IncrementalDecoder decoder = tokenizer.incrementalDecoder(false);
      assertThat(decoder.append(ids[0])).isEmpty();
      assertThat(decoder.append(tokenizer.encode("a", false)[0])).isEqualTo("\uFFFDa");
      assertThat(decoder.append(ids[0])).isEmpty();
      assertThat(decoder.flush()).isEqualTo("\uFFFD");
      assertThatThrownBy(() -> decoder.append(1)).isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(decoder::flush).isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void theLeadingSpaceOfLlamaIsDroppedOnceAndKeptInside() {
    try (Tokenizer tokenizer = Tokenizer.load(SharedData.require(STORIES)).orElseThrow()) {
      int[] ids = tokenizer.encode("Once upon", false);
      assertThat(tokenizer.tokenText(ids[0])).contains("▁Once");
      IncrementalDecoder decoder = tokenizer.incrementalDecoder(false);
      assertThat(decoder.append(ids[0])).isEqualTo("Once");
      assertThat(decoder.append(ids[1])).isEqualTo(" upon");
    }
  }

  @Test
  void idsOutsideOfTheVocabularyGiveNoTextAndNegativeOnesAreRefused() {
    try (Tokenizer tokenizer = Tokenizer.load(SharedData.require(STORIES)).orElseThrow()) {
      assertThat(tokenizer.decode(new int[] {32_000, Integer.MAX_VALUE}, false)).isEmpty();
      assertThatThrownBy(() -> tokenizer.decode(new int[] {-1}, false))
          .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("-1");
    }
  }
}
