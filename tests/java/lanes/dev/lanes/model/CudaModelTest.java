package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.TestDevices;
import dev.lanes.backend.Backend;
import dev.lanes.backend.Backends;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.backend.MemoryTag;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Small models on a GPU, few tokens each, so that an emulated one comes to an end; the suites of all devices run on a real one. */
@EnabledIf("dev.lanes.TestDevices#cuda")
class CudaModelTest {
  private static final double TOLERANCE = 1e-4;
  private static final int GREEDY = TestDevices.EMULATED ? 5 : Integer.MAX_VALUE;

  private static Backend gpu;

  @TempDir
  Path temporary;

  @BeforeAll
  static void open() {
    gpu = Backends.open(TestBackends.best());
  }

  @AfterAll
  static void close() {
    Map<MemoryTag, Long> live = gpu.memory().live();
    gpu.close();
    assertThat(live).as("live bytes on the device").containsEntry(MemoryTag.WEIGHTS, 0L).containsEntry(MemoryTag.KV, 0L);
  }

  /** What other implementations gave; the recorded outputs of random models are those of models cast to bfloat16 as a whole. */
  @ParameterizedTest
  @ValueSource(strings = {"stories260K", "random/llama3-rope", "random/mistral-window", "random/qwen2", "random/mixtral", "random/gpt2"})
  void recordedOutputs(String name) {
    SharedModels.Expected expected = SharedModels.expected(name).get(0);
    ModelOptions options = ModelOptions.defaults().withRopeType(name.startsWith("random/") ? DType.BF16 : DType.F32);
    try (ModelRun run = new ModelRun(SharedModels.directory(name), gpu, options, 16, DType.F32)) {
      compare(name, run, expected);
    }
  }

  /** Experts that are all the dense network: routing, grouping and combining change nothing. */
  @Test
  void aMixtureEqualsTheDenseModel() {
    SharedModels.Expected dense = SharedModels.expected("stories260K").get(0);
    try (ModelRun run = new ModelRun(SharedModels.directory("stories260K-moe-clone"), gpu, ModelOptions.defaults(), 16, DType.F32)) {
      compare("stories260K-moe-clone", run, dense);
    }
  }

  private static void compare(String name, ModelRun run, SharedModels.Expected expected) {
    float[][] logits = run.logits(expected.prompt());
    for (int t = 0; t < logits.length; t++) {
      Numbers.assertClose(name + ", logits of token " + t, logits[t], expected.logits()[t], TOLERANCE);
    }
    int count = Math.min(GREEDY, expected.greedy().length);
    assertThat(run.greedy(count, expected.prompt())).as(name).isEqualTo(Arrays.copyOf(expected.greedy(), count));
  }

  @Test
  void anEncoder() {
    SharedModels.Expected expected = SharedModels.expected("random/bert").get(0);
    try (ModelRun run = new ModelRun(SharedModels.directory("random/bert"), gpu)) {
      List<float[]> layers = run.hidden(expected.prompt());
      Numbers.assertClose("hidden states", layers.get(layers.size() - 1), expected.lastHidden(), TOLERANCE);
    }
  }

  /** Fewer bits in weights, keys, values and products: near the same model on the CPU, and what int8 layers sum is exact. */
  @ParameterizedTest
  @CsvSource({"W8A8, F32, EXACT, 0.02", "NONE, BF16, EXACT, 0.02", "NONE, BF16, BF16, 0.2", "NONE, S8, EXACT, 0.1", "W8A8, S8, EXACT, 0.2"})
  void fewerBits(Quantization quantization, DType cache, Compute compute, double tolerance) {
    SharedModels.Expected prompt = SharedModels.expected("stories260K").get(0);
    ModelOptions options = ModelOptions.defaults().withQuantization(quantization).withQuantizeHead(quantization == Quantization.W8A8)
        .withCompute(compute);
    float[][] expected;
    try (Backend java = Backends.open(TestBackends.JAVA);
        ModelRun run = new ModelRun(SharedModels.directory("stories260K"), java, options, 8, cache)) {
      expected = run.logits(prompt.prompt());
    }
    try (ModelRun run = new ModelRun(SharedModels.directory("stories260K"), gpu, options, 8, cache)) {
      float[][] logits = run.logits(prompt.prompt());
      for (int t = 0; t < logits.length; t++) {
        Numbers.assertClose(quantization + " " + cache + " " + compute + " token " + t, logits[t], expected[t], tolerance);
      }
    }
  }

