package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.TestDevices;
import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Logits, hidden states and greedy ids of whole models against what other implementations computed. */
class ReferenceOutputsTest {
  private static final double TOLERANCE = 1e-4;
  private static final List<String> RANDOM =
      List.of("random/llama3-rope", "random/mistral-window", "random/qwen2", "random/mixtral", "random/gpt2");
  private static final List<String> TRAINED = List.of("stories260K", "stories15M", "minimind2-small");

  /**
   * The recorded outputs of {@code random/*} come from models that were cast to bfloat16 as a whole, rotary frequencies included;
   * those of the trained models from models as they are loaded.
   */
  private static ModelRun open(String name, Backend backend) {
    ModelOptions options = ModelOptions.defaults().withRopeType(name.startsWith("random/") ? DType.BF16 : DType.F32);
    return new ModelRun(SharedModels.directory(name), backend, options, 64, DType.F32);
  }

  static List<Arguments> decoders() {
    List<Arguments> cases = new ArrayList<>();
    for (BackendOptions backend : TestBackends.all()) {
      List<String> models = new ArrayList<>(RANDOM);
      models.add("stories260K");
      if (backend != TestBackends.JAVA && backend.isa() != BackendOptions.Isa.REFERENCE && !TestDevices.EMULATED) {
        models = new ArrayList<>(RANDOM);
        models.addAll(TRAINED);
      }
      models.forEach(model -> cases.add(Arguments.of(model, backend)));
    }
    return cases;
  }

  @ParameterizedTest
  @MethodSource("decoders")
  void logitsAndHiddenStates(String name, BackendOptions options) {
    List<SharedModels.Expected> expected = SharedModels.expected(name);
    try (Backend backend = Backends.open(options); ModelRun run = open(name, backend)) {
      for (int i = 0; i < expected.size(); i++) {
        SharedModels.Expected prompt = expected.get(i);
        float[][] logits = run.logits(prompt.prompt());
        for (int t = 0; t < logits.length; t++) {
          Numbers.assertClose(name + ", prompt " + i + ", logits of token " + t, logits[t], prompt.logits()[t], TOLERANCE);
        }
        if (!prompt.hidden().isEmpty()) {
          List<float[]> hidden = run.hidden(prompt.prompt());
          assertThat(hidden).hasSameSizeAs(prompt.hidden());
          for (int layer = 0; layer < hidden.size(); layer++) {
            Numbers.assertClose(name + ", hidden state " + layer, hidden.get(layer), prompt.hidden().get(layer), TOLERANCE);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("decoders")
  void greedyIds(String name, BackendOptions options) {
    try (Backend backend = Backends.open(options); ModelRun run = open(name, backend)) {
      for (SharedModels.Expected prompt : SharedModels.expected(name)) {
        assertThat(run.greedy(prompt.greedy().length, prompt.prompt())).as(name).containsExactly(prompt.greedy());
      }
    }
  }

  static List<BackendOptions> backends() {
    return TestBackends.all();
  }

  @ParameterizedTest
  @MethodSource("backends")
  void bert(BackendOptions options) {
    List<SharedModels.Expected> expected = SharedModels.expected("random/bert");
    try (Backend backend = Backends.open(options); ModelRun run = new ModelRun(SharedModels.directory("random/bert"), backend)) {
      assertThat(run.model.hasLogits()).isFalse();
      ModelRun.Share[] batch = new ModelRun.Share[expected.size()];
      for (int i = 0; i < expected.size(); i++) {
        int[] prompt = expected.get(i).prompt();
        List<float[]> layers = run.hidden(prompt);
        assertThat(layers).hasSize(run.model.config().layers() + 1);
        Numbers.assertClose("prompt " + i + " alone", layers.get(layers.size() - 1), expected.get(i).lastHidden(), TOLERANCE);
        batch[i] = new ModelRun.Share(run.lane(prompt), prompt.length, false);
      }
      float[] together = run.step(StepBatch.Hidden.LAST, batch).hidden().toArray();
      int hidden = run.model.config().hiddenSize();
      int row = 0;
      for (int i = 0; i < expected.size(); i++) {
        float[] own = Arrays.copyOfRange(together, row * hidden, (row + batch[i].count()) * hidden);
        Numbers.assertClose("prompt " + i + " beside the others", own, expected.get(i).lastHidden(), TOLERANCE);
        row += batch[i].count();
        batch[i].lane().close();
      }
    }
  }

  /** A mixture of equal experts, and one that is a dense network cut into pieces, compute what the dense network computes. */
  @ParameterizedTest
  @MethodSource("backends")
  void mixturesEqualTheDenseModel(BackendOptions options) {
    List<SharedModels.Expected> dense = SharedModels.expected("stories260K");
    for (String name : List.of("stories260K-moe-clone", "stories260K-moe-split")) {
      try (Backend backend = Backends.open(options); ModelRun run = open(name, backend)) {
        for (SharedModels.Expected prompt : dense) {
          float[][] logits = run.logits(prompt.prompt());
          for (int t = 0; t < logits.length; t++) {
            Numbers.assertClose(name + ", token " + t, logits[t], prompt.logits()[t], TOLERANCE);
          }
          assertThat(run.greedy(prompt.greedy().length, prompt.prompt())).as(name).containsExactly(prompt.greedy());
        }
      }
    }
  }

  /** Keys and values in fewer bits, and attention in products of fewer bits, change logits by little. */
  @ParameterizedTest
  @MethodSource("backends")
  void keysAndValuesInFewerBits(BackendOptions options) {
    SharedModels.Expected prompt = SharedModels.expected("stories260K").get(2);
    try (Backend backend = Backends.open(options)) {
      for (DType dtype : List.of(DType.BF16, DType.F16, DType.S8)) {
        for (Compute compute : List.of(Compute.EXACT, Compute.BF16, Compute.F16)) {
          ModelOptions model = ModelOptions.defaults().withCompute(compute);
          try (ModelRun run = new ModelRun(SharedModels.directory("stories260K"), backend, model, 8, dtype)) {
            float[][] logits = run.logits(prompt.prompt());
            for (int t = 0; t < logits.length; t++) {
              // A head of 8 dimensions leaves an int8 row's rounding hardly anything to average over.
              double tolerance = dtype == DType.S8 ? 1.0 : dtype == DType.F16 ? 0.04 : 0.3;
              Numbers.assertClose(dtype + " " + compute + " token " + t, logits[t], prompt.logits()[t], tolerance);
            }
          }
        }
      }
    }
  }
}
