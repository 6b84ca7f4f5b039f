package dev.lanes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.context.ContextPolicy;
import dev.lanes.error.InsufficientMemoryException;
import dev.lanes.kernels.global.lanes;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Closing a model, at any time and from any thread; whatever happens, its native memory is back afterwards. */
@Timeout(180)
class LifecycleTest {
  private static final GenerationOptions ENDLESS = GenerationOptions.builder().maxTokens(1 << 30).ignoreEos(true)
      .contextPolicy(ContextPolicy.slidingWindow(64)).build();
  private static final GenerationOptions TEN = GenerationOptions.builder().maxTokens(10).ignoreEos(true).build();

  @TempDir
  static Path directory;

  private long before;

  @BeforeAll
  static void write() {
    TinyCheckpoint.llama(directory, TestSeed.value());
    TinyCheckpoint.addByteTokenizer(directory);
    TinyCheckpoint.addChatTemplate(directory);
  }

  @BeforeEach
  void count() {
    before = liveBytes();
  }

  @AfterEach
  void allMemoryIsBack() {
    assertThat(liveBytes()).as("live native bytes").isEqualTo(before);
  }

  /** Of both kinds of backend; the counts are those of the process. */
  private static long liveBytes() {
    long live = 0;
    for (BackendOptions.Device device : TestDevices.backends()) {
      try (Backend backend = Backends.open(BackendOptions.defaults().withDevice(device).withThreads(1))) {
        live += backend.memory().liveTotal();
      }
    }
    return live;
  }

