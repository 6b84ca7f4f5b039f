package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Wrong arguments of int8 ops, and use of what is closed: the same exception on every backend, with the argument in its message. */
@ExtendWith(MemoryBaseline.class)
class Int8ArgumentsTest {
  static List<BackendOptions> all() {
    return TestBackends.all();
  }

  private static void illegal(ThrowingCallable call, String... words) {
    assertThatThrownBy(call).isExactlyInstanceOf(IllegalArgumentException.class).hasMessageContainingAll(words);
  }

  private static void missing(ThrowingCallable call, String... words) {
    assertThatThrownBy(call).isExactlyInstanceOf(NullPointerException.class).hasMessageContainingAll(words);
  }

  private static void closed(ThrowingCallable call) {
    assertThatThrownBy(call).isInstanceOf(IllegalStateException.class).hasMessageContaining("closed");
  }

  private static Op.Linear linear(Tensor x, QuantizedTensor quantized, float scale, PackedWeight weight, Compute compute, Tensor y) {
    return new Op.Linear(x, quantized, scale, weight, null, null, Activation.NONE, compute, y);
  }

  @ParameterizedTest
  @MethodSource("all")
  void linear(BackendOptions options) {
    try (Backend b = Backends.open(options)) {
      Tensor x = b.tensor(MemoryTag.OTHER, 3, 8);
      Tensor y = b.tensor(MemoryTag.OTHER, 3, 6);
      QuantizedTensor q = b.quantizedTensor(MemoryTag.OTHER, 3, 8);
      PackedWeight int8 = b.weight(6, 8, DType.S8);
      PackedWeight float32 = b.weight(6, 8, DType.F32);
      b.linear(linear(x, null, 0.5f, int8, Compute.INT8, y));
      b.linear(linear(null, q, 0, int8, Compute.INT8, y));
      missing(() -> b.linear(linear(null, null, 0, int8, Compute.INT8, y)), "linear: x");
      illegal(() -> b.linear(linear(x, q, 0, int8, Compute.INT8, y)), "both x and quantized");
      illegal(() -> b.linear(linear(b.tensor(MemoryTag.OTHER, 3, 8, DType.BF16), null, 0, int8, Compute.INT8, y)), "x is of BF16",
          "expected F32");
      illegal(() -> b.linear(linear(x, null, 0, int8, Compute.EXACT, y)), "EXACT", "S8", "INT8");
      illegal(() -> b.linear(linear(x, null, 0, int8, Compute.BF16, y)), "BF16", "S8", "INT8");
      illegal(() -> b.linear(linear(x, null, 0, float32, Compute.INT8, y)), "INT8", "F32", "EXACT");
      illegal(() -> b.linear(linear(null, q, 0, float32, Compute.EXACT, y)), "quantized rows", "F32");
      illegal(() -> b.linear(linear(null, q, 0.5f, int8, Compute.INT8, y)), "inputScale 0.5");
      illegal(() -> b.linear(linear(x, null, 0.5f, float32, Compute.EXACT, y)), "inputScale 0.5");
      for (float scale : new float[] {-1, Float.NaN, Float.POSITIVE_INFINITY}) {
        illegal(() -> b.linear(linear(x, null, scale, int8, Compute.INT8, y)), "inputScale " + scale);
      }
      illegal(() -> b.linear(linear(null, q.rows(0, 2), 0, int8, Compute.INT8, y)), "y is [3, 6]", "[2, 6]");
      illegal(() -> b.linear(linear(null, b.quantizedTensor(MemoryTag.OTHER, 3, 7), 0, int8, Compute.INT8, y)), "quantized is [3, 7]",
          "[3, 8]");
      illegal(() -> b.linear(linear(x, null, 0, b.weight(8, 8, DType.S8), Compute.INT8, x)), "overlap");
      assertThat(y.toArray()).containsOnly(0);
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void normAndGate(BackendOptions options) {
    try (Backend b = Backends.open(options)) {
      Tensor x = b.tensor(MemoryTag.OTHER, 3, 8);
      Tensor y = b.tensor(MemoryTag.OTHER, 3, 8);
      Tensor one = b.tensor(MemoryTag.OTHER, 1, 8);
      QuantizedTensor q = b.quantizedTensor(MemoryTag.OTHER, 3, 8);
      QuantizedTensor tall = b.quantizedTensor(MemoryTag.OTHER, 4, 8);
      NormKind rms = NormKind.RMS;
      b.norm(new Op.Norm(rms, 0, x, null, one, null, x, null, q, 0));
      missing(() -> b.norm(new Op.Norm(rms, 0, x, null, one, null, null, null, null, 0)), "norm: y");
      illegal(() -> b.norm(new Op.Norm(rms, 0, x, null, one, null, null, y, tall, 0)), "norm: quantized is [4, 8]", "[3, 8]");
      illegal(() -> b.norm(new Op.Norm(rms, 0, x, null, one, null, null, y, null, 1)), "norm: outputScale 1.0");
      missing(() -> b.gate(new Op.Gate(Activation.SILU, x, x, null, null, 0)), "gate: y");
      illegal(() -> b.gate(new Op.Gate(Activation.SILU, x, x, y, tall, 0)), "gate: quantized is [4, 8]");
      illegal(() -> b.gate(new Op.Gate(Activation.SILU, x, x, y, null, 1)), "gate: outputScale 1.0");
      for (float scale : new float[] {-1, Float.NaN, Float.POSITIVE_INFINITY}) {
        illegal(() -> b.norm(new Op.Norm(rms, 0, x, null, one, null, null, null, q, scale)), "norm: outputScale " + scale);
        illegal(() -> b.gate(new Op.Gate(Activation.SILU, x, x, null, q, scale)), "gate: outputScale " + scale);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void weights(BackendOptions options) {
    try (Backend b = Backends.open(options)) {
      PackedWeight int8 = b.weight(4, 2, DType.S8);
      PackedWeight float32 = b.weight(4, 2, DType.F32);
      ByteBuffer bytes = ByteBuffer.allocate(8);
      ByteBuffer floats = ByteBuffer.allocate(32);
      float[] ones = {1, 1, 1, 1};
      int8.pack(new PackedWeight.Part(bytes, DType.S8, false, 0, 4, 0, 2, ones));
      int8.pack(new PackedWeight.Part(floats, DType.F32, false, 0, 4, 0, 2));
      int8.pack(new PackedWeight.Part(floats, DType.F32, true, 0, 4, 0, 2, ones));
      float32.pack(new PackedWeight.Part(bytes, DType.S8, false, 0, 4, 0, 2, ones));
      missing(() -> int8.pack(new PackedWeight.Part(bytes, DType.S8, false, 0, 4, 0, 2)), "pack: scales");
      missing(() -> float32.pack(new PackedWeight.Part(bytes, DType.S8, false, 0, 4, 0, 2)), "pack: scales");
      illegal(() -> float32.pack(new PackedWeight.Part(floats, DType.F32, false, 0, 4, 0, 2, ones)), "scales", "F32");
      illegal(() -> int8.pack(new PackedWeight.Part(floats, DType.F32, true, 0, 4, 0, 2)), "transposed", "without scales");
      illegal(() -> int8.pack(new PackedWeight.Part(floats.slice(0, 16), DType.F32, false, 0, 4, 1, 1)), "columns [1, 1 + 1)", "all its 2");
      illegal(() -> int8.pack(new PackedWeight.Part(bytes, DType.S8, false, 0, 4, 0, 2, new float[3])), "scales has 3 elements");
      for (float bad : new float[] {-1, Float.NaN, Float.POSITIVE_INFINITY}) {
        illegal(() -> int8.pack(new PackedWeight.Part(bytes, DType.S8, false, 0, 4, 0, 2, new float[] {1, 1, bad, 1})),
            "scales[2] is " + bad);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void quantizedTensors(BackendOptions options) {
    try (Backend b = Backends.open(options); Backend other = Backends.open(options)) {
      missing(() -> b.quantizedTensor(null, 1, 1), "tag");
      illegal(() -> b.quantizedTensor(MemoryTag.OTHER, -1, 1), "[-1, 1]");
      illegal(() -> b.quantizedTensor(MemoryTag.OTHER, 1, 0), "[1, 0]");
      QuantizedTensor q = b.quantizedTensor(MemoryTag.OTHER, 5, 3);
      for (int[] part : new int[][] {{-1, 1}, {0, 6}, {5, 1}, {0, -1}, {1, Integer.MAX_VALUE}}) {
        assertThatThrownBy(() -> q.rows(part[0], part[1])).isInstanceOf(IndexOutOfBoundsException.class).hasMessageContaining("[5, 3]");
      }
      assertThatThrownBy(() -> q.copyTo(new byte[14], new float[5])).isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> q.copyFrom(new byte[15], new float[4])).isInstanceOf(IndexOutOfBoundsException.class);
      q.rows(1, 3).rows(1, 2).copyFrom(new byte[] {1, 2, 3, 4, 5, 6}, new float[] {7, 8});
      byte[] elements = new byte[15];
      float[] scales = new float[5];
      q.copyTo(elements, scales);
      assertThat(elements).containsExactly(0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0);
      assertThat(scales).containsExactly(0, 0, 7, 8, 0);
      Tensor y = b.tensor(MemoryTag.OTHER, 5, 2);
      PackedWeight weight = b.weight(2, 3, DType.S8);
      QuantizedTensor foreign = other.quantizedTensor(MemoryTag.OTHER, 5, 3);
      illegal(() -> b.linear(linear(null, foreign, 0, weight, Compute.INT8, y)), "quantized tensor of another backend");
      QuantizedTensor view = q.rows(0, 5);
      view.close();
      b.linear(linear(null, view, 0, weight, Compute.INT8, y));
      q.close();
      q.close();
      closed(() -> b.linear(linear(null, q, 0, weight, Compute.INT8, y)));
      closed(() -> b.linear(linear(null, view, 0, weight, Compute.INT8, y)));
      closed(() -> q.copyTo(elements, scales));
      closed(() -> view.copyFrom(elements, scales));
      assertThat(q.rows()).isEqualTo(5);
      weight.close();
      closed(() -> weight.pack(new PackedWeight.Part(ByteBuffer.allocate(6), DType.S8, false, 0, 2, 0, 3, new float[] {1, 1})));
    }
  }
}
