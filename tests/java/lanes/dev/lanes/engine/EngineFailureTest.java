package dev.lanes.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.TestSeed;
import dev.lanes.TinyCheckpoint;
import dev.lanes.backend.BackendOptions.Device;
import dev.lanes.context.ContextPolicy;
import dev.lanes.engine.EngineFixture.Ask;
import dev.lanes.engine.EngineFixture.Setup;
import dev.lanes.engine.GenerationOutcome.End;
import dev.lanes.error.DeviceFailedException;
import dev.lanes.error.GenerationFailedException;
import dev.lanes.error.InsufficientMemoryException;
import dev.lanes.model.StepBatch;
import dev.lanes.token.IncrementalDecoder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Cancelling, failing and closing: what ends gives its pages back within a step, and nobody else notices. */
@Timeout(120)
class EngineFailureTest {
  @TempDir
  static Path directory;

  private static final int PAGES = 64;

  @BeforeAll
  static void write() {
    TinyCheckpoint.llama(directory, TestSeed.value());
  }

  /** Lets the model make one step for each permit. */
  private static final class Gate implements UnaryOperator<StepFunction> {
    final Semaphore permits = new Semaphore(0);
    final Semaphore arrived = new Semaphore(0);

    @Override
    public StepFunction apply(StepFunction step) {
      return batch -> {
        arrived.release();
        permits.acquireUninterruptibly();
        return step.forward(batch);
      };
    }

    /** Waits until the engine stands before its next step. */
    void awaitStep() throws InterruptedException {
      assertThat(arrived.tryAcquire(30, TimeUnit.SECONDS)).isTrue();
    }

    void letStep() throws InterruptedException {
      permits.release();
    }

    void open() {
      permits.release(1 << 20);
    }
  }

  private static Setup setup() {
    return Setup.of(Device.REFERENCE).withPages(PAGES);
  }

  private static int[] prompt(int length) {
    return EngineFixture.prompt(TestSeed.random(), length);
  }

