package dev.lanes.backend.reference;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PhiloxTest {
  /** The known answers that come with Random123. */
  @Test
  void knownAnswers() {
    assertThat(Philox.block(new int[4], 0, 0)).containsExactly(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
    int ones = 0xffffffff;
    assertThat(Philox.block(new int[] {ones, ones, ones, ones}, ones, ones))
        .containsExactly(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
    assertThat(Philox.block(new int[] {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0))
        .containsExactly(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1);
  }

  @Test
  void uniformNumbersLieBelowOne() {
    double sum = 0;
    for (int i = 0; i < 10_000; i++) {
      double u = Philox.uniform(7, i);
      assertThat(u).isGreaterThanOrEqualTo(0).isLessThan(1);
      sum += u;
    }
    assertThat(sum / 10_000).isBetween(0.485, 0.515);
  }
}
