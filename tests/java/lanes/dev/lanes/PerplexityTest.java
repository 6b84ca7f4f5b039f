package dev.lanes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.offset;

import dev.lanes.backend.Compute;
import dev.lanes.error.UnsupportedRequestException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Perplexity against what the logits of each window say, and against the recorded logits of other implementations. */
class PerplexityTest {
  @TempDir
  private Path folder;

  private LanguageModel tiny(LoadOptions.Builder options) {
    Path directory = folder.resolve("tiny");
    TinyCheckpoint.llama(directory, 11);
    TinyCheckpoint.addByteTokenizer(directory);
    return Lanes.load(directory, options.device(TestDevices.best()).build());
  }

  private static double negativeLogLikelihood(float[] logits, int token) {
    double largest = Double.NEGATIVE_INFINITY;
    for (float logit : logits) {
      largest = Math.max(largest, logit);
    }
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit - largest);
    }
    return largest + Math.log(sum) - logits[token];
  }

  /** The protocol once more, token by token: which window scores it, and what that window's logits say. */
  private static List<Double> naive(LanguageModel model, int[] ids, int window, int stride, boolean bos) {
    int start = bos ? 1 : 0;
    int width = window - start;
    List<Double> all = new ArrayList<>();
    for (int token = 0; token < ids.length; token++) {
      int begin = 0;
      while (token >= begin + width) {
        begin += stride;
      }
      int context = token - begin + start;
      if (context > 0) {
        int[] before = new int[context];
        before[0] = TinyCheckpoint.BOS;
        System.arraycopy(ids, begin, before, start, token - begin);
        all.add(negativeLogLikelihood(model.logits(before)[context - 1], ids[token]));
      }
    }
    return all;
  }

  @ParameterizedTest
  @CsvSource({"40, 40, false", "40, 40, true", "16, 16, false", "16, 8, false", "16, 1, false", "16, 15, true", "16, 5, true", "2, 1, false",
      "2, 1, true", "200, 100, false"})
  void eachTokenIsScoredOnceInTheFirstWindowThatHoldsIt(int window, int stride, boolean bos) {
    Random random = TestSeed.random();
    int[] ids = random.ints(41, 0, 256).toArray();
    try (LanguageModel model = tiny(LoadOptions.builder())) {
      PerplexityOptions options = PerplexityOptions.defaults().withWindow(window).withStride(Math.min(stride, window - (bos ? 1 : 0)))
          .withBos(bos);
      List<Double> expected = naive(model, ids, window, options.stride().getAsInt(), bos);
      Perplexity result = model.perplexity(ids, options);
      assertThat(result.tokens()).isEqualTo(expected.size());
      double sum = expected.stream().mapToDouble(v -> v).sum();
      assertThat(result.sum()).isCloseTo(sum, offset(1e-4 * sum));
      double mean = sum / expected.size();
      double variance = expected.stream().mapToDouble(v -> (v - mean) * (v - mean)).sum() / expected.size() / (expected.size() - 1);
      assertThat(result.perplexity()).isCloseTo(Math.exp(mean), offset(1e-3 * Math.exp(mean)));
      assertThat(result.standardError()).isCloseTo(Math.sqrt(variance) * Math.exp(mean), offset(1e-3 * Math.exp(mean)));
    }
  }

  @Test
  void chunksThreadsAndNeighboursDoNotChangeABit() {
    int[] ids = TestSeed.random().ints(300, 0, 256).toArray();
    PerplexityOptions options = PerplexityOptions.defaults().withWindow(200).withStride(150);
    double first;
    try (LanguageModel model = tiny(LoadOptions.builder().threads(1))) {
      first = model.perplexity(ids, options).sum();
    }
    try (LanguageModel model = tiny(LoadOptions.builder().threads(2).stepTokens(7))) {
      var beside = model.submit(new int[] {1, 2, 3}, GenerationOptions.builder().maxTokens(100).ignoreEos(true).build());
      assertThat(model.perplexity(ids, options).sum()).isEqualTo(first);
      assertThat(beside.join().outputIds()).hasSize(100);
    }
  }

  @Test
  void textsAddUpAndProgressTellsOfAllOfThem() {
    List<String> texts = List.of("Call me Ishmael.", "", "Some years ago - never mind how long precisely.");
    List<Long> heard = new ArrayList<>();
    PerplexityOptions options = PerplexityOptions.defaults().withWindow(20).withStride(10).withProgress((soFar, total) -> {
      heard.add(soFar.tokens());
      assertThat(total).isEqualTo(16 + 47);
    });
    try (LanguageModel model = tiny(LoadOptions.builder())) {
      Perplexity all = model.perplexity(texts, options);
      // With the BOS that the tokenizer adds, every character is predicted.
      assertThat(all.tokens()).isEqualTo(16 + 47);
      assertThat(all.tokensPerSecond()).isPositive();
      assertThat(heard).hasSize((int) all.windows()).isSorted().endsWith(all.tokens());
      PerplexityOptions silent = options.withProgress((soFar, total) -> {});
      Perplexity sum = model.perplexity(List.of(texts.get(0)), silent).plus(model.perplexity(List.of(texts.get(2)), silent));
      assertThat(sum.sum()).isCloseTo(all.sum(), offset(1e-9));
      assertThat(sum.windows()).isEqualTo(all.windows());
      assertThat(model.perplexity(texts, silent.withMaxTokens(5)).tokens()).isEqualTo(4 + 4);
      assertThatThrownBy(() -> model.perplexity(texts, options.withProgress((soFar, total) -> {
        throw new IllegalStateException("enough");
      }))).hasMessage("enough");
    }
  }

  @Test
  void logProbabilitiesOfTokens() {
    int[] ids = TestSeed.random().ints(30, 0, 256).toArray();
    try (LanguageModel model = tiny(LoadOptions.builder())) {
      float[][] logits = model.logits(ids);
      float[] found = model.logProbabilities(ids);
      assertThat(found).hasSize(30);
      assertThat(found[0]).isNaN();
      for (int i = 1; i < 30; i++) {
        assertThat((double) found[i]).isCloseTo(-negativeLogLikelihood(logits[i - 1], ids[i]), offset(1e-4));
      }
      assertThat(model.logProbabilities(new int[] {3})).containsExactly(Float.NaN);
    }
  }

  @Test
  void whatCannotBeMeasuredIsRefused() {
    PerplexityOptions options = PerplexityOptions.defaults();
    try (LanguageModel model = tiny(LoadOptions.builder().contextLength(64))) {
      int[] ids = new int[10];
      assertThatThrownBy(() -> model.perplexity(ids, options.withWindow(65))).isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("window is 65").hasMessageContaining("64");
      assertThatThrownBy(() -> model.perplexity(ids, options.withWindow(8).withStride(9))).hasMessageContaining("stride is 9");
      assertThatThrownBy(() -> model.perplexity(ids, options.withWindow(8).withStride(8).withBos(true)))
          .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("expected 1 to 7");
      assertThatThrownBy(() -> model.perplexity(new int[1], options)).hasMessageContaining("shorter than two tokens");
      assertThatThrownBy(() -> model.perplexity(new int[] {1, 300}, options)).hasMessageContaining("300");
      assertThatThrownBy(() -> options.withWindow(1)).hasMessageContaining("window is 1");
      assertThatThrownBy(() -> options.withStride(0)).hasMessageContaining("stride is 0");
      assertThatThrownBy(() -> options.withMaxTokens(1)).hasMessageContaining("maxTokens is 1");
      model.close();
      assertThatThrownBy(() -> model.perplexity(ids, options)).isInstanceOf(IllegalStateException.class);
    }
    Path encoder = folder.resolve("bert");
    TinyCheckpoint.bert(encoder, 1);
    try (LanguageModel model = Lanes.load(encoder)) {
      assertThatThrownBy(() -> model.perplexity(new int[5], options)).isInstanceOf(UnsupportedRequestException.class)
          .hasMessageContaining("BertModel");
      assertThatThrownBy(() -> model.logProbabilities(new int[5])).isInstanceOf(UnsupportedRequestException.class);
    }
    Path withoutTokenizer = folder.resolve("gpt2");
    TinyCheckpoint.gpt2(withoutTokenizer, 1, 32);
    try (LanguageModel model = Lanes.load(withoutTokenizer)) {
      assertThatThrownBy(() -> model.perplexity(List.of("text"), options)).isInstanceOf(UnsupportedRequestException.class)
          .hasMessageContaining("tokenizer.json");
      assertThat(model.perplexity(new int[40], options).windows()).isGreaterThan(1);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"stories15M", "stories260K", "minimind2-small"})
  void agreesWithTheRecordedLogits(String name) {
    Path directory = Shared.model(name);
    try (LanguageModel model = Lanes.load(directory,
        LoadOptions.builder().device(TestDevices.best()).compute(Compute.EXACT).cacheTokens(1024).build())) {
      for (int i = 0; i < 3; i++) {
        int[] ids = Shared.ids(directory, i + ".prompt_ids");
        float[] logits = Shared.floats(directory, i + ".logits");
        int vocabulary = logits.length / ids.length;
        double expected = 0;
        for (int t = 1; t < ids.length; t++) {
          expected += negativeLogLikelihood(Arrays.copyOfRange(logits, (t - 1) * vocabulary, t * vocabulary), ids[t]);
        }
        Perplexity found = model.perplexity(ids, PerplexityOptions.defaults());
        assertThat(found.tokens()).isEqualTo(ids.length - 1);
        assertThat(found.sum()).as("prompt %d", i).isCloseTo(expected, offset(1e-4 * expected));
      }
    }
  }
}
