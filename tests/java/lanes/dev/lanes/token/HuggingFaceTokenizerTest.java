package dev.lanes.token;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.error.InvalidModelException;
import dev.lanes.format.SharedData;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HuggingFaceTokenizerTest {
  private static final String STORIES = "models/stories15M";
  private static final String QWEN = "tokenizers/qwen2_5";

  @TempDir Path directory;

  private static Tokenizer load(String shared) {
    return Tokenizer.load(SharedData.require(shared)).orElseThrow();
  }

  /** A byte-level vocabulary of the ASCII letters, changed by the caller. */
  private void write(String json) throws IOException {
    Files.writeString(directory.resolve("tokenizer.json"), json.replace('\'', '"'));
  }

  @Test
  void aDirectoryWithoutTokenizerHasNone() {
    assertThat(Tokenizer.load(directory)).isEmpty();
  }

  @Test
  void llamaBeginsWithBosOnlyWhenAsked() {
    try (Tokenizer tokenizer = load(STORIES)) {
      assertThat(tokenizer.encode("Hello world", true)).containsExactly(1, 15043, 3186);
      assertThat(tokenizer.encode("Hello world", false)).containsExactly(15043, 3186);
      assertThat(tokenizer.encode("", true)).containsExactly(1);
      assertThat(tokenizer.encode("", false)).isEmpty();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "LlamaTokenizer, true, false, '1 15043'",
    "LlamaTokenizerFast, false, true, '15043 2'",
    "LlamaTokenizer, true, true, '1 15043 2'",
    "LlamaTokenizer, , , '1 15043'",
    // Other classes take what tokenizer.json says.
    "PreTrainedTokenizerFast, false, true, '1 15043'",
  })
  void llamaClassesFollowTheirConfiguration(String name, Boolean bos, Boolean eos, String expected) throws IOException {
    Files.copy(SharedData.require(STORIES).resolve("tokenizer.json"), directory.resolve("tokenizer.json"));
    String flags = (bos == null ? "" : ",\"add_bos_token\":" + bos) + (eos == null ? "" : ",\"add_eos_token\":" + eos);
    Files.writeString(directory.resolve("tokenizer_config.json"), "{\"tokenizer_class\":\"" + name + "\"" + flags + "}");
    try (Tokenizer tokenizer = Tokenizer.load(directory).orElseThrow()) {
      assertThat(tokenizer.encode("Hello", true)).containsExactly(numbers(expected));
      assertThat(tokenizer.encode("Hello", false)).containsExactly(15043);
    }
  }

  private static int[] numbers(String text) {
    return java.util.Arrays.stream(text.split(" ")).mapToInt(Integer::parseInt).toArray();
  }

  @Test
  void aBosThatIsNotThereIsRefused() throws IOException {
    Files.copy(SharedData.require(STORIES).resolve("tokenizer.json"), directory.resolve("tokenizer.json"));
    Files.writeString(directory.resolve("tokenizer_config.json"), "{\"tokenizer_class\":\"LlamaTokenizer\",\"bos_token\":\"<nope>\"}");
    assertThatThrownBy(() -> Tokenizer.load(directory)).isInstanceOf(InvalidModelException.class)
        .hasMessageContainingAll("tokenizer_config.json", "bos_token", "<nope>");
  }

  @Test
  void bertIsNeitherTruncatedNorPadded() {
    try (Tokenizer tokenizer = load("models/minilm-l6-v2")) {
      assertThat(tokenizer.encode("Hello", true)).containsExactly(101, 7592, 102);
      assertThat(tokenizer.encode("hello ".repeat(5000), true)).hasSize(5002);
    }
  }

  @Test
  void specialTokensWrittenOutBecomeTheirIds() {
    try (Tokenizer tokenizer = load("models/minimind2-small")) {
      assertThat(tokenizer.encode("<|im_start|>user\n<|im_end|>", false)).startsWith(1).endsWith(2);
      assertThat(tokenizer.decode(new int[] {1, 2}, false)).isEqualTo("<|im_start|><|im_end|>");
      assertThat(tokenizer.decode(new int[] {1, 2}, true)).isEmpty();
      assertThat(tokenizer.isSpecial(1)).isTrue();
      assertThat(tokenizer.isSpecial(3)).isFalse();
      assertThat(tokenizer.isSpecial(-1)).isFalse();
    }
    try (Tokenizer tokenizer = load(STORIES)) {
      assertThat(tokenizer.encode("a</s>", false)).endsWith(2);
    }
  }

  @Test
  void theVocabularyIsVisible() {
    try (Tokenizer tokenizer = load(QWEN)) {
      assertThat(tokenizer.vocabularySize()).isEqualTo(151665);
      assertThat(tokenizer.tokenId("<|im_end|>")).hasValue(151645);
      assertThat(tokenizer.tokenId("Ġworld")).hasValue(1879);
      assertThat(tokenizer.tokenId("no such token")).isEmpty();
      assertThat(tokenizer.tokenText(151645)).contains("<|im_end|>");
      assertThat(tokenizer.tokenText(151665)).isEmpty();
      assertThat(tokenizer.tokenText(-1)).isEmpty();
    }
  }

  /** transformers adds what tokenizer_config.json lists beyond tokenizer.json, and takes its flags. */
  @Test
  void addedTokensOfTheConfigurationCount() throws IOException {
    write("""
        {'version':'1.0','added_tokens':[{'id':2,'content':'<t>','special':false,'normalized':false,'single_word':false,'lstrip':false,
         'rstrip':false}],'model':{'type':'BPE','vocab':{'a':0,'b':1},'merges':[]}}
        """);
    Files.writeString(directory.resolve("tokenizer_config.json"), """
        {"added_tokens_decoder":{"2":{"content":"<t>","special":true},"3":{"content":"<u>","special":false},
         "9":{"content":"<far>","special":true}}}
        """);
    try (Tokenizer tokenizer = Tokenizer.load(directory).orElseThrow()) {
      assertThat(tokenizer.encode("a<t>b<u>", false)).containsExactly(0, 2, 1, 3);
      assertThat(tokenizer.isSpecial(2)).isTrue();
      assertThat(tokenizer.isSpecial(3)).isFalse();
      assertThat(tokenizer.vocabularySize()).isEqualTo(4);
    }
  }

  @Test
  void aTokenWithARoleIsSpecialWhereverItStands() throws IOException {
    write("{'model':{'type':'BPE','vocab':{'a':0,'<':1,'e':2,'>':3,'<e>':4,'<e':5},'merges':['< e','<e >']}}");
    Files.writeString(directory.resolve("tokenizer_config.json"), "{\"eos_token\":\"<e>\",\"pad_token\":\"<nowhere>\"}");
    try (Tokenizer tokenizer = Tokenizer.load(directory).orElseThrow()) {
      assertThat(tokenizer.isSpecial(4)).isTrue();
      assertThat(tokenizer.decode(new int[] {0, 4}, true)).isEqualTo("a");
      assertThat(tokenizer.encode("a<e>a", false)).containsExactly(0, 4, 0);
      assertThat(tokenizer.vocabularySize()).isEqualTo(6);
    }
  }

  /** SentencePiece's normalizer, with a trie of two units that maps x to y. */
  @Test
  void precompiledNormalizersAreFollowedAndChecked() throws IOException {
    int[] units = new int[512];
    units[0] = 256 << 10;
    units[256 ^ 'x'] = (256 ^ 'x' ^ 1) << 10 | 1 << 8 | 'x';
    units[1] = 1 << 31;
    writeUnigram(units, "y\0");
    try (Tokenizer tokenizer = Tokenizer.load(directory).orElseThrow()) {
      assertThat(tokenizer.encode("xay", false)).containsExactly(2, 1, 2);
      assertThat(tokenizer.decode(new int[] {2, 1}, false)).isEqualTo("ya");
    }
    units[1] = 1 << 31 | 2;
    writeUnigram(units, "y\0");
    assertThatThrownBy(() -> Tokenizer.load(directory)).isInstanceOf(InvalidModelException.class)
        .hasMessageContainingAll("normalizer.precompiled_charsmap", "no replacement: 2");
    units[256 ^ 'x'] = 4000 << 10 | 'x';
    writeUnigram(units, "y\0");
    assertThatThrownBy(() -> Tokenizer.load(directory)).isInstanceOf(InvalidModelException.class)
        .hasMessageContainingAll("normalizer.precompiled_charsmap", "there are only 512");
  }

  private void writeUnigram(int[] units, String replacements) throws IOException {
    byte[] text = replacements.getBytes(StandardCharsets.UTF_8);
    ByteBuffer map = ByteBuffer.allocate(4 + 4 * units.length + text.length).order(ByteOrder.LITTLE_ENDIAN).putInt(4 * units.length);
    for (int unit : units) {
      map.putInt(unit);
    }
    String base64 = Base64.getEncoder().encodeToString(map.put(text).array());
    write("{'normalizer':{'type':'Precompiled','precompiled_charsmap':'" + base64 + "'},'decoder':{'type':'Fuse'},"
        + "'model':{'type':'Unigram','unk_id':0,'vocab':[['<unk>',0.0],['a',-1.0],['y',-2.0]]}}");
  }

  @Test
  void loneSurrogatesCountAsTheReplacementCharacter() {
    try (Tokenizer tokenizer = load(QWEN)) {
      int[] replaced = tokenizer.encode("a\uFFFDb 🦙 \uFFFD", false);
      assertThat(tokenizer.encode("a\uD800b 🦙 \uDC00", false)).isEqualTo(replaced);
      assertThat(tokenizer.decode(tokenizer.encode("a\0b", false), false)).isEqualTo("a\0b");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {STORIES, "models/minimind2-small", "models/minilm-l6-v2", "tokenizers/gpt2", QWEN})
  void aMebibyteOfOneCharacterIsEncoded(String model) {
    try (Tokenizer tokenizer = load(model)) {
      for (String character : List.of(" ", "a")) {
        org.assertj.core.api.Assertions.assertThatCode(() -> {
          int[] ids = tokenizer.encode(character.repeat(1 << 20), false);
          tokenizer.decode(ids, false);
        }).as("character U+%04X", (int) character.charAt(0)).doesNotThrowAnyException();
      }
    }
  }

  /** Without the guard this ends the JVM: the native regular expressions stop at ten million retries with a panic. */
  @Test
  void aRunThatThePatternCannotSplitIsRefused() {
    try (Tokenizer tokenizer = load(QWEN)) {
      String spaces = " ".repeat(HuggingFaceTokenizer.MAX_TEXT_LENGTH - 1) + "x";
      assertThatThrownBy(() -> tokenizer.encode(spaces, false)).isInstanceOf(IllegalArgumentException.class)
          .hasMessageContainingAll("pre_tokenizer.pretokenizers[0].pattern", "8000000 steps");
      assertThatThrownBy(() -> tokenizer.encode(spaces + "yz", false)).isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("expected at most " + HuggingFaceTokenizer.MAX_TEXT_LENGTH);
      assertThat(tokenizer.encode("still here", false)).isNotEmpty();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {
    "'normalizer':null,'pre_tokenizer':{'type':'Split','pattern':{'Regex':'(a+)+$'},'behavior':'Isolated','invert':false}",
    "'normalizer':{'type':'Replace','pattern':{'String':'b'},'content':'a'},"
        + "'pre_tokenizer':{'type':'Split','pattern':{'Regex':'(a+)+$'},'behavior':'Isolated','invert':false}",
    "'normalizer':{'type':'Sequence','normalizers':[{'type':'Prepend','prepend':'a'},{'type':'Lowercase'},{'type':'NFKC'},"
        + "{'type':'Replace','pattern':{'Regex':'([ab]+)+$'},'content':'a'}]}",
    "'pre_tokenizer':{'type':'Split','pattern':{'Regex':'(a|b|ab)*c'},'behavior':'Isolated','invert':false}",
  })
  void expressionsThatExplodeAreStopped(String components) throws IOException {
    write("{'version':'1.0'," + components + ",'model':{'type':'BPE','vocab':{'a':0,'b':1,'!':2},'merges':[]}}");
    try (Tokenizer tokenizer = Tokenizer.load(directory).orElseThrow()) {
      org.junit.jupiter.api.Assertions.assertTimeout(Duration.ofSeconds(5), () -> assertThatThrownBy(
          () -> tokenizer.encode("ab".repeat(20_000) + "a".repeat(20_000) + "!", false)).isInstanceOf(IllegalArgumentException.class));
      assertThat(tokenizer.encode("ab", false)).isNotEmpty();
    }
  }

  @Test
  void nullsAreRefused() {
    try (Tokenizer tokenizer = load(STORIES)) {
      assertThatThrownBy(() -> tokenizer.encode(null, true)).isInstanceOf(NullPointerException.class);
      assertThatThrownBy(() -> tokenizer.decode(null, true)).isInstanceOf(NullPointerException.class);
      assertThatThrownBy(() -> tokenizer.tokenId(null)).isInstanceOf(NullPointerException.class);
    }
    assertThatThrownBy(() -> Tokenizer.load(null)).isInstanceOf(NullPointerException.class);
  }

  @Test
  void afterCloseEverythingIsRefused() {
    Tokenizer tokenizer = load(STORIES);
    IncrementalDecoder decoder = tokenizer.incrementalDecoder(false);
    tokenizer.close();
    tokenizer.close();
    assertThatThrownBy(() -> tokenizer.encode("a", true)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> tokenizer.decode(new int[] {1}, true)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> tokenizer.incrementalDecoder(true)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(tokenizer::vocabularySize).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> tokenizer.tokenId("a")).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> tokenizer.tokenText(1)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> tokenizer.isSpecial(1)).isInstanceOf(IllegalStateException.class);
    assertThat(decoder.append(15043)).as("a decoder that is under way goes on").isEqualTo("Hello");
  }

  @Test
  void closingWhileOthersEncodeWaitsOrRefuses() throws Exception {
    SharedData.require("models/stories260K");
    ExecutorService pool = Executors.newFixedThreadPool(4);
    try {
      for (int round = 0; round < 20; round++) {
        Tokenizer tokenizer = load("models/stories260K");
        List<Future<Integer>> workers = new ArrayList<>();
        for (int worker = 0; worker < 4; worker++) {
          workers.add(pool.submit(() -> {
            for (int count = 0;; count++) {
              try {
                assertThat(tokenizer.encode("Once upon a time", true)).hasSizeGreaterThan(4);
              } catch (IllegalStateException e) {
                return count;
              }
            }
          }));
        }
        TimeUnit.MILLISECONDS.sleep(round % 5);
        tokenizer.close();
        for (Future<Integer> worker : workers) {
          assertThat(worker.get(10, TimeUnit.SECONDS)).isNotNegative();
        }
      }
    } finally {
      pool.shutdownNow();
    }
  }

  @Test
  void nothingIsPrinted() {
    PrintStream before = System.out;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
    try (Tokenizer tokenizer = load("models/minilm-l6-v2")) {
      tokenizer.decode(tokenizer.encode("hello ".repeat(1000), true), true);
    } finally {
      System.setOut(before);
    }
    assertThat(printed.toString(StandardCharsets.UTF_8)).isEmpty();
  }

  /** Damaged tokenizer files: a tokenizer that works or a typed error, never the end of the JVM. */
  @Test
  void mutatedFilesNeverFailOtherwise() throws IOException {
    Random random = SharedData.random("HuggingFaceTokenizerTest.mutated");
    String original = Files.readString(SharedData.require("models/stories260K").resolve("tokenizer.json"));
    int components = original.indexOf("\"vocab\"");
    int refused = 0;
    for (int round = 0; round < 300; round++) {
      StringBuilder text = new StringBuilder(original);
      for (int i = random.nextInt(3); i >= 0; i--) {
        int at = random.nextInt(random.nextBoolean() ? components : text.length());
        switch (random.nextInt(3)) {
          case 0 -> text.setCharAt(at, (char) (' ' + random.nextInt(95)));
          case 1 -> text.deleteCharAt(at);
          default -> text.insert(at, original, at, Math.min(at + random.nextInt(20), original.length()));
        }
      }
      Files.writeString(directory.resolve("tokenizer.json"), text);
      try (Tokenizer tokenizer = Tokenizer.load(directory).orElseThrow()) {
        tokenizer.decode(tokenizer.encode("Once upon a time, é🦙</s>", true), false);
      } catch (InvalidModelException e) {
        refused++;
      }
    }
    assertThat(refused).isGreaterThan(80);
  }
}
