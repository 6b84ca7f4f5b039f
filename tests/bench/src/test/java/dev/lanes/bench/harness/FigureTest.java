package dev.lanes.bench.harness;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;

class FigureTest {
  @Test
  void medianOfAnOddNumberIsTheMiddleOne() {
    assertThat(Figure.of(9, 1, 4)).isEqualTo(new Figure(4, 1, 9));
  }

  @Test
  void medianOfAnEvenNumberIsTheMeanOfTheMiddleTwo() {
    assertThat(Figure.of(8, 1, 2, 5)).isEqualTo(new Figure(3.5, 1, 8));
  }

  @Test
  void oneMeasurementIsAllThree() {
    assertThat(Figure.of(7)).isEqualTo(new Figure(7, 7, 7));
  }

  @Test
  void doesNotReorderTheCallersArray() {
    double[] values = {3, 1, 2};
    Figure.of(values);
    assertThat(values).containsExactly(3, 1, 2);
  }

  @Test
  void refusesNothingAndWhatIsNotFinite() {
    assertThatIllegalArgumentException().isThrownBy(Figure::of).withMessageContaining("no measurement");
    assertThatIllegalArgumentException().isThrownBy(() -> Figure.of(1, Double.NaN)).withMessageContaining("NaN");
    assertThatIllegalArgumentException().isThrownBy(() -> Figure.of(Double.POSITIVE_INFINITY)).withMessageContaining("Infinity");
  }
}