  /** After so many steps: 0 queued behind another one, 1 in the middle of the prompt, 5 and more while decoding. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 5, 9})
  void cancelledRequestsLeaveWithinAStepAndOthersGoOn(int steps) throws Exception {
    List<Object> alone;
    try (EngineFixture solo = new EngineFixture(directory, setup())) {
      alone = solo.run(Ask.of(prompt(40), 30)).bits();
    }
    Gate gate = new Gate();
    try (EngineFixture fixture = new EngineFixture(directory, setup().withStep(gate).withMaxBatch(steps == 0 ? 1 : 64))) {
      Collector stays = fixture.start(Ask.of(prompt(40), 30));
      gate.awaitStep();
      Collector leaves = new Collector();
      Engine.Ticket ticket = fixture.engine.generate(Ask.of(prompt(70), 100).request(), leaves);
      for (int i = 0; i < steps; i++) {
        gate.letStep();
        gate.awaitStep();
      }
      ticket.cancel();
      gate.letStep();
      gate.awaitStep();
      // The engine stands before the step after the one that ran when the request was cancelled.
      assertThat(leaves.await().end()).isEqualTo(End.CANCELLED);
      assertThat(leaves.await().outputTokens()).isEqualTo(leaves.ids.size());
      assertThat(fixture.cache.stats().sequences()).isEqualTo(1);
      ticket.cancel();
      gate.open();
      stays.await();
      assertThat(stays.bits()).isEqualTo(alone);
      assertThat(fixture.freePages()).isEqualTo(PAGES);
    }
  }

  /** More requests than pages, some cancelled at any time: pages are recounted after each step, and the others' tokens stay theirs. */
  @Test
  void randomCancellationsLeaveOthersAlone() throws Exception {
    Random random = TestSeed.random();
    List<Ask> asks = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      Ask ask = Ask.of(EngineFixture.prompt(random, 1 + random.nextInt(150)), 1 + random.nextInt(80));
      asks.add(i % 4 == 0 ? ask.with(ContextPolicy.slidingWindow(1 + random.nextInt(90))) : ask);
    }
    List<List<Object>> alone = new ArrayList<>();
    try (EngineFixture solo = new EngineFixture(directory, setup())) {
      for (Ask ask : asks) {
        alone.add(solo.run(ask).bits());
      }
    }
    try (EngineFixture fixture = new EngineFixture(directory, setup().withPages(10).withMaxBatch(7).withPrefixReuse())) {
      List<Collector> all = new ArrayList<>();
      List<Engine.Ticket> tickets = new ArrayList<>();
      for (Ask ask : asks) {
        all.add(new Collector());
        tickets.add(fixture.engine.generate(ask.request(), all.get(all.size() - 1)));
        if (random.nextInt(3) == 0) {
          Thread.sleep(random.nextInt(4));
          tickets.get(random.nextInt(tickets.size())).cancel();
        }
      }
      int cancelled = 0;
      for (int i = 0; i < all.size(); i++) {
        if (all.get(i).await().end() == End.CANCELLED) {
          cancelled++;
        } else {
          assertThat(all.get(i).bits()).as("request %d, %s", i, TestSeed.note()).isEqualTo(alone.get(i));
        }
      }
      assertThat(cancelled).isBetween(1, all.size() - 1);
      assertThat(fixture.freePages()).isEqualTo(10);
      assertThat(fixture.cache.stats().sequences()).isZero();
    }
  }

  @Test
  void cancellingInTheFinalStepDoesNothing() throws Exception {
    Gate gate = new Gate();
    try (EngineFixture fixture = new EngineFixture(directory, setup().withStep(gate))) {
      Collector only = new Collector();
      Engine.Ticket ticket = fixture.engine.generate(Ask.of(prompt(3), 1).request(), only);
      gate.awaitStep();
      ticket.cancel();
      gate.open();
      assertThat(only.await().end()).isEqualTo(End.LENGTH);
      ticket.cancel();
      assertThat(fixture.freePages()).isEqualTo(PAGES);
    }
  }

  @Test
  void failedStepFailsThoseInItAndNobodyElse() throws Exception {
    AtomicReference<Throwable> next = new AtomicReference<>();
    try (EngineFixture fixture = new EngineFixture(directory, setup().withStep(step -> batch -> {
      Throwable failure = next.getAndSet(null);
      if (failure instanceof RuntimeException e) {
        throw e;
      }
      if (failure instanceof Error e) {
        throw e;
      }
      return step.forward(batch);
    }))) {
      List<Object> before = fixture.run(Ask.of(prompt(20), 5)).bits();
      for (Throwable failure : List.of(new IllegalStateException("planted"), new OutOfMemoryError("planted"),
          new InsufficientMemoryException("planted", 2, 1))) {
        next.set(failure);
        Collector failed = fixture.start(Ask.of(prompt(20), 5));
        assertThatThrownBy(failed::await).isInstanceOf(ExecutionException.class).cause().satisfies(e -> {
          if (failure instanceof InsufficientMemoryException) {
            assertThat(e).isSameAs(failure);
          } else {
            assertThat(e).isInstanceOf(GenerationFailedException.class).hasMessageContaining("planted").hasCause(failure);
          }
        });
        assertThat(fixture.freePages()).isEqualTo(PAGES);
        assertThat(fixture.run(Ask.of(prompt(20), 5)).bits()).as("the engine is still right").isEqualTo(before);
      }
    }
  }

  @Test
  void failingDecoderFailsItsOwnRequestOnly() throws Exception {
    IncrementalDecoder broken = new IncrementalDecoder() {
      @Override
      public String append(int id) {
        throw new IllegalArgumentException("planted");
      }

      @Override
      public String flush() {
        return "";
      }
    };
    try (EngineFixture fixture = new EngineFixture(directory, setup())) {
      List<Object> alone = fixture.run(Ask.of(prompt(20), 15)).bits();
      GenerationRequest good = Ask.of(prompt(20), 15).request();
      Collector failed = new Collector();
      Collector beside = fixture.start(Ask.of(prompt(20), 15));
      fixture.engine.generate(
          new GenerationRequest(good.tokens(), good.plan(), 15, good.sampling(), new int[0], List.of(), broken), failed);
      assertThatThrownBy(failed::await).cause().isInstanceOf(GenerationFailedException.class).hasMessageContaining("planted");
      beside.await();
      assertThat(beside.bits()).isEqualTo(alone);
      assertThat(fixture.freePages()).isEqualTo(PAGES);
    }
  }

  /** Whoever runs, waits or asks afterwards hears of it, and all pages are back. */
  @Test
  void failedDeviceEndsTheEngine() throws Exception {
    Gate gate = new Gate();
    AtomicReference<RuntimeException> next = new AtomicReference<>();
    EngineFixture fixture = new EngineFixture(directory, setup().withMaxBatch(2).withStep(step -> gate.apply(batch -> {
      if (next.get() != null) {
        throw next.get();
      }
      return step.forward(batch);
    })));
    List<Collector> all = IntStream.range(0, 5).mapToObj(i -> fixture.start(Ask.of(prompt(20), 400))).toList();
    CompletableFuture<Void> forward = fixture.engine.forward(new ForwardRequest(prompt(5), new float[5][300], null, null));
    gate.awaitStep();
    gate.letStep();
    gate.awaitStep();
    next.set(new DeviceFailedException("planted"));
    gate.letStep();
    for (Collector one : all) {
      assertThatThrownBy(one::await).cause().isInstanceOf(DeviceFailedException.class).hasMessage("planted");
    }
    assertThatThrownBy(forward::get).cause().isInstanceOf(DeviceFailedException.class).hasMessage("planted");
    assertThatThrownBy(() -> fixture.start(Ask.of(prompt(2), 1))).isInstanceOf(DeviceFailedException.class).hasMessage("planted");
    assertThat(fixture.freePages()).isEqualTo(PAGES);
    fixture.close();
  }

  @Test
  void closingCancelsWhatRunsAndWhatWaits() throws Exception {
    Gate gate = new Gate();
    EngineFixture fixture = new EngineFixture(directory, setup().withStep(gate).withMaxBatch(1));
    Collector runs = fixture.start(Ask.of(prompt(20), 400));
    Collector waits = fixture.start(Ask.of(prompt(20), 400));
    CompletableFuture<Void> forward = fixture.engine.forward(new ForwardRequest(prompt(5), new float[5][300], null, null));
    gate.awaitStep();
    CompletableFuture<Void> closing = CompletableFuture.runAsync(fixture.engine::close);
    assertThat(runs.isDone()).as("the step is not torn down").isFalse();
    gate.open();
    closing.get(30, TimeUnit.SECONDS);
    assertThat(runs.await().end()).isEqualTo(End.CANCELLED);
    assertThat(waits.await().end()).isEqualTo(End.CANCELLED);
    assertThatThrownBy(forward::get).isInstanceOf(CancellationException.class);
    assertThat(fixture.freePages()).isEqualTo(PAGES);
    assertThatThrownBy(() -> fixture.start(Ask.of(prompt(2), 1))).isInstanceOf(IllegalStateException.class).hasMessageContaining("closed");
    fixture.close();
    fixture.close();
  }

  /** A batch holds a slot of its own for each token: nobody writes where another one reads. */
  @Test
  void slotsOfAStepAreDistinctAndInsideTheTables() throws Exception {
    AtomicReference<String> problem = new AtomicReference<>();
    try (EngineFixture fixture = new EngineFixture(directory, setup().withPages(10).withPrefixReuse().withStep(step -> batch -> {
      check(batch, problem);
      return step.forward(batch);
    }))) {
      List<Collector> all = IntStream.range(0, 12).mapToObj(i -> fixture.start(Ask.of(prompt(60 + i % 3), 90))).toList();
      for (Collector one : all) {
        one.await();
      }
      assertThat(problem.get()).isNull();
    }
  }

  private static void check(StepBatch batch, AtomicReference<String> problem) {
    long distinct = Arrays.stream(batch.slots()).distinct().count();
    if (distinct != batch.slots().length || Arrays.stream(batch.slots()).anyMatch(slot -> slot < 0)) {
      problem.set("slots " + Arrays.toString(batch.slots()));
    }
    for (int s = 0; s < batch.ragged().sequences(); s++) {
      int[] table = batch.ragged().pageTable()[s];
      long keys = batch.ragged().keyCount()[s];
      long last = batch.slots()[(int) batch.ragged().queryBegin()[s + 1] - 1];
      if (table[(int) ((keys - 1) / 64)] != last / 64) {
        problem.set("sequence " + s + " writes its last token outside of its table");
      }
    }

  }
}
