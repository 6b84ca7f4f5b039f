package dev.lanes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.offset;

import dev.lanes.backend.OpTime;
import dev.lanes.context.ContextPolicy;
import dev.lanes.context.TokenRange;
import dev.lanes.engine.EngineConfig;
import dev.lanes.engine.ModelProfile;
import dev.lanes.engine.StepProfile;
import dev.lanes.error.ContextOverflowException;
import dev.lanes.error.InsufficientMemoryException;
import dev.lanes.error.InvalidModelException;
import dev.lanes.error.UnsupportedRequestException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The API on a small model of random weights. */
@Timeout(120)
class LanguageModelTest {
  private static final GenerationOptions TEN = GenerationOptions.builder().maxTokens(10).ignoreEos(true).build();

  @TempDir
  static Path directory;

  @TempDir
  static Path bare;

  private static LanguageModel model;

  @BeforeAll
  static void load() {
    System.setProperty(EngineConfig.CHECK_PROPERTY, "true");
    TinyCheckpoint.llama(directory, TestSeed.value());
    TinyCheckpoint.addByteTokenizer(directory);
    TinyCheckpoint.addChatTemplate(directory);
    TinyCheckpoint.llama(bare, TestSeed.value());
    model = Lanes.load(directory, LoadOptions.builder().threads(2).build());
  }

  @AfterAll
  static void close() {
    model.close();
    System.clearProperty(EngineConfig.CHECK_PROPERTY);
  }

  private static int[] ids(int count) {
    return TestSeed.random().ints(count, 0, 256).toArray();
  }

  @Test
  void generationTellsWhatHappened() {
    Generation generation = model.generate("Hello", TEN);
    assertThat(generation.promptIds()).containsExactly(TinyCheckpoint.BOS, 'H', 'e', 'l', 'l', 'o');
    assertThat(generation.outputIds()).hasSize(10);
    assertThat(generation.finishReason()).isEqualTo(FinishReason.LENGTH);
    assertThat(generation.stopText()).isEmpty();
    assertThat(generation.droppedTokens()).isZero();
    assertThat(generation.context().limit()).isEqualTo(TinyCheckpoint.POSITIONS);
    assertThat(generation.logProbabilities()).isEmpty();
    GenerationStats stats = generation.stats();
    assertThat(stats.promptTokens()).isEqualTo(6);
    assertThat(stats.outputTokens()).isEqualTo(10);
    assertThat(stats.prefillSeconds()).isPositive();
    assertThat(stats.decodeTokensPerSecond()).isPositive();
    assertThat(stats.prefillTokensPerSecond()).isPositive();
    assertThat(stats.peakNativeBytes()).isGreaterThanOrEqualTo(model.info().memory().weightBytes());
    assertThat(model.generate(generation.promptIds(), TEN).outputIds()).isEqualTo(generation.outputIds());
  }

  @Test
  void profilesSayWhereTheTimeOfStepsWent() {
    assertThat(model.profile()).isEmpty();
    model.resetProfile();
    int[] prompt = ids(20);
    int[] expected = model.generate(prompt, TEN).outputIds();
    try (LanguageModel profiled = Lanes.load(directory, LoadOptions.builder().threads(2).profile(true).pinnedThreads(true).ownThreads(true)
        .prefixCache(false).build())) {
      for (int round = 0; round < 2; round++) {
        assertThat(profiled.generate(prompt, TEN).outputIds()).isEqualTo(expected);
        ModelProfile profile = profiled.profile().orElseThrow();
        assertThat(profile.prefill().steps()).isEqualTo(1);
        assertThat(profile.prefill().tokens()).isEqualTo(20);
        assertThat(profile.decode().steps()).isEqualTo(9);
        assertThat(profile.decode().tokens()).isEqualTo(9);
        for (StepProfile steps : List.of(profile.prefill(), profile.decode())) {
          assertThat(steps.nanos()).isPositive();
          assertThat(steps.outsideNanos()).isPositive();
          assertThat(steps.shareBetweenKernels()).isBetween(0.0, 1.0);
          OpTime linear = steps.ops().stream().filter(op -> op.op().equals("linear")).findFirst().orElseThrow();
          assertThat(linear.calls()).isEqualTo(steps.steps() * (4 * TinyCheckpoint.LAYERS + 1));
          if (profiled.info().backend().name().equals("cpu")) {
            assertThat(linear.kernel().calls()).isEqualTo(linear.calls());
            assertThat(linear.kernel().nanos()).isPositive();
          }
          assertThat(String.join("\n", steps.table())).contains("attention", "outside of ops", "between kernels");
        }
        profiled.resetProfile();
        assertThat(profiled.profile().orElseThrow().decode().steps()).isZero();
        assertThat(profiled.profile().orElseThrow().decode().table()).containsExactly("no steps");
      }
    }
  }

