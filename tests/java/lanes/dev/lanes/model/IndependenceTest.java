package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.backend.Op;
import dev.lanes.cache.PrefixVariant;
import dev.lanes.cache.SequencePages;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The logits of a sequence are the same bits whatever runs beside it, however its prompt is cut, with any number of threads, wherever
 * its pages lie, and whether its beginning was computed or found in the cache.
 */
class IndependenceTest {
  private static final long SEED = Long.getLong("lanes.test.seed", 1234);
  private static final int PROMPT = 300;
  private static final int PAGES = 64;

  @TempDir
  Path temporary;

  private static List<BackendOptions> backends() {
    return TestBackends.all();
  }

  static List<Arguments> cases() {
    List<Arguments> cases = new ArrayList<>();
    for (BackendOptions backend : backends()) {
      for (String model : List.of("llama", "random/mistral-window", "random/qwen2", "random/mixtral", "random/llama3-rope", "llama w8a8",
          "golden/mixed", "random/mixtral w8a8", "llama, int8 cache", "random/mistral-window, int8 cache", "llama, bf16 cache",
          "llama, f16 cache")) {
        cases.add(Arguments.of(model, backend));
      }
    }
    return cases;
  }

  private Path directory(String name) {
    String model = name.replace(" w8a8", "").replaceFirst(", .* cache", "");
    if (model.startsWith("golden/")) {
      return QuantizedModelTest.golden(model.substring("golden/".length()));
    }
    return model.equals("llama") ? ModelFiles.randomLlama(new Random(SEED), 2).write(temporary.resolve("llama"))
        : SharedModels.directory(model);
  }

  private ModelRun open(String model, Backend backend) {
    boolean quantize = model.endsWith(" w8a8");
    ModelOptions options = ModelOptions.defaults().withQuantization(quantize ? Quantization.W8A8 : Quantization.NONE)
        .withQuantizeHead(quantize);
    DType cache = model.endsWith(", int8 cache") ? DType.S8 : model.endsWith(", bf16 cache") ? DType.BF16
        : model.endsWith(", f16 cache") ? DType.F16 : DType.F32;
    if (cache == DType.BF16) {
      options = options.withCompute(Compute.BF16);
    }
    return new ModelRun(directory(model), backend, options, PAGES, cache);
  }

