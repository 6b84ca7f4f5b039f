package dev.lanes.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.offset;

import dev.lanes.Device;
import dev.lanes.Generation;
import dev.lanes.GenerationOptions;
import dev.lanes.GenerationStream;
import dev.lanes.Lanes;
import dev.lanes.LanguageModel;
import dev.lanes.LoadOptions;
import dev.lanes.MemoryFootprint;
import dev.lanes.TestSeed;
import dev.lanes.TinyCheckpoint;
import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.Tensor;
import dev.lanes.backend.jni.NativeInternals;
import dev.lanes.context.ContextPolicy;
import dev.lanes.engine.EngineFixture.Ask;
import dev.lanes.engine.EngineFixture.Setup;
import dev.lanes.error.DeviceFailedException;
import dev.lanes.error.InsufficientMemoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The engine on a GPU: what a sequence gives, what a step costs, and what becomes of all when the device fails. */
@EnabledIf("dev.lanes.TestDevices#cuda")
@Timeout(300)
class CudaEngineTest {
  private static final BackendOptions.Device CUDA = BackendOptions.Device.CUDA;

  @TempDir
  static Path directory;

  @BeforeAll
  static void write() {
    TinyCheckpoint.llama(directory, TestSeed.value());
    TinyCheckpoint.addByteTokenizer(directory);
  }

  /** Greedy and sampled, whole context, window and sinks. */
  private static List<Ask> mixed() {
    Random random = TestSeed.random();
    List<Ask> asks = new ArrayList<>();
    asks.add(Ask.of(EngineFixture.prompt(random, 5), 6));
    asks.add(Ask.of(EngineFixture.prompt(random, 65), 4));
    asks.add(Ask.of(EngineFixture.prompt(random, 30), 5).with(new Sampling(0.9f, 40, 0.95f, 0.01f, 1.1f, 1_000, 3)));
    asks.add(Ask.of(EngineFixture.prompt(random, 40), 5).with(ContextPolicy.slidingWindow(24)));
    asks.add(Ask.of(EngineFixture.prompt(random, 40), 5).with(ContextPolicy.attentionSinks(3, 20)));
    return asks;
  }

  @Test
  void tokensAreThoseOfTheReferenceAloneAndTogether() throws Exception {
    List<Ask> asks = mixed();
    List<Collector> expected = run(asks, Setup.of(BackendOptions.Device.REFERENCE), false);
    List<Collector> alone = run(asks, Setup.of(CUDA), false);
    for (int i = 0; i < asks.size(); i++) {
      assertThat(alone.get(i).ids).as("request %d, %s", i, TestSeed.note()).isEqualTo(expected.get(i).ids);
      for (int t = 0; t < alone.get(i).ids.size(); t++) {
        assertThat(alone.get(i).logProbabilities.get(t)).as("request %d, token %d", i, t)
            .isCloseTo(expected.get(i).logProbabilities.get(t), offset(1e-3f));
      }
    }
    List<Collector> together = run(asks, Setup.of(CUDA).withStepTokens(48), true);
    for (int i = 0; i < asks.size(); i++) {
      assertThat(together.get(i).bits()).as("request %d, %s", i, TestSeed.note()).isEqualTo(alone.get(i).bits());
    }
  }

  private static List<Collector> run(List<Ask> asks, Setup setup, boolean together) throws Exception {
    List<Collector> all = new ArrayList<>();
    try (EngineFixture fixture = new EngineFixture(directory, setup)) {
      if (together) {
        all.addAll(List.of(fixture.startTogether(asks)));
      }
      for (int i = 0; i < asks.size(); i++) {
        if (!together) {
          all.add(fixture.start(asks.get(i)));
        }
        all.get(i).await();
      }
      assertThat(fixture.freePages()).isEqualTo(64);
    }
    return all;
  }

