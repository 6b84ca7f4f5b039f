package dev.lanes.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.offset;

import dev.lanes.NaiveLlama;
import dev.lanes.TestSeed;
import dev.lanes.TinyCheckpoint;
import dev.lanes.backend.BackendOptions.Device;
import dev.lanes.context.ContextPolicy;
import dev.lanes.engine.EngineFixture.Ask;
import dev.lanes.engine.EngineFixture.Setup;
import dev.lanes.engine.GenerationOutcome.End;
import dev.lanes.error.InsufficientMemoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What a sequence gives depends on nothing but the sequence. */
class EngineTest {
  @TempDir
  static Path directory;

  private static TinyCheckpoint weights;

  @BeforeAll
  static void write() {
    weights = TinyCheckpoint.llama(directory, TestSeed.value());
  }

  /** Requests of all kinds: lengths around a page, greedy and sampled, with and without windows. */
  private static List<Ask> mixed(int count) {
    Random random = TestSeed.random();
    int[] lengths = {1, 63, 64, 65, 5, 130, 33, 20};
    List<Ask> asks = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      Ask ask = Ask.of(EngineFixture.prompt(random, lengths[i % lengths.length]), 6 + i % 5);
      if (i % 2 == 1) {
        ask = ask.with(new Sampling(0.9f, 40, 0.95f, 0.01f, 1.1f, 1_000 + i, 0));
      }
      if (i % 5 == 2) {
        ask = ask.with(ContextPolicy.slidingWindow(24));
      } else if (i % 5 == 3) {
        ask = ask.with(ContextPolicy.attentionSinks(3, 20));
      }
      asks.add(ask);
    }
    return asks;
  }

  private static List<List<Object>> alone(List<Ask> asks, Device device) throws Exception {
    List<List<Object>> bits = new ArrayList<>();
    try (EngineFixture solo = new EngineFixture(directory, Setup.of(device).withStepTokens(1_000))) {
      for (Ask ask : asks) {
        bits.add(solo.run(ask).bits());
      }
      assertThat(solo.freePages()).isEqualTo(64);
    }
    return bits;
  }

  private static List<List<Object>> together(EngineFixture fixture, List<Ask> asks) throws Exception {
    // Last come, first started: what a sequence gives must not depend on its place in the queue either.
    List<List<Object>> bits = new ArrayList<>();
    for (Collector one : fixture.startTogether(asks)) {
      one.await();
      bits.add(one.bits());
    }
    return bits;
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void greedyTokensAreThoseOfTheNaiveModel(Device device) throws Exception {
    int[] prompt = EngineFixture.prompt(TestSeed.random(), 70);
    try (EngineFixture fixture = new EngineFixture(directory, Setup.of(device))) {
      Collector got = fixture.run(Ask.of(prompt, 12));
      int[] all = prompt;
      for (int i = 0; i < 12; i++) {
        double[][] logits = new NaiveLlama(weights).logits(all, NaiveLlama.FULL);
        int best = best(logits[all.length - 1]);
        assertThat(got.ids.get(i)).as("token %d, %s", i, TestSeed.note()).isEqualTo(best);
        all = Arrays.copyOf(all, all.length + 1);
        all[all.length - 1] = best;
      }
    }
  }

  static int best(double[] logits) {
    int best = 0;
    for (int i = 1; i < logits.length; i++) {
      best = logits[i] > logits[best] ? i : best;
    }
    return best;
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void batchesDoNotChangeTokens(Device device) throws Exception {
    List<Ask> asks = mixed(64);
    List<List<Object>> alone = alone(asks, device);
    for (int size : new int[] {2, 3, 8, 17, 64}) {
      try (EngineFixture fixture = new EngineFixture(directory, Setup.of(device).withPages(256))) {
        assertThat(together(fixture, asks.subList(0, size))).as("%d at once, %s", size, TestSeed.note()).isEqualTo(alone.subList(0, size));
        assertThat(fixture.freePages()).isEqualTo(256);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void chunksDoNotChangeTokens(Device device) throws Exception {
    List<Ask> asks = mixed(10);
    List<List<Object>> alone = alone(asks, device);
    for (int chunk : new int[] {1, 16, 33, 256, 4_096}) {
      try (EngineFixture fixture = new EngineFixture(directory, Setup.of(device).withStepTokens(chunk))) {
        assertThat(together(fixture, asks)).as("steps of %d tokens, %s", chunk, TestSeed.note()).isEqualTo(alone);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void threadsDoNotChangeTokens(Device device) throws Exception {
    List<Ask> asks = mixed(10);
    List<List<Object>> alone = alone(asks, device);
    for (int threads : new int[] {1, 2, 3}) {
      try (EngineFixture fixture = new EngineFixture(directory, Setup.of(device).withThreads(threads))) {
        assertThat(together(fixture, asks)).as("%d threads", threads).isEqualTo(alone);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void reusedPrefixesDoNotChangeTokens(Device device) throws Exception {
    Random random = TestSeed.random();
    int[] shared = EngineFixture.prompt(random, 150);
    List<Ask> asks = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      int[] prompt = Arrays.copyOf(shared, shared.length + i);
      Arrays.fill(prompt, shared.length, prompt.length, i);
      asks.add(Ask.of(prompt, 8));
      asks.add(Ask.of(prompt, 8).with(ContextPolicy.slidingWindow(140)));
    }
    List<List<Object>> alone = alone(asks, device);
    try (EngineFixture fixture = new EngineFixture(directory, Setup.of(device).withPrefixReuse())) {
      List<List<Object>> bits = new ArrayList<>();
      int reused = 0;
      for (Ask ask : asks) {
        Collector got = fixture.run(ask);
        reused += got.await().reusedTokens();
        bits.add(got.bits());
      }
      assertThat(bits).isEqualTo(alone);
      assertThat(reused).as("tokens that came from earlier sequences").isGreaterThanOrEqualTo(5 * 128);
      assertThat(fixture.freePages()).isEqualTo(64);
    }
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void preemptionDoesNotChangeTokens(Device device) throws Exception {
    Random random = TestSeed.random();
    List<Ask> asks = new ArrayList<>();
    for (int i = 0; i < 9; i++) {
      Ask ask = Ask.of(EngineFixture.prompt(random, 50 + i), 100 + i);
      asks.add(i % 3 == 1 ? ask.with(new Sampling(1, 0, 1, 0, 1.2f, i, 0)) : ask);
    }
    List<List<Object>> alone = alone(asks, device);
    for (boolean reuse : new boolean[] {false, true}) {
      Setup small = Setup.of(device).withPages(8);
      try (EngineFixture fixture = new EngineFixture(directory, reuse ? small.withPrefixReuse() : small)) {
        assertThat(together(fixture, asks)).as("prefix reuse %s, %s", reuse, TestSeed.note()).isEqualTo(alone);
        assertThat(fixture.engine.stats().preemptions()).as("preemptions").isPositive();
        assertThat(fixture.freePages()).isEqualTo(8);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void seedDecidesWhatIsDrawn(Device device) throws Exception {
    int[] prompt = EngineFixture.prompt(TestSeed.random(), 20);
    try (EngineFixture fixture = new EngineFixture(directory, Setup.of(device))) {
      List<Integer> first = fixture.run(Ask.of(prompt, 20).with(new Sampling(1, 0, 1, 0, 1, 7, -1))).ids;
      List<Integer> again = fixture.run(Ask.of(prompt, 20).with(new Sampling(1, 0, 1, 0, 1, 7, -1))).ids;
      List<Integer> other = fixture.run(Ask.of(prompt, 20).with(new Sampling(1, 0, 1, 0, 1, 8, -1))).ids;
      assertThat(again).isEqualTo(first);
      // The control: the comparison does tell different tokens apart.
      assertThat(other).isNotEqualTo(first);
    }
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void promptAndOutputShareTheLimit(Device device) throws Exception {
    try (EngineFixture fixture = new EngineFixture(directory, Setup.of(device))) {
      for (int length : new int[] {60, 63, 64}) {
        Collector got = fixture.run(Ask.of(EngineFixture.prompt(TestSeed.random(), length), 100).withLimit(64));
        assertThat(got.await().end()).isEqualTo(End.CONTEXT_FULL);
        assertThat(got.ids).as("prompt of %d", length).hasSize(64 - length);
      }
      assertThat(fixture.run(Ask.of(new int[] {1, 2}, 0)).await().end()).isEqualTo(End.LENGTH);
      assertThat(fixture.run(Ask.of(new int[] {1, 2}, 3)).await().outputTokens()).isEqualTo(3);
    }
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void endTokenEndsAndIsCounted(Device device) throws Exception {
    int[] prompt = EngineFixture.prompt(TestSeed.random(), 9);
    try (EngineFixture fixture = new EngineFixture(directory, Setup.of(device))) {
      List<Integer> free = fixture.run(Ask.of(prompt, 10)).ids;
      int end = free.get(4);
      Collector got = fixture.run(Ask.of(prompt, 10).withEnd(TinyCheckpoint.EOS, end));
      assertThat(got.await().end()).isEqualTo(End.END_TOKEN);
      assertThat(got.ids).isEqualTo(free.subList(0, free.indexOf(end) + 1));
    }
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void requestThatCanNeverFitIsRefusedWithTheSum(Device device) throws Exception {
    try (EngineFixture fixture = new EngineFixture(directory, Setup.of(device).withPages(2))) {
      long pageBytes = fixture.cache.pages().bytes() / 2;
      assertThatThrownBy(() -> fixture.start(Ask.of(new int[100], 30)))
          .isInstanceOf(InsufficientMemoryException.class)
          .hasMessageContaining("129 tokens needs 3 pages").hasMessageContaining("3 * " + pageBytes)
          .hasMessageContaining("the cache has 2");
      // One token less fits, and so does a window.
      assertThat(fixture.run(Ask.of(new int[100], 29)).ids).hasSize(29);
      assertThat(fixture.run(Ask.of(new int[100], 200).with(ContextPolicy.slidingWindow(60))).ids).hasSize(200);
      assertThat(fixture.freePages()).isEqualTo(2);
    }
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void logitsOfAllPositionsDoNotDependOnChunksOrNeighbours(Device device) throws Exception {
    int[] tokens = EngineFixture.prompt(TestSeed.random(), 150);
    double[][] naive = new NaiveLlama(weights).logits(tokens, NaiveLlama.FULL);
    float[][] first = null;
    for (int chunk : new int[] {1, 33, 4_096}) {
      try (EngineFixture fixture = new EngineFixture(directory, Setup.of(device).withStepTokens(chunk))) {
        List<Collector> beside = mixed(5).stream().map(fixture::start).toList();
        ForwardRequest request = new ForwardRequest(tokens, new float[150][TinyCheckpoint.VOCABULARY],
            new float[150][TinyCheckpoint.HIDDEN], new float[TinyCheckpoint.LAYERS + 1][150][TinyCheckpoint.HIDDEN]);
        fixture.engine.forward(request).get();
        for (Collector one : beside) {
          one.await();
        }
        first = first == null ? request.logits() : first;
        assertThat(Arrays.deepEquals(request.logits(), first)).as("chunks of %d", chunk).isTrue();
        assertThat(Arrays.deepEquals(request.layers()[TinyCheckpoint.LAYERS], request.hidden())).as("last layer").isTrue();
        for (int t = 0; t < 150; t++) {
          for (int i = 0; i < TinyCheckpoint.VOCABULARY; i++) {
            assertThat((double) request.logits()[t][i]).isCloseTo(naive[t][i], offset(1e-3));
          }
        }
        assertThat(fixture.freePages()).isEqualTo(64);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#backends")
  void manyMoreRequestsThanPlacesAllEnd(Device device) throws Exception {
    List<Ask> asks = new ArrayList<>(mixed(40));
    Collections.shuffle(asks, TestSeed.random());
    List<List<Object>> alone = alone(asks, device);
    try (EngineFixture fixture = new EngineFixture(directory, Setup.of(device).withMaxBatch(3).withPages(6))) {
      assertThat(together(fixture, asks)).isEqualTo(alone);
      assertThat(fixture.freePages()).isEqualTo(6);
    }
  }
}
