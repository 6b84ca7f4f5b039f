package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** The numbers of the quantization that the kernels and the Java reference share. */
class QuantizerTest {
  private record Row(float scale, byte[] q) {
    static Row own(float... x) {
      byte[] q = new byte[x.length];
      return new Row(Quantizer.row(x, 0, x.length, q, 0), q);
    }

    static Row fixed(float scale, float... x) {
      byte[] q = new byte[x.length];
      return new Row(Quantizer.row(x, 0, x.length, scale, q, 0), q);
    }
  }

  @Test
  void ownScale() {
    Row row = Row.own(127, -127, 0.5f, 1.5f, -0.5f, -2.5f, 0.50001f);
    assertThat(row.scale).isEqualTo(1);
    assertThat(row.q).as("half to even").containsExactly(127, -127, 0, 2, 0, -2, 1);
    row = Row.own(-3, 1, 0.1f);
    assertThat(row.scale).isEqualTo(3f / 127);
    assertThat(row.q).containsExactly(-127, 42, 4);
  }

  @Test
  void fixedScale() {
    Row row = Row.fixed(0.5f, 100, -100, 63.5f, -64, 0.25f, 0.75f, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY);
    assertThat(row.scale).isEqualTo(0.5f);
    assertThat(row.q).containsExactly(127, -128, 127, -128, 0, 2, 127, -128);
  }

  @Test
  void whatIsNoNumberIsNotHidden() {
    assertThat(Row.own(0, -0f, 0).scale).isZero();
    assertThat(Row.own(0, 0).q).containsExactly(0, 0);
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      assertThat(Row.own(1, bad, 2).scale).isNaN();
      assertThat(Row.own(1, bad, 2).q).containsExactly(0, 0, 0);
    }
    assertThat(Row.fixed(1, 5, Float.NaN).scale).isNaN();
    assertThat(Row.fixed(1, 5, Float.NaN).q).containsExactly(0, 0);
  }
}