  private static int[] prompt(ModelRun run, int length, int salt) {
    return new Random(SEED + salt).ints(length, 0, run.model.config().vocabSize()).toArray();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void chunksOfAPrompt(String model, BackendOptions options) {
    try (Backend backend = Backends.open(options); ModelRun run = open(model, backend)) {
      int[] prompt = prompt(run, PROMPT, 0);
      float[][] whole = run.logits(prompt);
      for (int chunk : new int[] {1, 16, 33, 256}) {
        try (ModelRun.Lane lane = run.lane(prompt)) {
          assertSame(model + " in chunks of " + chunk, run.logits(lane, chunk), whole);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void companyInTheBatch(String model, BackendOptions options) {
    try (Backend backend = Backends.open(options); ModelRun run = open(model, backend)) {
      int[] prompt = prompt(run, 70, 0);
      float[][] alone = run.logits(prompt);
      for (int others : new int[] {1, 2, 7, 16}) {
        assertSame(model + " beside " + others, beside(run, prompt, others), alone);
      }
    }
  }

  /** Runs a prompt in chunks of varying size, every step beside prompts and decode steps of others, in a random place of the batch. */
  private static float[][] beside(ModelRun run, int[] prompt, int others) {
    Random random = new Random(SEED + others);
    List<ModelRun.Lane> company = new ArrayList<>();
    for (int i = 0; i < others; i++) {
      company.add(run.lane(prompt(run, 150, i + 1)));
    }
    List<float[]> logits = new ArrayList<>();
    try (ModelRun.Lane lane = run.lane(prompt)) {
      while (lane.waiting() > 0) {
        int place = random.nextInt(others + 1);
        int count = Math.min(lane.waiting(), 1 + random.nextInt(30));
        ModelRun.Share[] shares = new ModelRun.Share[others + 1];
        int before = 0;
        for (int i = 0; i <= others; i++) {
          if (i == place) {
            shares[i] = new ModelRun.Share(lane, count, false);
          } else {
            ModelRun.Lane other = company.get(i < place ? i : i - 1);
            shares[i] = new ModelRun.Share(other, Math.min(other.waiting(), random.nextBoolean() ? 1 : 5), false);
          }
          before += i < place ? shares[i].count() : 0;
        }
        float[][] rows = SharedModels.rows(run.step(StepBatch.Hidden.NONE, shares).logits().toArray(),
            Arrays.stream(shares).mapToInt(ModelRun.Share::count).sum());
        logits.addAll(Arrays.asList(rows).subList(before, before + count));
      }
    }
    company.forEach(ModelRun.Lane::close);
    return logits.toArray(new float[0][]);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void threads(String model, BackendOptions options) {
    float[][] expected = null;
    for (int threads : new int[] {1, 2, 3}) {
      try (Backend backend = Backends.open(options.withThreads(threads)); ModelRun run = open(model, backend)) {
        assertThat(backend.info().threads()).isEqualTo(threads);
        float[][] logits = run.logits(prompt(run, PROMPT, 0));
        if (expected != null) {
          assertSame(model + " on " + threads + " threads", logits, expected);
        }
        expected = logits;
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void placeOfPages(String model, BackendOptions options) {
    try (Backend backend = Backends.open(options); ModelRun run = open(model, backend)) {
      int[] prompt = prompt(run, PROMPT, 0);
      float[][] expected = run.logits(prompt);
      Random random = new Random(SEED);
      List<SequencePages> holes = new ArrayList<>();
      for (int i = 0; i < PAGES / 2; i++) {
        holes.add(run.cache.sequence());
        holes.get(i).reserve(1);
      }
      for (int i = 0; i < PAGES / 4; i++) {
        holes.remove(random.nextInt(holes.size())).close();
      }
      try (ModelRun.Lane lane = run.lane(prompt)) {
        assertSame(model + " on scattered pages", run.logits(lane, 50), expected);
      }
      holes.forEach(SequencePages::close);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void beginningFromTheCache(String model, BackendOptions options) {
    try (Backend backend = Backends.open(options); ModelRun run = open(model, backend)) {
      int[] prompt = prompt(run, PROMPT, 0);
      float[][] expected = run.logits(prompt);
      try (ModelRun.Lane first = run.lane(PrefixVariant.FULL, prompt)) {
        assertThat(first.done).as("a miss").isZero();
        run.logits(first, 100);
        run.cache.remember(first.pages, prompt, prompt.length, PrefixVariant.FULL);
      }
      try (ModelRun.Lane second = run.lane(PrefixVariant.FULL, prompt)) {
        assertThat(second.done).as("a hit").isEqualTo(256);
        float[][] rest = run.logits(second, Integer.MAX_VALUE);
        assertSame(model + " after a hit", rest, Arrays.copyOfRange(expected, 256, PROMPT));
      }
    }
  }

  /** Pages behind the window of every layer are given up while a sequence goes on, and others write to them. */
  @ParameterizedTest
  @MethodSource("cases")
  void pagesThatLeftTheWindow(String model, BackendOptions options) {
    try (Backend backend = Backends.open(options); ModelRun run = open(model, backend)) {
      int window = run.model.widestWindow();
      PrefixVariant variant = window > 0 ? PrefixVariant.FULL : new PrefixVariant(40, 3);
      int keep = window > 0 ? window : 40;
      int[] prompt = prompt(run, PROMPT, 0);
      float[][] expected;
      try (ModelRun.Lane lane = new ModelRun.Lane(run.cache.sequence(), prompt, variant)) {
        expected = run.logits(lane, Integer.MAX_VALUE);
      }
      List<float[]> logits = new ArrayList<>();
      try (ModelRun.Lane lane = new ModelRun.Lane(run.cache.sequence(), prompt, variant)) {
        int given = 0;
        while (lane.waiting() > 0) {
          int count = Math.min(17, lane.waiting());
          given += lane.pages.evictBefore(Math.max(0, lane.done - keep + 1), (int) variant.sinks());
          logits.addAll(Arrays.asList(SharedModels.rows(
              run.step(StepBatch.Hidden.NONE, new ModelRun.Share(lane, count, false)).logits().toArray(), count)));
        }
        assertThat(given).as("pages given up").isGreaterThanOrEqualTo(window > 0 ? 4 : 2);
      }
      assertSame(model + " without old pages", logits.toArray(new float[0][]), expected);
    }
  }

  /** The control: an op whose result depends on the size of the batch, if only in the last bit, must be seen. */
  @ParameterizedTest
  @MethodSource("backends")
  void aBackendThatBreaksTheRuleIsFound(BackendOptions options) {
    Path directory = directory("llama");
    try (Backend honest = Backends.open(options); Backend backend = new DelegatingBackend(honest) {
      @Override
      public void linear(Op.Linear op) {
        super.linear(op);
        if (op.x().rows() > 20) {
          float[] y = op.y().toArray();
          for (int i = 0; i < y.length; i++) {
            y[i] = Math.nextUp(y[i]);
          }
          op.y().copyFrom(y, 0);
        }
      }
    }; ModelRun run = new ModelRun(directory, backend)) {
      int[] prompt = prompt(run, 100, 0);
      float[][] whole = run.logits(prompt);
      try (ModelRun.Lane lane = run.lane(prompt)) {
        assertThat(sameBits(run.logits(lane, 16), whole)).as("chunks of 16 against all at once").isFalse();
      }
      assertThat(sameBits(beside(run, Arrays.copyOf(prompt, 10), 7), run.logits(Arrays.copyOf(prompt, 10))))
          .as("in a batch against alone").isFalse();
    }
  }

  private static void assertSame(String what, float[][] actual, float[][] expected) {
    assertThat(actual.length).as(what).isEqualTo(expected.length);
    for (int t = 0; t < actual.length; t++) {
      Numbers.assertSameBits(what + " (seed " + SEED + "), token " + t, actual[t], expected[t]);
    }
  }

  private static boolean sameBits(float[][] a, float[][] b) {
    return Arrays.deepEquals(a, b);
  }
}