  /** Models of one JVM share their threads; each gets on, and its tokens are its own. */
  @Test
  void severalModelsWorkSideBySide() {
    int[] prompt = ids(30);
    int[] expected = model.generate(prompt, TEN).outputIds();
    try (LanguageModel second = Lanes.load(directory, LoadOptions.builder().threads(2).build());
        LanguageModel third = Lanes.load(bare, LoadOptions.builder().threads(2).ownThreads(true).build())) {
      List<CompletableFuture<Generation>> running = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        for (LanguageModel each : List.of(model, second, third)) {
          running.add(each.submit(prompt, TEN));
        }
      }
      for (CompletableFuture<Generation> one : running) {
        assertThat(one.join().outputIds()).isEqualTo(expected);
      }
    }
  }

  @Test
  void streamsGiveTheSameTokensPieceByPiece() {
    Generation whole = model.generate("Hello", TEN);
    List<Piece> pieces = new ArrayList<>();
    try (GenerationStream stream = model.stream("Hello", TEN)) {
      stream.forEach(pieces::add);
      assertThat(stream.hasNext()).isFalse();
      assertThatThrownBy(stream::next).isInstanceOf(NoSuchElementException.class);
      assertThat(stream.result().outputIds()).isEqualTo(whole.outputIds());
    }
    assertThat(pieces.stream().mapToInt(Piece::tokenId).toArray()).isEqualTo(whole.outputIds());
    assertThat(String.join("", pieces.stream().map(Piece::text).toList())).isEqualTo(whole.text());
    List<Piece> heard = new ArrayList<>();
    assertThat(model.generate("Hello", TEN, heard::add).text()).isEqualTo(whole.text());
    assertThat(heard).isEqualTo(pieces);
  }

  /** Random bytes: the text is what decoding all of them at once gives, and no piece ends inside a character. */
  @Test
  void streamedTextIsWholeCharacters() {
    for (int seed = 0; seed < 20; seed++) {
      GenerationOptions options = GenerationOptions.builder().maxTokens(60).temperature(1.5).seed(seed).ignoreEos(true).build();
      List<String> pieces = new ArrayList<>();
      Generation generation = model.generate("Hi", options, piece -> pieces.add(piece.text()));
      int[] all = Arrays.copyOf(generation.promptIds(), generation.promptIds().length + 60);
      System.arraycopy(generation.outputIds(), 0, all, all.length - 60, 60);
      assertThat("Hi" + generation.text()).isEqualTo(model.tokenizer().orElseThrow().decode(all, true));
      assertThat(String.join("", pieces)).isEqualTo(generation.text());
      for (String piece : pieces) {
        assertThat(piece.isEmpty() || !Character.isHighSurrogate(piece.charAt(piece.length() - 1))).isTrue();
      }
    }
  }

  @Test
  void stopStringsEndTheTextBeforeThem() {
    Generation free = model.generate("Hello", GenerationOptions.builder().maxTokens(40).ignoreEos(true).build());
    String text = free.text();
    String stop = text.substring(text.length() / 2, text.length() / 2 + 2);
    GenerationOptions options = GenerationOptions.builder().maxTokens(40).ignoreEos(true).stop("never this", stop).build();
    Generation stopped = model.generate("Hello", options);
    assertThat(stopped.finishReason()).isEqualTo(FinishReason.STOP_TEXT);
    assertThat(stopped.stopText()).contains(stop);
    assertThat(stopped.text()).isEqualTo(text.substring(0, text.indexOf(stop)));
    assertThat(stopped.outputIds()).isEqualTo(Arrays.copyOf(free.outputIds(), stopped.outputIds().length));
  }

  @Test
  void stopTokensEndTheOutput() {
    int[] free = model.generate("Hello", TEN).outputIds();
    Generation stopped = model.generate("Hello", TEN.toBuilder().stopTokenIds(free[3]).build());
    assertThat(stopped.finishReason()).isEqualTo(FinishReason.END_TOKEN);
    assertThat(stopped.outputIds()[stopped.outputIds().length - 1]).isEqualTo(free[3]);
  }

  @Test
  void logProbabilitiesAreThoseOfTheLogits() {
    Generation generation = model.generate("Hello", TEN.toBuilder().logProbabilities(3).build());
    int[] all = Arrays.copyOf(generation.promptIds(), 16);
    System.arraycopy(generation.outputIds(), 0, all, 6, 10);
    float[][] logits = model.logits(all);
    assertThat(generation.logProbabilities()).hasSize(10);
    for (int i = 0; i < 10; i++) {
      TokenLogProbability got = generation.logProbabilities().get(i);
      double sum = 0;
      for (float logit : logits[5 + i]) {
        sum += Math.exp(logit);
      }
      assertThat(got.tokenId()).isEqualTo(generation.outputIds()[i]);
      assertThat(got.logProbability()).isCloseTo((float) (logits[5 + i][got.tokenId()] - Math.log(sum)),
          offset(1e-4f));
      assertThat(got.top()).hasSize(3);
      assertThat(got.top().get(0).tokenId()).as("greedy takes the likeliest").isEqualTo(got.tokenId());
      assertThat(got.top().get(0).logProbability()).isEqualTo(got.logProbability());
      assertThat(got.top().get(1).logProbability()).isLessThanOrEqualTo(got.logProbability());
    }
    assertThat(model.generate("Hello", TEN.toBuilder().logProbabilities(0).build()).logProbabilities())
        .allSatisfy(one -> assertThat(one.top()).isEmpty());
  }

  @Test
  void throwingConsumerCancelsAndIsHeard() {
    RuntimeException planted = new RuntimeException("planted");
    assertThatThrownBy(() -> model.generate("Hello", GenerationOptions.builder().maxTokens(400).ignoreEos(true).build(), piece -> {
      throw planted;
    })).isSameAs(planted);
    assertThat(model.generate("Hello", TEN).outputIds()).hasSize(10);
  }

  @Test
  void cancelledStreamsEndSoon() {
    try (GenerationStream stream = model.stream("Hello", GenerationOptions.builder().maxTokens(500).ignoreEos(true).build())) {
      stream.next();
      stream.cancel();
      Generation generation = stream.result();
      assertThat(generation.finishReason()).isEqualTo(FinishReason.CANCELLED);
      assertThat(generation.outputIds().length).isBetween(1, 499);
      StringBuilder rest = new StringBuilder();
      stream.forEach(piece -> rest.append(piece.text()));
      assertThat(generation.text()).endsWith(rest.toString());
    }
  }

  @Test
  void interruptCancels() throws Exception {
    CompletableFuture<Boolean> interrupted = new CompletableFuture<>();
    CompletableFuture<Generation> result = new CompletableFuture<>();
    Thread thread = new Thread(() -> {
      result.complete(model.generate(new int[] {1}, GenerationOptions.builder().maxTokens(1 << 30).ignoreEos(true)
          .contextPolicy(ContextPolicy.slidingWindow(64)).build()));
      interrupted.complete(Thread.currentThread().isInterrupted());
    });
    thread.start();
    Thread.sleep(50);
    thread.interrupt();
    assertThat(result.get(30, TimeUnit.SECONDS).finishReason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(interrupted.get(30, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void futuresCompleteAndCancel() throws Exception {
    assertThat(model.submit("Hello", TEN).get(30, TimeUnit.SECONDS).outputIds()).isEqualTo(model.generate("Hello", TEN).outputIds());
    CompletableFuture<Generation> endless = model.submit(new int[] {1}, GenerationOptions.builder().maxTokens(1 << 30).ignoreEos(true)
        .contextPolicy(ContextPolicy.slidingWindow(64)).build());
    assertThat(endless.cancel(true)).isTrue();
    assertThat(model.generate("Hello", TEN).outputIds()).hasSize(10);
  }

  @Test
  void contextPoliciesAtTheEdges() {
    int limit = TinyCheckpoint.POSITIONS;
    GenerationOptions options = GenerationOptions.builder().maxTokens(100).ignoreEos(true).build();
    assertThat(model.generate(ids(limit - 1), options).outputIds()).hasSize(1);
    assertThat(model.generate(ids(limit - 1), options).finishReason()).isEqualTo(FinishReason.CONTEXT_FULL);
    Generation full = model.generate(ids(limit), options);
    assertThat(full.outputIds()).isEmpty();
    assertThat(full.finishReason()).isEqualTo(FinishReason.CONTEXT_FULL);
    assertThatThrownBy(() -> model.generate(ids(limit + 1), options)).isInstanceOfSatisfying(ContextOverflowException.class, e -> {
      assertThat(e.promptTokens()).isEqualTo(limit + 1);
      assertThat(e.excess()).isEqualTo(1);
    });
    for (int length : new int[] {limit - 1, limit, limit + 1}) {
      for (ContextPolicy policy
          : List.of(ContextPolicy.truncateOldest(4), ContextPolicy.truncateNewest(), ContextPolicy.truncateMiddle())) {
        Generation cut = model.generate(ids(length), options.toBuilder().contextPolicy(policy).build());
        assertThat(cut.droppedTokens()).as("%s of %d", policy.text(), length).isEqualTo(length - (limit - 100));
        assertThat(cut.outputIds()).hasSize(100);
        assertThat(cut.finishReason()).isEqualTo(FinishReason.LENGTH);
        assertThat(cut.promptIds()).hasSize(length);
        assertThat(cut.stats().promptTokens()).isEqualTo(limit - 100);
      }
      Generation sliding = model.generate(ids(length), options.toBuilder().contextPolicy(ContextPolicy.slidingWindow(limit)).build());
      assertThat(sliding.outputIds()).hasSize(100);
      assertThat(sliding.context().dropped()).containsExactly(new TokenRange(0, length + 99 - limit));
      Generation sinks = model.generate(ids(length), options.toBuilder().contextPolicy(ContextPolicy.attentionSinks(4, limit - 4)).build());
      assertThat(sinks.outputIds()).hasSize(100);
      assertThat(sinks.context().dropped()).containsExactly(new TokenRange(4, length + 99 - limit + 4));
    }
  }

  @Test
  void truncatedPromptIsThePromptThatIsLeft() {
    int[] prompt = ids(80);
    GenerationOptions options = TEN.toBuilder().contextLength(64).contextPolicy(ContextPolicy.truncateOldest(2)).build();
    int[] left = new int[54];
    System.arraycopy(prompt, 0, left, 0, 2);
    System.arraycopy(prompt, 28, left, 2, 52);
    Generation cut = model.generate(prompt, options);
    assertThat(cut.context().dropped()).containsExactly(new TokenRange(2, 28));
    assertThat(cut.outputIds()).isEqualTo(model.generate(left, TEN).outputIds());
  }

  @Test
  void contextLengthIsAtMostTheModels() {
    assertThatIllegalArgumentException().isThrownBy(() -> model.generate("x", TEN.toBuilder().contextLength(513).build()))
        .withMessageContaining("513").withMessageContaining("512");
    assertThatIllegalArgumentException().isThrownBy(() -> Lanes.load(directory, LoadOptions.builder().contextLength(513).build()))
        .withMessageContaining("513").withMessageContaining("512");
    try (LanguageModel shorter = Lanes.load(directory, LoadOptions.builder().contextLength(20).build())) {
      assertThat(shorter.info().contextLength()).isEqualTo(20);
      assertThat(shorter.generate(ids(15), TEN).outputIds()).hasSize(5);
    }
  }

  @Test
  void badPromptsAreRefused() {
    assertThatThrownBy(() -> model.generate((String) null, TEN)).isInstanceOf(NullPointerException.class).hasMessageContaining("prompt");
    assertThatThrownBy(() -> model.generate((int[]) null, TEN)).isInstanceOf(NullPointerException.class).hasMessageContaining("promptIds");
    assertThatThrownBy(() -> model.generate("x", null)).isInstanceOf(NullPointerException.class).hasMessageContaining("options");
    assertThatThrownBy(() -> model.generate("x", TEN, null)).isInstanceOf(NullPointerException.class).hasMessageContaining("consumer");
    assertThatThrownBy(() -> model.generateAll(Arrays.asList("x", null), TEN)).isInstanceOf(NullPointerException.class)
        .hasMessageContaining("prompts[1]");
    assertThatIllegalArgumentException().isThrownBy(() -> model.generate(new int[0], TEN)).withMessageContaining("no tokens");
    assertThatIllegalArgumentException().isThrownBy(() -> model.generate(new int[] {1, -2}, TEN))
        .withMessageContaining("promptIds[1] is -2");
    assertThatIllegalArgumentException().isThrownBy(() -> model.generate(new int[] {1, 300}, TEN))
        .withMessageContaining("300").withMessageContaining("vocabulary");
    for (int[] bad : new int[][] {{}, {-1}, {300}, {Integer.MAX_VALUE}}) {
      assertThatIllegalArgumentException().isThrownBy(() -> model.logits(bad));
      assertThatIllegalArgumentException().isThrownBy(() -> model.hiddenStates(bad));
      assertThatIllegalArgumentException().isThrownBy(() -> model.layerStates(bad));
      assertThatIllegalArgumentException().isThrownBy(() -> model.embed(bad, EmbeddingOptions.defaults()));
    }
    assertThatThrownBy(() -> model.logits(ids(513))).isInstanceOf(ContextOverflowException.class);
    assertThatThrownBy(() -> model.embed((String) null)).isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> model.chat(null, TEN)).isInstanceOf(NullPointerException.class).hasMessageContaining("messages");
    assertThatThrownBy(() -> model.chat(Arrays.asList((ChatMessage) null), TEN)).isInstanceOf(NullPointerException.class)
        .hasMessageContaining("messages[0]");
  }

  @Test
  void chatsAreRenderedWithTheTemplate() {
    List<ChatMessage> messages = List.of(ChatMessage.system("Be kind."), ChatMessage.user("Hi"));
    assertThat(model.renderChat(messages, ChatOptions.defaults())).isEqualTo("<system>Be kind.</s><user>Hi</s><assistant>");
    assertThat(model.renderChat(messages, ChatOptions.defaults().withAddGenerationPrompt(false)))
        .isEqualTo("<system>Be kind.</s><user>Hi</s>");
    int[] ids = model.chatIds(messages, ChatOptions.defaults());
    assertThat(ids[0]).as("nothing is put before a rendered chat").isEqualTo('<');
    assertThat(ids).contains(TinyCheckpoint.EOS);
    assertThat(model.chat(messages, TEN).outputIds()).isEqualTo(model.generate(ids, TEN).outputIds());
    assertThatThrownBy(() -> model.renderChat(messages, ChatOptions.defaults().withTemplate("tool_use")))
        .isInstanceOf(UnsupportedRequestException.class).hasMessageContaining("tool_use").hasMessageContaining("default");
  }

  @Test
  void withoutTokenizerOnlyIdsWork() {
    try (LanguageModel ids = Lanes.load(bare)) {
      assertThat(ids.tokenizer()).isEmpty();
      assertThat(ids.info().hasTokenizer()).isFalse();
      Generation generation = ids.generate(new int[] {1, 2, 3}, TEN);
      assertThat(generation.outputIds()).hasSize(10);
      assertThat(generation.text()).isEmpty();
      assertThatThrownBy(() -> ids.generate("x", TEN)).isInstanceOf(UnsupportedRequestException.class)
          .hasMessageContaining("tokenizer.json");
      assertThatThrownBy(() -> ids.embed("x")).isInstanceOf(UnsupportedRequestException.class);
      assertThatThrownBy(() -> ids.chat(List.of(ChatMessage.user("x")), TEN)).isInstanceOf(UnsupportedRequestException.class)
          .hasMessageContaining("chat template");
      assertThatThrownBy(() -> ids.generate(new int[] {1}, TEN.toBuilder().stop("x").build()))
          .isInstanceOf(UnsupportedRequestException.class).hasMessageContaining("stop strings");
    }
  }

  @Test
  void encodersEmbedAndDoNotGenerate(@TempDir Path bert) {
    TinyCheckpoint.bert(bert, TestSeed.value());
    try (LanguageModel encoder = Lanes.load(bert, LoadOptions.builder().stepTokens(8).build())) {
      assertThat(encoder.info().encoder()).isTrue();
      assertThatThrownBy(() -> encoder.generate(new int[] {1}, TEN)).isInstanceOf(UnsupportedRequestException.class)
          .hasMessageContaining("BertModel");
      assertThatThrownBy(() -> encoder.logits(new int[] {1})).isInstanceOf(UnsupportedRequestException.class);
      // Longer than a step, and as long as can be: an encoder's sequences are never cut.
      for (int length : new int[] {1, 8, 9, 512}) {
        int[] ids = ids(length);
        float[][] hidden = encoder.hiddenStates(ids);
        double mean = 0;
        for (float[] token : hidden) {
          mean += token[3];
        }
        assertThat((double) encoder.embed(ids, new EmbeddingOptions(EmbeddingOptions.Pooling.MEAN, false))[3])
            .isCloseTo(mean / length, offset(1e-6));
      }
      assertThatThrownBy(() -> encoder.hiddenStates(ids(513))).isInstanceOf(ContextOverflowException.class);
    }
  }

  @Test
  void learnedPositionsCannotSlidePastTheirEnd(@TempDir Path gpt2) {
    TinyCheckpoint.gpt2(gpt2, TestSeed.value(), 96);
    try (LanguageModel learned = Lanes.load(gpt2)) {
      GenerationOptions options = GenerationOptions.builder().maxTokens(100).ignoreEos(true).build();
      Generation sliding = learned.generate(ids(90), options.toBuilder().contextPolicy(ContextPolicy.slidingWindow(30)).build());
      assertThat(sliding.finishReason()).isEqualTo(FinishReason.CONTEXT_FULL);
      assertThat(sliding.outputIds()).hasSize(6);
      assertThatThrownBy(() -> learned.generate(ids(5), options.toBuilder().contextPolicy(ContextPolicy.attentionSinks(4, 20)).build()))
          .isInstanceOf(UnsupportedRequestException.class).hasMessageContaining("sinks:4,20");
    }
  }

  @Test
  void memoryIsStatedAndBounded() {
    MemoryFootprint stated = Lanes.footprint(directory, LoadOptions.builder().cacheTokens(130).build());
    assertThat(stated.cacheTokens()).isEqualTo(192);
    assertThat(stated.cacheBytesPerToken()).isGreaterThanOrEqualTo(2L * 2 * 2 * 8 * 4);
    assertThat(stated.totalBytes()).isEqualTo(stated.weightBytes() + stated.cacheBytes() + stated.scratchBytes());
    MemoryFootprint byBytes = Lanes.footprint(directory, LoadOptions.builder().cacheBytes(stated.cacheBytes()).build());
    assertThat(byBytes.cacheBytes()).isLessThanOrEqualTo(stated.cacheBytes());
    assertThat(byBytes.cacheTokens()).isPositive();
    assertThatThrownBy(() -> Lanes.footprint(directory, LoadOptions.builder().cacheBytes(100).build()))
        .isInstanceOf(InsufficientMemoryException.class).hasMessageContaining("cacheBytes is 100");
    assertThatThrownBy(() -> Lanes.load(directory, LoadOptions.builder().cacheTokens(Integer.MAX_VALUE).build()))
        .isInstanceOf(InsufficientMemoryException.class).hasMessageContaining("KV cache").hasMessageContaining("available");
    try (LanguageModel small = Lanes.load(directory, LoadOptions.builder().cacheTokens(64).build())) {
      assertThatThrownBy(() -> small.generate(ids(60), TEN)).isInstanceOf(InsufficientMemoryException.class)
          .hasMessageContaining("69 tokens needs 2 pages");
      assertThat(small.generate(ids(54), TEN).outputIds()).hasSize(10);
      assertThatThrownBy(() -> small.logits(ids(65))).isInstanceOf(InsufficientMemoryException.class);
    }
  }

  @Test
  void loadingTellsItsProgressAndMayBeEnded() {
    List<Long> done = new ArrayList<>();
    try (LanguageModel loaded = Lanes.load(directory, LoadOptions.builder().progress((bytes, total) -> {
      assertThat(bytes).isLessThanOrEqualTo(total);
      done.add(bytes);
    }).build())) {
      assertThat(done).isNotEmpty().isSorted();
      assertThat(loaded.info().memory().weightBytes()).isPositive();
    }
    IllegalStateException planted = new IllegalStateException("planted");
    assertThatThrownBy(() -> Lanes.load(directory, LoadOptions.builder().progress((bytes, total) -> {
      throw planted;
    }).build())).isSameAs(planted);
  }

  @Test
  void missingDirectoryIsNamed() {
    assertThatThrownBy(() -> Lanes.load(directory.resolve("nowhere"))).isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("nowhere");
    assertThatThrownBy(() -> Lanes.load((Path) null)).isInstanceOf(NullPointerException.class).hasMessageContaining("directory");
    assertThatThrownBy(() -> Lanes.load(directory, null)).isInstanceOf(NullPointerException.class).hasMessageContaining("options");
  }

  @Test
  void layerStatesEndWithTheHiddenStates() {
    int[] ids = ids(20);
    float[][][] layers = model.layerStates(ids);
    assertThat(layers).hasNumberOfRows(TinyCheckpoint.LAYERS + 1);
    assertThat(Arrays.deepEquals(layers[TinyCheckpoint.LAYERS], model.hiddenStates(ids))).isTrue();
  }
}
