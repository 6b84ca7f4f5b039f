package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.TestDevices;
import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendInfo;
import dev.lanes.backend.Backends;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Rows between ops that are kept as bfloat16 change no bit: layers with such weights would round them so. */
class RowFormsTest {
  private static final long SEED = 20261120;

  /** Looks like a GPU, whose rows are bfloat16; or gives float32 instead, so that rows reach their layers as they were computed. */
  private static final class Rows extends DelegatingBackend {
    private final boolean rounded;
    private int narrow;

    Rows(Backend inner, boolean rounded) {
      super(inner);
      this.rounded = rounded;
    }

    @Override
    public BackendInfo info() {
      BackendInfo own = super.info();
      return new BackendInfo("cuda", own.device(), own.isa(), own.threads(), own.bf16Dot(), own.library(), own.why(),
          own.implementations());
    }

    @Override
    public Tensor tensor(MemoryTag tag, int rows, int columns, DType dtype) {
      narrow += dtype == DType.BF16 ? 1 : 0;
      return super.tensor(tag, rows, columns, rounded ? dtype : DType.F32);
    }
  }

  /** Models with and without gates, biases, experts and norms behind the sum; one whose layers take int8 rows, and whose head does not. */
  static List<Arguments> cases() {
    List<Arguments> cases = new ArrayList<>();
    for (BackendOptions backend : TestDevices.CUDA ? List.of(TestBackends.best()) : TestBackends.all()) {
      for (String model : List.of("random/llama3-rope", "random/qwen2", "random/mixtral", "random/gpt2", "random/bert",
          "random/mixtral w8a8")) {
        cases.add(Arguments.of(model, backend));
      }
    }
    return cases;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void bfloat16RowsChangeNoBit(String model, BackendOptions options) {
    Path directory = SharedModels.directory(model.replace(" w8a8", ""));
    ModelOptions how = ModelOptions.defaults().withWeightType(DType.BF16).withCompute(Compute.BF16)
        .withQuantization(model.endsWith(" w8a8") ? Quantization.W8A8 : Quantization.NONE);
    try (Backend backend = Backends.open(options);
        Rows rounded = new Rows(backend, true);
        Rows unrounded = new Rows(backend, false);
        ModelRun narrow = new ModelRun(directory, rounded, how, 16, DType.F32);
        ModelRun wide = new ModelRun(directory, unrounded, how, 16, DType.F32)) {
      int[] prompt = new Random(SEED).ints(TestDevices.EMULATED ? 7 : 70, 0, narrow.model.config().vocabSize()).toArray();
      same(model, narrow.hidden(prompt), wide.hidden(prompt));
      if (narrow.model.hasLogits()) {
        same(model, List.of(narrow.logits(prompt)), List.of(wide.logits(prompt)));
        assertThat(narrow.greedy(3, prompt)).isEqualTo(wide.greedy(3, prompt));
      }
      assertThat(rounded.narrow > 0).as("rows of bfloat16 on %s", backend.info().isa()).isEqualTo(backend.info().bf16Dot());
      assertThat(unrounded.narrow).isEqualTo(rounded.narrow);
    }
  }

  private static void same(String what, List<float[]> narrow, List<float[]> wide) {
    assertThat(narrow).hasSameSizeAs(wide);
    for (int i = 0; i < narrow.size(); i++) {
      Numbers.assertSameBits(what + ", row or layer " + i, narrow.get(i), wide.get(i));
    }
  }
}
