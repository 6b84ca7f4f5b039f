package dev.lanes.bench.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class ModelShapeTest {
  @Test
  void countsOfTinyLlama() {
    assertThat(ModelShape.B1.layerParameters()).isEqualTo(968_884_224L);
    assertThat(ModelShape.B1.prefillGigaFlops()).isCloseTo(1.94, within(0.01));
    assertThat(ModelShape.B1.decodeGigaBytes(2, 0, 2)).isCloseTo(2.07, within(0.01));
    // 22 layers, keys and values of 4 heads of 64 in two bytes.
    assertThat(ModelShape.B1.decodeGigaBytes(2, 1000, 2) - ModelShape.B1.decodeGigaBytes(2, 0, 2)).isCloseTo(22528e-6, within(1e-9));
  }

  @Test
  void weightsAddUpToTheCounts() {
    for (ModelShape shape : new ModelShape[] {ModelShape.M15, ModelShape.M135, ModelShape.B1}) {
      long layers =
          shape.weights().stream()
              .filter(weight -> !weight.vector() && weight.gguf().startsWith("blk."))
              .mapToLong(ModelShape.Weight::elements)
              .sum();
      assertThat(layers).as(shape.name()).isEqualTo(shape.layerParameters());
      assertThat(shape.weights()).extracting(ModelShape.Weight::huggingFace).doesNotHaveDuplicates();
      assertThat(shape.weights()).extracting(ModelShape.Weight::gguf).doesNotHaveDuplicates();
    }
    assertThat(ModelShape.B1.weights()).extracting(ModelShape.Weight::gguf).contains("output.weight");
    assertThat(ModelShape.M135.weights()).extracting(ModelShape.Weight::gguf).doesNotContain("output.weight");
  }
}
