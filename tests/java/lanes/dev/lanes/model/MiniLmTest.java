package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.lanes.backend.Backend;
import dev.lanes.backend.Backends;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** A trained sentence encoder, stored in float16, against what another runtime computed from the float32 weights. */
class MiniLmTest {
  /** float16 keeps 11 bits of each weight: hidden states of about 1 move by a few thousandths over six layers. */
  private static final double TOLERANCE = 5e-3;

  @Test
  void lastHiddenStates() throws IOException {
    Path directory = SharedModels.directory("minilm-l6-v2");
    JsonNode items = ModelFiles.JSON.readTree(directory.resolve("reference_ort_fp32.json").toFile()).get("items");
    assertThat(items.size()).isPositive();
    try (Backend backend = Backends.open(TestBackends.best()); ModelRun run = new ModelRun(directory, backend)) {
      for (JsonNode item : items) {
        int[] ids = ModelFiles.JSON.convertValue(item.get("ids"), int[].class);
        float[] expected = ModelFiles.JSON.convertValue(item.get("last_hidden"), float[].class);
        try (ModelRun.Lane lane = run.lane(ids)) {
          float[] actual = run.step(StepBatch.Hidden.LAST, new ModelRun.Share(lane, ids.length, false)).hidden().toArray();
          Numbers.assertClose(item.get("text").asText(), actual, expected, TOLERANCE);
          assertThat(cosine(actual, expected)).as("direction").isGreaterThan(0.99999);
        }
      }
    }
  }

  private static double cosine(float[] a, float[] b) {
    double product = 0;
    double squareA = 0;
    double squareB = 0;
    for (int i = 0; i < a.length; i++) {
      product += (double) a[i] * b[i];
      squareA += (double) a[i] * a[i];
      squareB += (double) b[i] * b[i];
    }
    return product / Math.sqrt(squareA * squareB);
  }
}