  private static LanguageModel load(Device device) {
    return Lanes.load(directory, LoadOptions.builder().device(device).threads(1).stepTokens(64).maxBatch(8).cacheTokens(1024).build());
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#devices")
  void everyMethodRefusesAClosedModel(Device device) {
    LanguageModel model = load(device);
    assertThat(liveBytes()).isGreaterThan(before);
    model.close();
    model.close();
    List<ChatMessage> messages = List.of(ChatMessage.user("x"));
    List<Callable<Object>> calls = List.of(() -> model.generate("x"), () -> model.generate(new int[] {1}, TEN),
        () -> model.generate("x", TEN, piece -> {}), () -> model.stream("x", TEN), () -> model.stream(new int[] {1}, TEN),
        () -> model.submit("x", TEN), () -> model.submit(new int[] {1}, TEN), () -> model.generateAll(List.of("x"), TEN),
        () -> model.chat(messages, TEN), () -> model.streamChat(messages, TEN), () -> model.renderChat(messages, ChatOptions.defaults()),
        () -> model.chatIds(messages, ChatOptions.defaults()), () -> model.embed("x"),
        () -> model.embed(new int[] {1}, EmbeddingOptions.defaults()), () -> model.logits(new int[] {1}),
        () -> model.hiddenStates(new int[] {1}), () -> model.layerStates(new int[] {1}), model::tokenizer);
    for (Callable<Object> call : calls) {
      assertThatThrownBy(call::call).isInstanceOf(IllegalStateException.class).hasMessageContaining("closed");
    }
    assertThat(model.info().contextLength()).isEqualTo(TinyCheckpoint.POSITIONS);
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#devices")
  void closingEndsWhatRuns(Device device) throws Exception {
    LanguageModel model = load(device);
    GenerationStream stream = model.stream("Hello", ENDLESS);
    CompletableFuture<Generation> future = model.submit("Hello", ENDLESS);
    CompletableFuture<Generation> blocked = CompletableFuture.supplyAsync(() -> model.generate("Hello", ENDLESS));
    for (int i = 0; i < 5; i++) {
      stream.next();
    }
    model.close();
    assertThat(stream.result().finishReason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(future.get(30, TimeUnit.SECONDS).finishReason()).isEqualTo(FinishReason.CANCELLED);
    try {
      assertThat(blocked.get(30, TimeUnit.SECONDS).finishReason()).isEqualTo(FinishReason.CANCELLED);
    } catch (ExecutionException e) {
      assertThat(e.getCause()).as("it came too late").isInstanceOf(IllegalStateException.class).hasMessageContaining("closed");
    }
    stream.cancel();
    stream.close();
  }

  @ParameterizedTest
  @MethodSource("dev.lanes.TestDevices#devices")
  void manyThreadsUseAModelWhileOneClosesIt(Device device) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(8);
    try {
      for (int round = 0; round < 25; round++) {
        LanguageModel model = load(device);
        List<Future<String>> users = new ArrayList<>();
        for (int t = 0; t < 7; t++) {
          int kind = t;
          users.add(threads.submit(() -> use(model, kind)));
        }
        users.get(0).get(60, TimeUnit.SECONDS);
        Future<?> other = threads.submit(model::close);
        model.close();
        other.get(60, TimeUnit.SECONDS);
        for (Future<String> user : users) {
          assertThat(user.get(60, TimeUnit.SECONDS)).isIn("done", "closed");
        }
      }
    } finally {
      threads.shutdownNow();
    }
  }

  /** One use of each kind; closed in between, it ends as cancelled or with an IllegalStateException. */
  private static String use(LanguageModel model, int kind) {
    try {
      for (int i = 0; i < (kind == 0 ? 1 : 50); i++) {
        switch (kind) {
          case 0, 1 -> model.generate("Hello", TEN);
          case 2 -> model.generate(new int[] {1, 2, 3}, TEN, piece -> {});
          case 3 -> model.logits(new int[] {1, 2, 3});
          case 4 -> model.embed("Hello");
          case 5 -> {
            try (GenerationStream stream = model.stream("Hello", TEN)) {
              stream.next();
            }
          }
          default -> model.generateAll(List.of("a", "b"), TEN);
        }
      }
      return "done";
    } catch (NoSuchElementException e) {
      return "closed";
    } catch (IllegalStateException e) {
      assertThat(e).hasMessageContaining("closed");
      return "closed";
    }
  }

  @Test
  void abandonedStreamsDoNotKeepPages() {
    try (LanguageModel model = load(Device.REFERENCE)) {
      for (int i = 0; i < 50; i++) {
        try (GenerationStream stream = model.stream("Hello", ENDLESS)) {
          stream.next();
        }
      }
      assertThat(model.generate("Hello", TEN).outputIds()).hasSize(10);
    }
  }

  @Test
  void whatHangsOnAFutureMayCloseTheModel() throws Exception {
    LanguageModel model = load(Device.REFERENCE);
    model.submit("Hello", TEN).thenAccept(generation -> model.close()).get(30, TimeUnit.SECONDS);
    assertThatThrownBy(() -> model.generate("x")).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void failedLoadLeavesNothingBehind() {
    assertThatThrownBy(() -> Lanes.load(directory, LoadOptions.builder().progress((done, total) -> {
      if (done > total / 2) {
        throw new IllegalStateException("planted");
      }
    }).build())).hasMessage("planted");
  }

  /** Whatever allocation fails: a typed error unless less will do, nothing left behind (checked after the test), and loading works again. */
  @Test
  void everyAllocationMayFailWhileLoading() {
    int failed = 0;
    boolean isOver = false;
    for (long nth = 1; nth < 1_000 && !isOver; nth++) {
      lanes.lanes_fail_allocation(nth);
      try (LanguageModel model = load(TestDevices.best())) {
        assertThat(model.info().memory().totalBytes()).isPositive();
        isOver = FailedAllocations.isPending();
      } catch (InsufficientMemoryException e) {
        failed++;
        assertThat(liveBytes()).as("after allocation %d failed", nth).isEqualTo(before);
      } finally {
        lanes.lanes_fail_allocation(0);
      }
    }
    assertThat(failed).as("allocations that loading makes").isBetween(20, 900);
    try (LanguageModel model = load(TestDevices.best())) {
      assertThat(model.generate("Hello", TEN).outputIds()).hasSize(10);
    }
  }

  /** Steps with attention sinks need buffers of their own, made when the first one comes. */
  @Test
  void allocationMayFailWhileGenerating() {
    GenerationOptions sinks = TEN.toBuilder().contextPolicy(ContextPolicy.attentionSinks(2, 20)).build();
    try (LanguageModel model = load(TestDevices.best())) {
      lanes.lanes_fail_allocation(1);
      assertThatThrownBy(() -> model.generate("Hello", sinks)).isInstanceOf(InsufficientMemoryException.class);
      lanes.lanes_fail_allocation(0);
      assertThat(model.generate("Hello", sinks).outputIds()).as("the engine is still right")
          .isEqualTo(model.generate("Hello", TEN).outputIds());
    }
  }

  /** A model that nobody closed: collected, its thread ended, its memory back (checked after the test). */
  @Test
  void forgottenModelIsCollected() throws Exception {
    loadAndForget();
    for (int i = 0; i < 200 && liveBytes() > before; i++) {
      System.gc();
      Thread.sleep(20);
    }
  }

  private static void loadAndForget() {
    assertThat(load(TestDevices.devices().get(0)).generate("Hello", TEN).outputIds()).hasSize(10);
  }
}
