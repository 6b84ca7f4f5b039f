package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.FailedAllocations;
import dev.lanes.error.InsufficientMemoryException;
import dev.lanes.kernels.global.lanes;
import java.text.MessageFormat;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Handles that are closed early, twice, in odd orders, under other threads' feet, or never. */
@ExtendWith(MemoryBaseline.class)
class LifetimeTest {
  /** {@code -Dlanes.test.rounds=N} for more. */
  private static final int ROUNDS = Integer.getInteger("lanes.test.rounds", 4000);

  static List<BackendOptions> all() {
    return TestBackends.all();
  }

  /** One of the instruction sets is enough where the Java side is under test. */
  static List<BackendOptions> two() {
    List<BackendOptions> natives = TestBackends.natives();
    return List.of(natives.get(natives.size() - 1), TestBackends.reference());
  }

  @ParameterizedTest
  @MethodSource("all")
  void useAfterCloseIsRefused(BackendOptions options) {
    try (Backend b = Backends.open(options)) {
      Tensor x = b.tensor(MemoryTag.OTHER, 2, 4);
      Tensor y = b.tensor(MemoryTag.OTHER, 2, 4);
      Tensor view = x.rows(0, 1);
      PackedWeight weight = b.weight(4, 4, DType.F32);
      KvPages pages = b.kvPages(new KvPages.Spec(1, 1, 1, 4, DType.F32));
      view.close();
      b.gate(new Op.Gate(Activation.NONE, x, x, y));
      weight.close();
      closed(() -> b.linear(new Op.Linear(x, weight, null, null, Activation.NONE, Compute.EXACT, y)));
      closed(() -> b.embed(new Op.Embed(weight, new int[2], false, y)));
      closed(() -> weight.pack(new PackedWeight.Part(TestBackends.bytes(new float[4], DType.F32), DType.F32, false, 0, 1, 0, 4)));
      pages.close();
      closed(() -> b.kvWrite(new Op.KvWrite(pages, 0, new long[] {0, 1}, x, x)));
      closed(() -> pages.poison(0));
      x.close();
      closed(() -> b.gate(new Op.Gate(Activation.NONE, x, y, y)));
      closed(() -> b.gate(new Op.Gate(Activation.NONE, view, view, y.rows(0, 1))));
      closed(x::toArray);
      closed(view::toArray);
      closed(() -> x.copyFrom(new float[8], 0));
      assertThat(x.rows()).isEqualTo(2);
      b.close();
      closed(y::toArray);
      closed(() -> b.gate(new Op.Gate(Activation.NONE, y, y, y)));
      closed(() -> b.tensor(MemoryTag.OTHER, 1, 1));
      closed(() -> b.weight(1, 1, DType.F32));
      closed(() -> b.kvPages(new KvPages.Spec(1, 1, 1, 4, DType.F32)));
      assertThat(b.info().implementations()).containsKey("linear");
    }
  }

  private static void closed(Runnable call) {
    assertThatThrownBy(call::run).isInstanceOf(IllegalStateException.class).hasMessageContaining("closed");
  }

  @ParameterizedTest
  @MethodSource("two")
  void closesInEveryOrderAndTwice(BackendOptions options) {
    Random random = new TestInputs("orders").random();
    for (int round = 0; round < 100; round++) {
      Backend b = Backends.open(options);
      Tensor owner = b.tensor(MemoryTag.OTHER, 3, 3);
      List<AutoCloseable> handles = new ArrayList<>(List.of(b, owner, owner.rows(1, 1), b.weight(3, 3, DType.BF16),
          b.kvPages(new KvPages.Spec(1, 1, 1, 4, DType.BF16))));
      handles.addAll(List.copyOf(handles));
      Collections.shuffle(handles, random);
      for (AutoCloseable handle : handles) {
        try {
          handle.close();
        } catch (Exception e) {
          throw new AssertionError(TestInputs.context("closing " + handle), e);
        }
      }
    }
  }