  /** Running, waiting, new: all are told, pages are back, and everything closes. */
  @Test
  void aDeviceThatFails() throws Exception {
    try (EngineFixture fixture = new EngineFixture(directory, Setup.of(CUDA).withMaxBatch(2))) {
      List<Collector> all = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        all.add(fixture.start(Ask.of(EngineFixture.prompt(TestSeed.random(), 5), 400)));
      }
      assertThat(all.get(0).firstToken.await(60, TimeUnit.SECONDS)).isTrue();
      NativeInternals.failDevice(fixture.backend);
      for (Collector one : all) {
        assertThatThrownBy(one::await).cause().isInstanceOf(DeviceFailedException.class).hasMessageContaining("device");
      }
      assertThatThrownBy(() -> fixture.start(Ask.of(new int[] {1}, 1))).isInstanceOf(DeviceFailedException.class);
      assertThat(fixture.freePages()).isEqualTo(64);
    }
    // Nobody has it open any more: its driver begins anew.
    try (Backend again = Backends.open(new BackendOptions(CUDA, 1, BackendOptions.Isa.AUTO));
        Tensor x = again.tensor(MemoryTag.OTHER, 1, 1)) {
      assertThat(x.toArray()).containsExactly(0);
    }
  }

  /**
   * Streams that run, streams that wait for their turn, a future, a caller inside {@code generate}: each is told that the device has failed,
   * the model closes, and the next one works. The time that the last of them waited is printed; it should be well below a second.
   */
  @Test
  void everybodyWhoWaitsIsTold() throws Exception {
    int running = 3;
    int streams = 8;
    LoadOptions load = LoadOptions.builder().device(Device.CUDA).maxBatch(running).stepTokens(64).cacheTokens(1024).build();
    GenerationOptions endless = GenerationOptions.builder().maxTokens(1 << 30).ignoreEos(true)
        .contextPolicy(ContextPolicy.slidingWindow(64)).build();
    ExecutorService threads = Executors.newCachedThreadPool();
    try (LanguageModel model = Lanes.load(directory, load);
        Backend other = Backends.open(new BackendOptions(CUDA, 1, BackendOptions.Isa.AUTO))) {
      CountDownLatch begun = new CountDownLatch(running);
      List<Future<Long>> told = new ArrayList<>();
      for (int i = 0; i < streams; i++) {
        GenerationStream stream = model.stream(new int[] {1, 2, 3 + i}, endless);
        told.add(threads.submit(() -> whenToldOfFailure(() -> {
          stream.next();
          begun.countDown();
          stream.forEachRemaining(piece -> {});
        })));
      }
      told.add(threads.submit(() -> whenToldOfFailure(() -> model.generate(new int[] {1, 2}, endless))));
      CompletableFuture<Generation> future = model.submit(new int[] {1}, endless);
      told.add(threads.submit(() -> whenToldOfFailure(() -> {
        try {
          future.join();
        } catch (CompletionException e) {
          throw (RuntimeException) e.getCause();
        }
      })));
      assertThat(begun.await(60, TimeUnit.SECONDS)).as("%d streams run", running).isTrue();
      long failure = System.nanoTime();
      NativeInternals.failDevice(other);
      long last = 0;
      for (Future<Long> one : told) {
        last = Math.max(last, one.get(10, TimeUnit.SECONDS) - failure);
      }
      System.out.printf("a device that fails: %d callers told within %.1f ms%n", told.size(), last * 1e-6);
    } finally {
      threads.shutdownNow();
    }
    try (LanguageModel again = Lanes.load(directory, load)) {
      assertThat(again.generate(new int[] {1, 2}, GenerationOptions.builder().maxTokens(3).ignoreEos(true).build()).outputIds()).hasSize(3);
    }
  }

  private static long whenToldOfFailure(Runnable waiting) {
    assertThatThrownBy(waiting::run).isInstanceOf(DeviceFailedException.class).hasMessageContaining("device");
    return System.nanoTime();
  }

  @Test
  void whatDoesNotFitIsRefusedBeforeAnyIsAllocated() {
    LoadOptions options = LoadOptions.builder().device(Device.CUDA).cacheTokens(Integer.MAX_VALUE - 64).build();
    assertThatThrownBy(() -> Lanes.load(directory, options)).isInstanceOf(InsufficientMemoryException.class)
        .hasMessageContaining("does not fit into memory of cuda:0").satisfies(e -> {
          InsufficientMemoryException failure = (InsufficientMemoryException) e;
          assertThat(failure.requiredBytes()).isGreaterThan(failure.availableBytes());
          assertThat(failure.availableBytes()).isPositive();
        });
  }

  /** Nothing is said about a device or numbers: it is the GPU, 16-bit types multiply as they are, and the model says so. */
  @ParameterizedTest
  @CsvSource({"F32, EXACT, F32", "BF16, BF16, BF16", "F16, F16, F16"})
  void automaticTakesTheGpu(DType weights, Compute compute, DType cache) {
    LoadOptions options = LoadOptions.builder().cacheTokens(128).weightType(weights).build();
    MemoryFootprint footprint = Lanes.footprint(directory, options);
    try (LanguageModel model = Lanes.load(directory, options)) {
      assertThat(model.info().backend().name()).isEqualTo("cuda");
      assertThat(model.info().compute()).isEqualTo(compute);
      assertThat(model.info().cacheType()).isEqualTo(cache);
      assertThat(model.info().memory().cacheBytes()).isEqualTo(footprint.cacheBytes()).isPositive();
      GenerationOptions three = GenerationOptions.builder().maxTokens(3).ignoreEos(true).build();
      assertThat(model.generate(new int[] {1, 2, 3}, three).outputIds()).hasSize(3);
      assertThat(model.info().backend().why()).contains("compute capability");
      assertThat(model.info().memory().memory()).startsWith("memory of cuda:0 ");
      assertThat(model.info().memory().availableBytes()).isPositive();
    }
  }
}
