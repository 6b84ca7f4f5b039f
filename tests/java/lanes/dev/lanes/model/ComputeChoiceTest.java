package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.backend.BackendInfo;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ComputeChoiceTest {
  /** asked, backend, then what is done with F32, BF16, F16 and S8. */
  @ParameterizedTest
  @CsvSource({
      ", cpu, EXACT, EXACT, EXACT, INT8",
      ", reference, EXACT, EXACT, EXACT, INT8",
      ", cuda, EXACT, BF16, F16, INT8",
      "EXACT, cpu, EXACT, EXACT, EXACT, INT8",
      "EXACT, cuda, EXACT, EXACT, EXACT, INT8",
      "BF16, cpu, EXACT, BF16, EXACT, INT8",
      "BF16, cuda, EXACT, BF16, EXACT, INT8",
      "F16, cpu, EXACT, EXACT, F16, INT8",
      "F16, cuda, EXACT, EXACT, F16, INT8"})
  void eachTypeHasItsOwn(Compute asked, String backend, Compute f32, Compute bf16, Compute f16, Compute s8) {
    BackendInfo info = new BackendInfo(backend, "", "", 1, true, "", "a test", Map.of());
    ComputeChoice choice = ComputeChoice.of(Optional.ofNullable(asked), info);
    assertThat(choice.of(DType.F32)).isEqualTo(f32);
    assertThat(choice.of(DType.BF16)).isEqualTo(bf16);
    assertThat(choice.of(DType.F16)).isEqualTo(f16);
    assertThat(choice.of(DType.S8)).isEqualTo(s8);
  }
}