  /** Eight threads work with three handles and a backend; a ninth closes one of them. They see it closed, or finish; nothing else. */
  @ParameterizedTest
  @MethodSource("two")
  void closingUnderOtherThreads(BackendOptions options) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(8);
    Random random = new TestInputs("closing").random();
    BackendOptions small = options.withThreads(1);
    try {
      for (int round = 0; round < ROUNDS; round++) {
        Backend b = Backends.open(small);
        Tensor x = b.tensor(MemoryTag.OTHER, 2, 32);
        Tensor y = b.tensor(MemoryTag.OTHER, 2, 32);
        PackedWeight weight = b.weight(32, 32, DType.F32);
        KvPages pages = b.kvPages(new KvPages.Spec(1, 1, 1, 32, DType.F32));
        CountDownLatch running = new CountDownLatch(8);
        List<Future<Integer>> results = new ArrayList<>();
        for (int t = 0; t < 8; t++) {
          int kind = t % 4;
          results.add(threads.submit(() -> untilClosed(running, () -> use(b, x, y, weight, pages, kind))));
        }
        running.await();
        AutoCloseable victim = List.of(b, x, y, weight, pages).get(random.nextInt(5));
        victim.close();
        // Whoever does not use the victim would go on for ever.
        b.close();
        for (Future<Integer> result : results) {
          assertThat(result.get()).as(TestInputs.context("uses before the close")).isPositive();
        }
      }
    } finally {
      threads.shutdownNow();
    }
  }

  private static void use(Backend b, Tensor x, Tensor y, PackedWeight weight, KvPages pages, int kind) {
    switch (kind) {
      case 0 -> b.linear(new Op.Linear(x, weight, null, null, Activation.NONE, Compute.EXACT, y));
      case 1 -> x.copyTo(new float[64], 0);
      case 2 -> b.kvWrite(new Op.KvWrite(pages, 0, new long[] {3, 4}, x, y));
      default -> b.tensor(MemoryTag.SCRATCH, 1, 16).close();
    }
  }

  private static int untilClosed(CountDownLatch running, Runnable use) {
    int uses = 0;
    boolean counted = false;
    try {
      while (true) {
        use.run();
        uses++;
        if (!counted) {
          counted = true;
          running.countDown();
        }
        // So that a round does not take the time slices of eight busy threads.
        Thread.yield();
      }
    } catch (IllegalStateException e) {
      assertThat(e).hasMessageContaining("closed");
      return uses;
    }
  }

  @Test
  void forgottenHandlesAreFreedAndReported() throws InterruptedException {
    for (BackendOptions options : two()) {
      List<String> log = Collections.synchronizedList(new ArrayList<>());
      Handler handler = new Handler() {
        @Override
        public void publish(LogRecord line) {
          log.add(MessageFormat.format(line.getMessage(), line.getParameters()));
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
      };
      Logger logger = Logger.getLogger("dev.lanes.backend");
      logger.addHandler(handler);
      logger.setUseParentHandlers(false);
      try (Backend b = Backends.open(options)) {
        long before = b.memory().liveTotal();
        forget(b);
        assertThat(b.memory().liveTotal()).isGreaterThan(before);
        awaitLive(b, before);
        assertThat(log).anySatisfy(line -> assertThat(line).contains("tensor [7, 9]", "never closed"));
        assertThat(log).anySatisfy(line -> assertThat(line).contains("weight [5, 6] of F16", "never closed"));
        assertThat(log).anySatisfy(line -> assertThat(line).contains("KV pages", "never closed"));
        log.clear();
        b.tensor(MemoryTag.OTHER, 4, 4).close();
        System.gc();
        Thread.sleep(100);
        assertThat(log).as("what was closed is not reported").isEmpty();
      } finally {
        logger.removeHandler(handler);
        logger.setUseParentHandlers(true);
      }
    }
  }

  private static void forget(Backend b) {
    b.tensor(MemoryTag.OTHER, 7, 9);
    b.weight(5, 6, DType.F16);
    b.kvPages(new KvPages.Spec(1, 1, 1, 4, DType.F32));
  }

  private static void awaitLive(Backend b, long live) throws InterruptedException {
    long deadline = System.nanoTime() + 20_000_000_000L;
    while (b.memory().liveTotal() != live) {
      assertThat(System.nanoTime()).as("live bytes still at %s", b.memory()).isLessThan(deadline);
      System.gc();
      Thread.sleep(10);
    }
  }

  @Test
  void aViewKeepsItsOwnerFromBeingForgotten() throws InterruptedException {
    for (BackendOptions options : two()) {
      try (Backend b = Backends.open(options)) {
        long before = b.memory().liveTotal();
        Tensor view = b.tensor(MemoryTag.OTHER, 50, 50).view(3, 2, 1, 4).rows(1, 1);
        view.copyFrom(new float[] {1, 2, 3, 4}, 0);
        for (int i = 0; i < 5; i++) {
          System.gc();
          Thread.sleep(10);
        }
        assertThat(view.toArray()).containsExactly(1, 2, 3, 4);
        assertThat(b.memory().liveTotal()).isGreaterThan(before);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("two")
  void whatDoesNotFitIsATypedError(BackendOptions options) {
    int most = Integer.MAX_VALUE;
    try (Backend b = Backends.open(options)) {
      assertThatThrownBy(() -> b.tensor(MemoryTag.OTHER, most, 1 << 16)).isInstanceOf(InsufficientMemoryException.class)
          .satisfies(e -> assertThat(((InsufficientMemoryException) e).requiredBytes()).isEqualTo(((long) most) * (1 << 18)));
      assertThatThrownBy(() -> b.kvPages(new KvPages.Spec(1 << 20, 100, 8, 128, DType.F32)))
          .isInstanceOf(InsufficientMemoryException.class);
      try (Tensor x = b.tensor(MemoryTag.OTHER, 1, 1)) {
        assertThat(x.toArray()).containsExactly(0);
      }
    }
  }

  /**
   * The n-th native allocation fails, for every n until there are no more: a typed error, or none where less memory does as well; nothing
   * lost, and all works again.
   */
  @Test
  void everyFailedAllocation() {
    List<BackendOptions> natives = TestBackends.natives();
    BackendOptions options = natives.get(natives.size() - 1);
    int told = 0;
    for (int n = 1; ; n++) {
      assertThat(n).isLessThan(200);
      lanes.lanes_fail_allocation(n);
      boolean isOver;
      try {
        work(options);
        isOver = FailedAllocations.isPending();
      } catch (InsufficientMemoryException e) {
        isOver = false;
        told++;
      } finally {
        lanes.lanes_fail_allocation(0);
      }
      work(options);
      if (isOver) {
        assertThat(told).as("failed allocations that were told, of %d", n - 1).isGreaterThan(6);
        return;
      }
    }
  }

  private static void work(BackendOptions options) {
    try (Backend b = Backends.open(options);
        Tensor x = b.tensor(MemoryTag.OTHER, 40, 64);
        Tensor y = b.tensor(MemoryTag.OTHER, 40, 64);
        PackedWeight weight = b.weight(64, 64, DType.F32);
        KvPages pages = b.kvPages(new KvPages.Spec(1, 1, 1, 64, DType.F32))) {
      b.linear(new Op.Linear(x, weight, null, null, Activation.NONE, Compute.EXACT, y));
      b.embed(new Op.Embed(weight, new int[40], false, y));
      // More than the staging memory holds at first.
      int[] ids = new int[100_000];
      try (Tensor large = b.tensor(MemoryTag.OTHER, ids.length, 64)) {
        b.gather(new Op.Gather(x, ids, large));
      }
      b.attention(new Op.Attention(pages, 0, 1, true, 1, x,
          null, new Op.Ragged(new long[] {0, 40}, new long[] {40}, new int[][] {{0}}, new long[1], new long[1]), y));
      b.sample(new Op.Sample(x, Collections.nCopies(40, SampleRow.greedy()).toArray(new SampleRow[0]), new int[40], null));
    }
  }
}
