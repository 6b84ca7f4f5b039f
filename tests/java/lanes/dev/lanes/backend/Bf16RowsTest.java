package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Rows that norms and gates write as bfloat16: the float32 rows, rounded once; int8 rows beside them are those of the float32 rows. */
@ExtendWith(MemoryBaseline.class)
class Bf16RowsTest {
  private static final int ROWS = 3;

  /** An op that writes y, and int8 rows where asked for. */
  private interface Run {
    void to(Tensor y, QuantizedTensor quantized);
  }

  static List<BackendOptions> all() {
    return TestBackends.all();
  }

  @ParameterizedTest
  @MethodSource("all")
  void norms(BackendOptions options) {
    TestInputs inputs = new TestInputs("bfloat16 norm");
    try (Backend b = Backends.open(options)) {
      for (int columns : new int[] {1, 7, 64, 200}) {
        for (NormKind kind : NormKind.values()) {
          try (Tensor x = TestBackends.tensor(b, ROWS, columns, inputs.floats(ROWS * columns));
              Tensor weight = TestBackends.tensor(b, 1, columns, inputs.floats(columns));
              Tensor bias = TestBackends.tensor(b, 1, columns, inputs.floats(columns))) {
            check(b, columns, kind,
                (y, quantized) -> b.norm(new Op.Norm(kind, 1e-5f, x, null, weight, bias, null, y, quantized, 0)));
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void gates(BackendOptions options) {
    TestInputs inputs = new TestInputs("bfloat16 gate");
    try (Backend b = Backends.open(options)) {
      for (int columns : new int[] {1, 7, 64, 2100}) {
        for (Activation activation : Activation.values()) {
          try (Tensor gate = TestBackends.tensor(b, ROWS, columns, inputs.floats(ROWS * columns));
              Tensor up = TestBackends.tensor(b, ROWS, columns, inputs.floats(ROWS * columns))) {
            check(b, columns, activation, (y, quantized) -> b.gate(new Op.Gate(activation, gate, up, y, quantized, 0)));
          }
        }
      }
    }
  }

  private static void check(Backend b, int columns, Object what, Run run) {
    try (Tensor floats = b.tensor(MemoryTag.OTHER, ROWS, columns);
        QuantizedTensor int8 = b.quantizedTensor(MemoryTag.OTHER, ROWS, columns);
        Tensor wide = b.tensor(MemoryTag.OTHER, ROWS, columns + 3, DType.BF16);
        QuantizedTensor beside = b.quantizedTensor(MemoryTag.OTHER, ROWS, columns)) {
      String context = TestInputs.context(what + " [" + columns + "]");
      Tensor rounded = wide.columns(1, columns);
      run.to(floats, int8);
      float[] expected = floats.toArray();
      for (int i = 0; i < expected.length; i++) {
        expected[i] = FloatFormats.round(expected[i], DType.BF16);
      }
      run.to(rounded, null);
      assertThat(rounded.toArray()).as(context).isEqualTo(expected);
      rounded.copyFrom(new float[expected.length], 0);
      run.to(rounded, beside);
      assertThat(rounded.toArray()).as(context).isEqualTo(expected);
      assertThat(elements(beside)).as(context).isEqualTo(elements(int8));
    }
  }

  /** Elements and, behind them, the bits of the scales. */
  private static int[] elements(QuantizedTensor tensor) {
    byte[] bytes = new byte[tensor.rows() * tensor.columns()];
    float[] scales = new float[tensor.rows()];
    tensor.copyTo(bytes, scales);
    int[] all = new int[bytes.length + scales.length];
    for (int i = 0; i < bytes.length; i++) {
      all[i] = bytes[i];
    }
    for (int i = 0; i < scales.length; i++) {
      all[bytes.length + i] = Float.floatToIntBits(scales[i]);
    }
    return all;
  }
}
