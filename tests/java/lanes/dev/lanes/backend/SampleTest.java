package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** From logits to tokens: the same choices on every backend, and the meaning of each option. */
@ExtendWith(MemoryBaseline.class)
class SampleTest {
  private static final int[] NONE = {};

  private static int[] sample(Backend backend, float[] logits, SampleRow... rows) {
    return sample(backend, logits, null, rows);
  }

  private static int[] sample(Backend backend, float[] logits, float[] logProbability, SampleRow... rows) {
    int vocabulary = logits.length / rows.length;
    try (Tensor t = TestBackends.tensor(backend, rows.length, vocabulary, logits)) {
      int[] token = new int[rows.length];
      backend.sample(new Op.Sample(t, rows, token, logProbability));
      return token;
    }
  }

  @Test
  void everyBackendChoosesTheSameTokens() {
    TestInputs inputs = new TestInputs("sample");
    try (OpComparison comparison = new OpComparison()) {
      for (int vocabulary : new int[] {1, 2, 17, 512, 5000}) {
        int rows = 24;
        float[] logits = inputs.floats(rows * vocabulary);
        SampleRow[] how = new SampleRow[rows];
        for (int i = 0; i < rows; i++) {
          how[i] = new SampleRow(i % 6 == 0 ? 0 : 0.3f + 0.2f * (i % 5), i % 4 == 0 ? 0 : 1 + i * 3, i % 3 == 0 ? 1 : 0.5f + 0.02f * i,
              i % 5 == 0 ? 0.05f : 0, i % 2 == 0 ? 1 : 1.3f, inputs.random().nextLong(), inputs.random().nextLong(),
              inputs.ints(i, vocabulary));
        }
        comparison.same("vocabulary " + vocabulary, backend -> sample(backend, logits, how));
        comparison.within("log-probabilities of " + vocabulary, 2e-6 * 12, backend -> {
          float[] logProbability = new float[rows];
          sample(backend, logits, logProbability, how);
          return logProbability;
        });
      }
    }
  }

  @Test
  void topLogProbabilitiesAgree() {
    TestInputs inputs = new TestInputs("top");
    try (OpComparison comparison = new OpComparison()) {
      for (int vocabulary : new int[] {1, 5, 300, 3000}) {
        float[] logits = inputs.floats(3 * vocabulary);
        Arrays.fill(logits, 0, vocabulary, 1);
        for (int topK : new int[] {1, Math.min(5, vocabulary), vocabulary}) {
          int[][] first = new int[1][];
          comparison.within(vocabulary + " top " + topK, 2e-6 * 12, backend -> {
            try (Tensor t = TestBackends.tensor(backend, 3, vocabulary, logits)) {
              int[] token = new int[3 * topK];
              float[] logProbability = new float[3 * topK];
              backend.topLogProbabilities(new Op.TopLogProbabilities(t, topK, token, logProbability));
              first[0] = first[0] == null ? token : first[0];
              assertThat(token).as(TestInputs.context("tokens on " + backend.info().isa())).isEqualTo(first[0]);
              return logProbability;
            }
          });
        }
      }
    }
  }

  @Test
  void oddLogits() {
    float nan = Float.NaN;
    float inf = Float.POSITIVE_INFINITY;
    float[][] rows = {
        {nan, nan, nan, nan}, {-inf, -inf, -inf, -inf}, {nan, -inf, 2, nan}, {1, inf, 3, inf}, {-inf, -inf, 5, 1}, {0, -0f, 0, -0f}
    };
    try (OpComparison comparison = new OpComparison()) {
      for (float[] row : rows) {
        for (float temperature : new float[] {0, 0.7f}) {
          for (int topK : new int[] {0, 2}) {
            for (float topP : new float[] {0.4f, 1}) {
              for (int counter = 0; counter < 4; counter++) {
                SampleRow how = new SampleRow(temperature, topK, topP, 0, 1.5f, 3, counter, new int[] {2});
                String what = Arrays.toString(row) + " " + how;
                comparison.same(what, backend -> sample(backend, row, how)[0]);
                comparison.within(what, 1e-5, backend -> {
                  float[] logProbability = new float[1];
                  sample(backend, row, logProbability, how);
                  return logProbability;
                });
              }
            }
          }
        }
      }
    }
  }

  @Test
  void optionsMeanWhatTheySay() {
    float[] logits = {2, 1, 3, 3, -1, 0};
    for (BackendOptions options : TestBackends.all()) {
      try (Backend backend = Backends.open(options)) {
        assertThat(sample(backend, logits, SampleRow.greedy())).as("ties: the lower id").containsExactly(2);
        assertThat(drawn(backend, logits, 1, 3, 1, 0)).as("top-k").containsExactlyInAnyOrder(2, 3, 0);
        // e^0 + e^0 of e^0 + e^0 + e^-1 + e^-2 + e^-3 + e^-4: 78%.
        assertThat(drawn(backend, logits, 1, 0, 0.7f, 0)).as("top-p").containsExactlyInAnyOrder(2, 3);
        assertThat(drawn(backend, logits, 1, 0, 1e-6f, 0)).as("top-p keeps at least one").containsExactly(2);
        assertThat(drawn(backend, logits, 1, 0, 1, 0.3f)).as("min-p").containsExactlyInAnyOrder(2, 3, 0);
        assertThat(drawn(backend, logits, 1, 0, 1, 0)).as("all").containsExactlyInAnyOrder(0, 1, 2, 3, 4, 5);
        SampleRow penalised = new SampleRow(0, 0, 1, 0, 4, 0, 0, new int[] {2, 3, 3, 4});
        assertThat(sample(backend, logits, penalised)).as("repetition penalty").containsExactly(0);
        SampleRow onlyNegative = new SampleRow(0, 0, 1, 0, 2, 0, 0, new int[] {0, 0});
        assertThat(sample(backend, new float[] {-1, -1.5f}, onlyNegative)).as("once a token, away from zero").containsExactly(1);
      }
    }
  }

  private static Set<Integer> drawn(Backend backend, float[] logits, float temperature, int topK, float topP, float minP) {
    Set<Integer> tokens = new HashSet<>();
    for (int counter = 0; counter < 600; counter++) {
      tokens.add(sample(backend, logits, new SampleRow(temperature, topK, topP, minP, 1, 11, counter, NONE))[0]);
    }
    return tokens;
  }

  @Test
  void drawsFollowTheProbabilities() {
    float[] logits = {(float) Math.log(0.5), (float) Math.log(0.3), (float) Math.log(0.2)};
    int draws = 4000;
    for (BackendOptions options : TestBackends.all()) {
      try (Backend backend = Backends.open(options)) {
        int[] count = new int[3];
        for (int i = 0; i < draws; i++) {
          count[sample(backend, logits, new SampleRow(1, 0, 1, 0, 1, TestInputs.SEED, i, NONE))[0]]++;
        }
        for (int t = 0; t < 3; t++) {
          double expected = Math.exp(logits[t]) * draws;
          // Five standard deviations.
          assertThat((double) count[t]).as(TestInputs.context("token " + t)).isBetween(expected - 5 * Math.sqrt(expected),
              expected + 5 * Math.sqrt(expected));
        }
      }
    }
  }
}
