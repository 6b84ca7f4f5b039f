package dev.lanes.bench.harness;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.Locale;
import org.junit.jupiter.api.Test;

class ResultTest {
  private static final Result WITH_PEER =
      new Result(
          "gemm.f32.m512.k2048.n5632.t2",
          "GFLOP/s",
          new Figure(480, 470.5, 490),
          "oneDNN",
          new Figure(500, 495, 505),
          "fp32 FMA peak",
          new Figure(600, 590, 601));
  private static final Result ALONE =
      new Result("rope.half", "GB/s", new Figure(40, 39, 41), null, null, "read bandwidth", new Figure(80, 79, 81));

  @Test
  void ratioAndPercent() {
    assertThat(WITH_PEER.ratio()).isCloseTo(0.96, within(1e-12));
    assertThat(WITH_PEER.percentOfCeiling()).isCloseTo(80, within(1e-12));
    assertThat(ALONE.ratio()).isNaN();
    assertThat(ALONE.percentOfCeiling()).isCloseTo(50, within(1e-12));
  }

  @Test
  void aLineHoldsNameOursPeerRatioAndPercentInAnyLocale() {
    Locale before = Locale.getDefault();
    Locale.setDefault(Locale.GERMANY);
    try {
      assertThat(WITH_PEER.line())
          .startsWith("gemm.f32.m512.k2048.n5632.t2 ")
          .contains("ours    480.0 [470.5..490.0]", "oneDNN", "500.0 [495.0..505.0]", "x0.96", "80.0% of 600.0 GFLOP/s fp32 FMA peak")
          .doesNotContain("\n");
      assertThat(ALONE.line()).contains("no peer", " 50.0% of 80.0 GB/s read bandwidth").doesNotContain("NaN", "null");
    } finally {
      Locale.setDefault(before);
    }
  }

  @Test
  void jsonHoldsEveryFigureWithItsMinimumAndMaximum() throws Exception {
    ObjectMapper mapper = new ObjectMapper();
    JsonNode node = mapper.readTree(mapper.writeValueAsString(WITH_PEER.json()));
    assertThat(node.get("name").asText()).isEqualTo("gemm.f32.m512.k2048.n5632.t2");
    assertThat(node.get("unit").asText()).isEqualTo("GFLOP/s");
    assertThat(node.get("peerName").asText()).isEqualTo("oneDNN");
    assertThat(numbers(node, "ours", "min", "max")).containsExactly(480, 470.5, 490);
    assertThat(numbers(node, "peer", "peerMin", "peerMax")).containsExactly(500, 495, 505);
    assertThat(numbers(node, "ceiling", "ceilingMin", "ceilingMax")).containsExactly(600, 590, 601);
    assertThat(numbers(node, "ratio", "percentOfCeiling")).containsExactly(new double[] {0.96, 80}, within(1e-9));
  }

  @Test
  void jsonWithoutAPeerHasNullsAndNoNaN() throws Exception {
    ObjectMapper mapper = new ObjectMapper();
    String text = mapper.writeValueAsString(ALONE.json());
    JsonNode node = mapper.readTree(text);
    for (String field : new String[] {"peer", "peerMin", "peerMax", "peerName", "ratio"}) {
      assertThat(node.has(field)).as(field).isTrue();
      assertThat(node.get(field).isNull()).as(field).isTrue();
    }
    assertThat(text).doesNotContain("NaN");
    assertThat(node.get("percentOfCeiling").asDouble()).isEqualTo(50);
  }

  private static double[] numbers(JsonNode node, String... fields) {
    double[] values = new double[fields.length];
    for (int i = 0; i < fields.length; i++) {
      assertThat(node.get(fields[i]).isNumber()).as(fields[i]).isTrue();
      values[i] = node.get(fields[i]).asDouble();
    }
    return values;
  }
}
