package dev.lanes.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.offset;

import dev.lanes.NaiveLlama;
import dev.lanes.TestDevices;
import dev.lanes.TestSeed;
import dev.lanes.TinyCheckpoint;
import dev.lanes.backend.BackendOptions.Device;
import dev.lanes.backend.KvPages;
import dev.lanes.context.ContextPolicy;
import dev.lanes.context.TokenRange;
import dev.lanes.engine.EngineFixture.Ask;
import dev.lanes.engine.EngineFixture.Setup;
import dev.lanes.engine.GenerationOutcome.End;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The windows of the context policies against a recomputation of everything that each token sees. */
class ContextWindowTest {
  @TempDir
  static Path directory;

  private static TinyCheckpoint weights;

  @BeforeAll
  static void write() {
    weights = TinyCheckpoint.llama(directory, TestSeed.value());
  }

  @ParameterizedTest
  @CsvSource({
      // window, sinks (0: a sliding window), prompt, output
      "1, 0, 5, 6", "7, 0, 3, 12", "64, 0, 63, 4", "64, 0, 64, 4", "64, 0, 65, 4", "50, 0, 200, 10", "1, 1, 4, 8", "6, 2, 3, 14",
      "60, 4, 63, 5", "60, 4, 64, 5", "60, 4, 65, 5", "40, 65, 180, 10", "100, 4, 220, 12"})
  void tokensAndLogProbabilitiesAreThoseOfTheNaiveModel(int window, int sinks, int length, int output) throws Exception {
    ContextPolicy policy = sinks == 0 ? ContextPolicy.slidingWindow(window) : ContextPolicy.attentionSinks(sinks, window);
    NaiveLlama.View view = NaiveLlama.window(window, sinks, sinks > 0);
    int[] prompt = EngineFixture.prompt(TestSeed.random(), length);
    for (Device device : TestDevices.backends()) {
      for (int chunk : new int[] {1, 33, 1_000}) {
        try (EngineFixture fixture = new EngineFixture(directory, Setup.of(device).withStepTokens(chunk))) {
          Collector got = fixture.run(Ask.of(prompt, output).with(policy));
          int[] all = Arrays.copyOf(prompt, length + output);
          for (int i = 0; i < output; i++) {
            all[length + i] = got.ids.get(i);
          }
          double[][] logits = new NaiveLlama(weights).logits(Arrays.copyOf(all, all.length - 1), view);
          for (int i = 0; i < output; i++) {
            double[] row = logits[length + i - 1];
            String what = policy.text() + " " + device + " chunk " + chunk + " token " + i + ", " + TestSeed.note();
            assertThat(got.ids.get(i)).as(what).isEqualTo(EngineTest.best(row));
            assertThat((double) got.logProbabilities.get(i)).as(what).isCloseTo(logProbability(row, all[length + i]), offset(1e-3));
          }
          int computed = length + output - 1;
          assertThat(got.await().context().dropped()).isEqualTo(computed - window > sinks
              ? List.of(new TokenRange(sinks, computed - window)) : List.of());
        }
      }
    }
  }

  static double logProbability(double[] logits, int id) {
    double largest = Arrays.stream(logits).max().orElseThrow();
    return logits[id] - largest - Math.log(Arrays.stream(logits).map(x -> Math.exp(x - largest)).sum());
  }

  /** The control: the naive model without the window gives other tokens, so the comparison above can fail. */
  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void windowsMatter(Device device) throws Exception {
    int[] prompt = EngineFixture.prompt(TestSeed.random(), 200);
    try (EngineFixture fixture = new EngineFixture(directory, Setup.of(device))) {
      float full = fixture.run(Ask.of(prompt, 1)).logProbabilities.get(0);
      float sliding = fixture.run(Ask.of(prompt, 1).with(ContextPolicy.slidingWindow(20))).logProbabilities.get(0);
      float sinks = fixture.run(Ask.of(prompt, 1).with(ContextPolicy.attentionSinks(4, 20))).logProbabilities.get(0);
      assertThat(Math.abs(full - sliding)).isGreaterThan(0.01f);
      assertThat(Math.abs(sinks - sliding)).isGreaterThan(0.01f);
    }
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void generationGoesOnFarBeyondTheLimitInTheSamePages(Device device) throws Exception {
    for (ContextPolicy policy : new ContextPolicy[] {ContextPolicy.slidingWindow(100), ContextPolicy.attentionSinks(4, 96)}) {
      AtomicInteger most = new AtomicInteger();
      EngineFixture[] holder = new EngineFixture[1];
      Setup setup = Setup.of(device).withStep(step -> batch -> {
        most.accumulateAndGet(holder[0] == null ? 0 : holder[0].cache.stats().sequencePages(), Math::max);
        return step.forward(batch);
      });
      try (EngineFixture fixture = new EngineFixture(directory, setup)) {
        holder[0] = fixture;
        Collector got = fixture.run(Ask.of(EngineFixture.prompt(TestSeed.random(), 700), 600).with(policy).withLimit(100));
        assertThat(got.await().end()).isEqualTo(End.LENGTH);
        assertThat(got.ids).hasSize(600);
        assertThat(got.await().context().droppedTokens()).isEqualTo(700 + 599 - 100);
        // Window, one page for the chunk and one that is only partly in the window; and the sinks' page.
        assertThat(most.get()).as("pages held at once under %s", policy.text()).isPositive().isLessThanOrEqualTo(5);
        assertThat(fixture.freePages()).isEqualTo(64);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void windowsOfTheModelItselfGivePagesBack(Device device, @TempDir Path mistral) throws Exception {
    TinyCheckpoint tiny = TinyCheckpoint.llama(mistral, TestSeed.value(), 30);
    int[] prompt = EngineFixture.prompt(TestSeed.random(), 200);
    // Room for the window, a chunk and no more: 500 tokens would take 8 pages.
    try (EngineFixture fixture = new EngineFixture(mistral, Setup.of(device).withPages(3))) {
      Collector got = fixture.run(Ask.of(prompt, 300));
      assertThat(got.ids).hasSize(300);
      assertThat(got.await().context().dropped()).as("the policy dropped nothing, the model never sees more").isEmpty();
      double[][] logits = new NaiveLlama(tiny).logits(prompt, NaiveLlama.window(30, 0, false));
      assertThat(got.ids.get(0)).isEqualTo(EngineTest.best(logits[prompt.length - 1]));
      assertThat(KvPages.PAGE_TOKENS * 3).isLessThan(prompt.length);
    }
  }
}
