package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.Op;
import dev.lanes.backend.Tensor;
import dev.lanes.cache.PrefixVariant;
import dev.lanes.error.InsufficientMemoryException;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.ModelConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What a step takes and gives, and what it costs in memory. */
class StepTest {
  private static final long SEED = Long.getLong("lanes.test.seed", 99);

  @TempDir
  Path temporary;

  static List<BackendOptions> backends() {
    return TestBackends.all();
  }

  private Path llama(int layers) {
    return ModelFiles.randomLlama(new Random(SEED), layers).write(temporary.resolve("llama" + layers));
  }

  private static int[] tokens(int count) {
    return new Random(SEED).ints(count, 0, 50).toArray();
  }

  /**
   * StreamingLLM: with one layer, keys and values depend on a token and its position alone. A query far into the text, with positions
   * re-numbered inside the cache, therefore computes what it would in a text of sinks and window only.
   */
  @ParameterizedTest
  @MethodSource("backends")
  void reNumberedPositionsAreThoseOfAShorterText(BackendOptions options) {
    int sinks = 3;
    int window = 40;
    int[] text = tokens(200);
    try (Backend backend = Backends.open(options); ModelRun run = new ModelRun(llama(1), backend)) {
      PrefixVariant variant = new PrefixVariant(window, sinks);
      List<float[]> logits = new ArrayList<>();
      try (ModelRun.Lane lane = new ModelRun.Lane(run.cache.sequence(), text, variant)) {
        while (lane.waiting() > 0) {
          int count = Math.min(lane.waiting(), 23);
          logits.addAll(Arrays.asList(SharedModels.rows(
              run.step(StepBatch.Hidden.NONE, new ModelRun.Share(lane, count, true)).logits().toArray(), count)));
        }
      }
      for (int last : new int[] {10, sinks + window - 1, sinks + window, 100, 199}) {
        int begin = Math.max(sinks, last - window + 1);
        int[] shortText = new int[sinks + last - begin + 1];
        System.arraycopy(text, 0, shortText, 0, sinks);
        System.arraycopy(text, begin, shortText, sinks, last - begin + 1);
        float[][] expected = run.logits(shortText);
        Numbers.assertClose("token " + last, logits.get(last), expected[expected.length - 1], 2e-5);
      }
      // The control: without re-numbering the sinks are as far away as they stand in the text.
      try (ModelRun.Lane lane = new ModelRun.Lane(run.cache.sequence(), text, variant)) {
        float[][] plain = run.logits(lane, 23);
        assertThat(plain[20]).containsExactly(logits.get(20));
        assertThat(distance(plain[199], logits.get(199))).isGreaterThan(1e-3);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("backends")
  void aWindowSeesExactlyItsTokens(BackendOptions options) {
    int window = 7;
    int[] text = tokens(80);
    try (Backend backend = Backends.open(options); ModelRun run = new ModelRun(llama(1), backend)) {
      try (ModelRun.Lane lane = new ModelRun.Lane(run.cache.sequence(), text, new PrefixVariant(window, 0))) {
        float[][] logits = run.logits(lane, 100);
        for (int last : new int[] {5, 6, 7, 63, 64, 79}) {
          // With one layer and relative positions, a query of the windowed text is the last one of a text of that window.
          float[][] expected = run.logits(Arrays.copyOfRange(text, Math.max(0, last - window + 1), last + 1));
          Numbers.assertClose("token " + last, logits[last], expected[expected.length - 1], 2e-5);
        }
      }
    }
  }

  /** A layer's own window and the policy's: the narrower one holds, layer by layer. */
  @Test
  void layersNarrowTheWindowsOfThePolicy() {
    List<Long> windows = new ArrayList<>();
    ModelFiles files = ModelFiles.copyOf(SharedModels.directory("random/qwen2")).change(f -> {
      f.config.put("use_sliding_window", true).put("sliding_window", 12).put("max_window_layers", 0);
      f.config.putArray("layer_types").add("full_attention").add("sliding_attention").add("full_attention");
    });
    try (Backend backend = Backends.open(TestBackends.JAVA); Backend watching = new DelegatingBackend(backend) {
      @Override
      public void attention(Op.Attention op) {
        windows.add(op.ragged().window()[0]);
        super.attention(op);
      }
    }; ModelRun run = new ModelRun(files.write(temporary.resolve("windows")), watching)) {
      assertThat(run.model.widestWindow()).isZero();
      for (long window : new long[] {0, 5, 100}) {
        try (ModelRun.Lane lane = new ModelRun.Lane(run.cache.sequence(), tokens(20), new PrefixVariant(window, 0))) {
          run.logits(lane, 20);
        }
      }
      assertThat(windows).containsExactly(0L, 12L, 0L, 5L, 5L, 5L, 100L, 12L, 100L);
    }
  }

  @ParameterizedTest
  @MethodSource("backends")
  void logitsOfChosenRowsAreThoseOfAllRows(BackendOptions options) {
    int[] text = tokens(30);
    try (Backend backend = Backends.open(options); ModelRun run = new ModelRun(llama(2), backend)) {
      float[][] all = run.logits(text);
      for (StepBatch.Hidden hidden : StepBatch.Hidden.values()) {
        try (ModelRun.Lane first = run.lane(text); ModelRun.Lane second = run.lane(Arrays.copyOf(text, 11))) {
          StepOutput output = run.step(hidden, false, new ModelRun.Share(first, 30, false), new ModelRun.Share(second, 11, false));
          assertThat(output.logits().rows()).isEqualTo(2);
          float[] logits = output.logits().toArray();
          Numbers.assertSameBits("last of 30", Arrays.copyOf(logits, 50), all[29]);
          Numbers.assertSameBits("last of 11", Arrays.copyOfRange(logits, 50, 100), all[10]);
          assertThat(output.hidden() == null).isEqualTo(hidden == StepBatch.Hidden.NONE);
          assertThat(output.layers()).hasSize(hidden == StepBatch.Hidden.ALL ? 3 : 0);
          if (hidden == StepBatch.Hidden.ALL) {
            assertThat(output.layers().get(2)).containsExactly(output.hidden().toArray());
          }
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(value = Compute.class, names = {"EXACT", "BF16"})
  void footprintIsWhatLoadingAndSteppingTake(Compute compute) {
    ModelOptions how = ModelOptions.defaults().withCompute(compute);
    for (String name : List.of("random/qwen2", "random/mixtral", "random/gpt2", "random/bert")) {
      Path directory = SharedModels.directory(name);
      for (BackendOptions options : backends()) {
        try (Backend backend = Backends.open(options)) {
          ModelFootprint before;
          try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            before = ModelFootprint.of(checkpoint, ModelConfig.load(directory), backend, how);
          }
          // Kernels have work space of their own, taken when first needed.
          try (ModelRun warm = new ModelRun(directory, backend, how, 64, DType.F32); ModelRun.Lane lane = warm.lane(tokens(100))) {
            warm.step(StepBatch.Hidden.LAST, false, new ModelRun.Share(lane, 100, false));
          }
          long scratch = live(backend, MemoryTag.SCRATCH);
          long weights = live(backend, MemoryTag.WEIGHTS);
          long kv = live(backend, MemoryTag.KV);
          for (DType dtype : DType.values()) {
            try (KvPages pages = backend.kvPages(before.kvSpec(16, dtype))) {
              assertThat(live(backend, MemoryTag.KV) - kv).as("%s %s", name, dtype).isEqualTo(before.kvBytes(16, dtype))
                  .isEqualTo(pages.bytes());
            }
          }
          try (ModelRun run = new ModelRun(directory, backend, how, 16, DType.BF16)) {
            assertThat(live(backend, MemoryTag.WEIGHTS) - weights).as(name).isEqualTo(before.weightBytes())
                .isEqualTo(run.model.footprint().weightBytes());
            assertThat(live(backend, MemoryTag.KV) - kv).isEqualTo(before.kvBytes(16, DType.BF16));
            assertThat(before.kvBytesPerToken(DType.BF16) * 16 * KvPages.PAGE_TOKENS).isEqualTo(before.kvBytes(16, DType.BF16));
            run.model.prepare(100, run.model.hasLogits() ? 5 : 0);
            long prepared = live(backend, MemoryTag.SCRATCH) - scratch;
            assertThat(prepared).isPositive().isLessThanOrEqualTo(before.scratchBytes(100, 5));
            try (ModelRun.Lane lane = run.lane(tokens(100))) {
              run.step(StepBatch.Hidden.LAST, false, new ModelRun.Share(lane, 100, false));
            }
            assertThat(live(backend, MemoryTag.SCRATCH) - scratch).as("%s after a step as large as prepared", name).isEqualTo(prepared);
          }
        }
      }
    }
  }

  @Test
  void whatDoesNotFitIsRefusedWithItsSum() {
    try (Backend backend = Backends.open(TestBackends.best()); ModelRun run = new ModelRun(llama(2), backend)) {
      ModelFootprint footprint = run.model.footprint();
      long total = footprint.weightBytes() + footprint.kvBytes(1000, DType.F32) + footprint.scratchBytes(512, 8);
      assertThat(footprint.totalBytes(1000, DType.F32, 512, 8)).isEqualTo(total);
      footprint.requireFits(1000, DType.F32, 512, 8, total);
      assertThatThrownBy(() -> footprint.requireFits(1000, DType.F32, 512, 8, total - 1))
          .isInstanceOfSatisfying(InsufficientMemoryException.class, e -> {
            assertThat(e.requiredBytes()).isEqualTo(total);
            assertThat(e.availableBytes()).isEqualTo(total - 1);
          })
          .hasMessageContaining("weights").hasMessageContaining("KV cache").hasMessageContaining("64,000 tokens")
          .hasMessageContaining("buffers").hasMessageContaining("available");
    }
  }

  @Test
  void aDecodeStepAllocatesNothing() {
    List<String> made = new ArrayList<>();
    try (Backend backend = Backends.open(TestBackends.JAVA); Backend watching = new DelegatingBackend(backend) {
      @Override
      public Tensor tensor(MemoryTag tag, int rows, int columns, DType dtype) {
        made.add(tag + " " + rows + " " + columns);
        return super.tensor(tag, rows, columns, dtype);
      }
    }; ModelRun run = new ModelRun(llama(2), watching); ModelRun.Lane lane = run.lane(tokens(100))) {
      run.step(StepBatch.Hidden.NONE, false, new ModelRun.Share(lane, 50, false));
      made.clear();
      for (int i = 0; i < 50; i++) {
        run.step(StepBatch.Hidden.NONE, false, new ModelRun.Share(lane, 1, false));
      }
      assertThat(made).isEmpty();
    }
  }

  @Test
  void aBatchThatContradictsItselfIsRefused() {
    try (Backend backend = Backends.open(TestBackends.best()); ModelRun run = new ModelRun(llama(1), backend)) {
      Op.Ragged two = new Op.Ragged(new long[] {0, 2}, new long[] {2}, new int[][] {{0}}, new long[] {0}, new long[] {0});
      int[] tokens = {1, 2};
      long[] ok = {0, 1};
      refused(run, batch(run, new int[0], new long[0], new long[0], two, new int[0]), "at least one token");
      refused(run, batch(run, tokens, new long[] {0}, ok, two, new int[0]), "1 positions");
      refused(run, batch(run, tokens, ok, new long[3], two, new int[0]), "3 slots");
      refused(run, batch(run, tokens, new long[] {0, -1}, ok, two, new int[0]), "position -1");
      refused(run, batch(run, tokens, ok, ok, two, new int[] {2}), "logitRows[0] is 2");
      refused(run, batch(run, tokens, ok, ok, two, new int[] {1, 1}), "logitRows[1] is 1");
      refused(run, batch(run, new int[] {1, 50}, ok, ok, two, new int[] {1}), "50");
      try (KvPages other = backend.kvPages(new KvPages.Spec(1, 3, 2, 8, DType.F32))) {
        refused(run, new StepBatch(tokens, ok, null, other, ok, two, new int[0], StepBatch.Hidden.NONE), "not those of this model");
      }
      Path gpt2 = SharedModels.directory("random/gpt2");
      try (ModelRun learned = new ModelRun(gpt2, backend)) {
        assertThat(learned.model.isRotary()).isFalse();
        refused(learned, batch(learned, tokens, new long[] {0, 256}, ok, two, new int[0]), "position 256");
        refused(learned, new StepBatch(tokens, ok, ok, learned.cache.pages(), ok, two, new int[0], StepBatch.Hidden.NONE), "rotary");
      }
      try (ModelRun encoder = new ModelRun(SharedModels.directory("random/bert"), backend)) {
        refused(encoder, batch(encoder, tokens, ok, ok, two, new int[] {1}), "no LM head");
        Op.Ragged part = new Op.Ragged(new long[] {0, 2}, new long[] {3}, new int[][] {{0}}, new long[] {0}, new long[] {0});
        refused(encoder, batch(encoder, tokens, ok, ok, part, new int[0]), "needs all of them");
      }
    }
  }

  @Test
  void aClosedModelRefusesWork() {
    try (Backend backend = Backends.open(TestBackends.best())) {
      try (ModelRun warm = new ModelRun(llama(1), backend)) {
        warm.logits(tokens(5));
      }
      long before = backend.memory().liveTotal();
      ModelRun run = new ModelRun(llama(1), backend);
      ModelRun.Lane lane = run.lane(tokens(5));
      run.step(StepBatch.Hidden.LAST, new ModelRun.Share(lane, 5, false));
      lane.append(1);
      run.model.close();
      run.model.close();
      assertThatIllegalStateException().isThrownBy(() -> run.step(StepBatch.Hidden.NONE, new ModelRun.Share(lane, 1, false)));
      assertThatIllegalStateException().isThrownBy(() -> run.model.prepare(1, 1));
      lane.close();
      run.close();
      assertThat(backend.memory().liveTotal()).isEqualTo(before);
    }
  }

  /** Whoever closes waits for the step that runs; whoever comes later is told. */
  @Test
  void closingWhileOthersStep() throws InterruptedException {
    Path directory = llama(2);
    try (Backend backend = Backends.open(TestBackends.best())) {
      for (int round = 0; round < 20; round++) {
        ModelRun run = new ModelRun(directory, backend);
        AtomicInteger steps = new AtomicInteger();
        Queue<Throwable> strange = new ConcurrentLinkedQueue<>();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
          ModelRun.Lane lane = run.lane(tokens(200));
          threads.add(new Thread(() -> {
            try (lane) {
              while (lane.waiting() > 0) {
                run.step(StepBatch.Hidden.NONE, false, new ModelRun.Share(lane, 1, false));
                steps.incrementAndGet();
              }
            } catch (IllegalStateException e) {
              if (!e.getMessage().contains("closed")) {
                strange.add(e);
              }
            } catch (Throwable e) {
              strange.add(e);
            }
          }));
        }
        threads.forEach(Thread::start);
        while (steps.get() < 10) {
          Thread.onSpinWait();
        }
        run.model.close();
        for (Thread thread : threads) {
          thread.join();
        }
        assertThat(strange).isEmpty();
        run.close();
      }
    }
  }

  /** Models converted to a narrower type compute what the narrower weights say. */
  @ParameterizedTest
  @MethodSource("backends")
  void weightsCanBeConverted(BackendOptions options) {
    Path wide = SharedModels.directory("random/llama3-rope");
    try (Backend backend = Backends.open(options);
        ModelRun stored = new ModelRun(wide, backend);
        ModelRun narrow = new ModelRun(wide, backend, ModelOptions.defaults().withWeightType(DType.BF16), 64, DType.F32)) {
      assertThat(narrow.model.footprint().weightBytes()).isLessThan(stored.model.footprint().weightBytes() * 6 / 10);
      int[] prompt = new Random(SEED).ints(40, 0, 320).toArray();
      float[][] expected = stored.logits(prompt);
      float[][] actual = narrow.logits(prompt);
      for (int t = 0; t < expected.length; t++) {
        // This model's weights are bfloat16 numbers held in float32.
        Numbers.assertClose("token " + t, actual[t], expected[t], 1e-5);
      }
    }
  }

  /** Activations rounded to bfloat16: other numbers where the CPU multiplies bfloat16, but close ones, and the same however cut. */
  @ParameterizedTest
  @MethodSource("backends")
  void bfloat16Arithmetic(BackendOptions options) {
    Path directory = SharedModels.directory("random/qwen2");
    int[] prompt = new Random(SEED).ints(70, 0, 320).toArray();
    try (Backend backend = Backends.open(options);
        ModelRun exact = new ModelRun(directory, backend);
        ModelRun rounded = new ModelRun(directory, backend, ModelOptions.defaults().withCompute(Compute.BF16), 64, DType.F32)) {
      float[][] expected = exact.logits(prompt);
      float[][] whole = rounded.logits(prompt);
      float[][] cut;
      try (ModelRun.Lane lane = rounded.lane(prompt)) {
        cut = rounded.logits(lane, 9);
      }
      double most = 0;
      for (int t = 0; t < prompt.length; t++) {
        Numbers.assertSameBits("token " + t, cut[t], whole[t]);
        most = Math.max(most, distance(whole[t], expected[t]));
      }
      assertThat(most).isLessThan(0.25);
      if (backend.info().bf16Dot()) {
        assertThat(most).isPositive();
      } else {
        assertThat(most).isZero();
      }
    }
  }

  private static StepBatch batch(ModelRun run, int[] tokens, long[] positions, long[] slots, Op.Ragged ragged, int[] rows) {
    return new StepBatch(tokens, positions, null, run.cache.pages(), slots, ragged, rows, StepBatch.Hidden.NONE);
  }

  private static void refused(ModelRun run, StepBatch batch, String message) {
    assertThatIllegalArgumentException().isThrownBy(() -> run.model.forward(batch)).withMessageContaining(message);
  }

  private static long live(Backend backend, MemoryTag tag) {
    return backend.memory().live().getOrDefault(tag, 0L);
  }

  private static double distance(float[] a, float[] b) {
    double most = 0;
    for (int i = 0; i < a.length; i++) {
      most = Math.max(most, Math.abs(a[i] - b[i]));
    }
    return most;
  }
}