  /** What a user gets who asks for nothing: weights of 16 bits multiply in their own type; near the same model multiplied exactly. */
  @ParameterizedTest
  @CsvSource({"F32, EXACT, F32, 1e-4", "BF16, BF16, BF16, 0.2", "F16, F16, F16, 0.03"})
  void automaticChoices(DType weights, Compute compute, DType cache, double tolerance) {
    int[] prompt = SharedModels.expected("stories260K").get(0).prompt();
    Path directory = SharedModels.directory("stories260K");
    ModelOptions exact = ModelOptions.defaults().withWeightType(weights);
    float[][] expected;
    try (Backend java = Backends.open(TestBackends.JAVA); ModelRun run = new ModelRun(directory, java, exact, 8, DType.F32)) {
      assertThat(run.model.footprint().compute()).isEqualTo(Compute.EXACT);
      expected = run.logits(prompt);
    }
    ModelOptions automatic = exact.withAutomaticCompute();
    try (ModelRun run = new ModelRun(directory, gpu, automatic, 8, cache)) {
      assertThat(run.model.footprint().compute()).isEqualTo(compute);
      assertThat(run.model.footprint().cacheType()).isEqualTo(cache);
      float[][] logits = run.logits(prompt);
      double difference = 0;
      for (int t = 0; t < logits.length; t++) {
        Numbers.assertClose(weights + " token " + t, logits[t], expected[t], tolerance);
        for (int i = 0; i < logits[t].length; i++) {
          difference = Math.max(difference, Math.abs(logits[t][i] - expected[t][i]));
        }
      }
      assertThat(difference > 1e-4).as("16-bit products differ from exact ones, by %s", difference).isEqualTo(compute != Compute.EXACT);
    }
  }

  /** The same bits whatever runs beside it, and however its prompt is cut. */
  @ParameterizedTest
  @CsvSource({"NONE, F32, EXACT", "W8A8, S8, EXACT", "NONE, BF16, BF16"})
  void independence(Quantization quantization, DType cache, Compute compute) {
    Path directory = ModelFiles.randomLlama(new Random(7), 1).write(temporary.resolve("llama"));
    ModelOptions options = ModelOptions.defaults().withQuantization(quantization).withCompute(compute);
    try (ModelRun run = new ModelRun(directory, gpu, options, 16, cache)) {
      int vocabulary = run.model.config().vocabSize();
      int[] prompt = new Random(8).ints(70, 0, vocabulary).toArray();
      float[][] alone = run.logits(prompt);
      for (int chunk : new int[] {1, 33}) {
        int cut = chunk == 1 ? 66 : 0;
        try (ModelRun.Lane lane = run.lane(prompt); ModelRun.Lane other = run.lane(new Random(9).ints(70, 0, vocabulary).toArray())) {
          int at = 0;
          while (lane.waiting() > 0) {
            int count = at < cut ? cut : Math.min(chunk, lane.waiting());
            int beside = Math.min(3, other.waiting());
            float[][] rows = SharedModels.rows(run.step(StepBatch.Hidden.NONE, new ModelRun.Share(other, beside, false),
                new ModelRun.Share(lane, count, false)).logits().toArray(), beside + count);
            for (int i = 0; i < count; i++, at++) {
              Numbers.assertSameBits("token " + at + " in chunks of " + chunk, rows[beside + i], alone[at]);
            }
          }
        }
      }
    }
  }
}
