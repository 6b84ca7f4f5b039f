package dev.lanes.format;

import dev.lanes.backend.FloatFormats;
import dev.lanes.error.InvalidModelException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Tensors of float32, bfloat16 or float16 as float32 numbers. */
public final class FloatTensors {
  private static final int CHUNK_BYTES = 1 << 20;

  private FloatTensors() {}

  public static boolean isFloat(DType dtype) {
    return dtype == DType.F32 || dtype == DType.BF16 || dtype == DType.F16;
  }

  /**
   * Elements of a tensor, from {@code from} on.
   *
   * @throws InvalidModelException if it is not one of these types; errors of {@link Checkpoint#read}
   */
  public static float[] read(Checkpoint checkpoint, TensorInfo tensor, long from, int count) {
    if (!isFloat(tensor.dtype())) {
      throw new InvalidModelException(checkpoint.fileOf(tensor.name()), tensor.name(),
          "dtype " + tensor.dtype() + ", expected F32, BF16 or F16");
    }
    int size = tensor.dtype().bytes();
    float[] values = new float[count];
    ByteBuffer staging = ByteBuffer.allocate((int) Math.min(CHUNK_BYTES, (long) count * size)).order(ByteOrder.LITTLE_ENDIAN);
    for (int done = 0; done < count; ) {
      int step = Math.min(count - done, staging.capacity() / size);
      staging.clear().limit(step * size);
      checkpoint.read(tensor, (from + done) * size, staging);
      staging.flip();
      for (int i = 0; i < step; i++) {
        values[done + i] = switch (tensor.dtype()) {
          case F32 -> staging.getFloat();
          case BF16 -> FloatFormats.fromBf16(staging.getShort());
          default -> FloatFormats.fromF16(staging.getShort());
        };
      }
      done += step;
    }
    return values;
  }

  /** All elements of a tensor. */
  public static float[] read(Checkpoint checkpoint, TensorInfo tensor) {
    return read(checkpoint, tensor, 0, Math.toIntExact(tensor.elements()));
  }

  /** Appends a number as an element of one of these types, rounded half to even. */
  public static void put(ByteBuffer out, DType dtype, float value) {
    switch (dtype) {
      case F32 -> out.putFloat(value);
      case BF16 -> out.putShort(FloatFormats.toBf16(value));
      case F16 -> out.putShort(FloatFormats.toF16(value));
      default -> throw new IllegalArgumentException(dtype + " is not one of the types F32, BF16, F16");
    }
  }

  /** What a number becomes as an element of one of these types. */
  public static float round(DType dtype, float value) {
    return switch (dtype) {
      case F32 -> value;
      case BF16 -> FloatFormats.fromBf16(FloatFormats.toBf16(value));
      case F16 -> FloatFormats.fromF16(FloatFormats.toF16(value));
      default -> throw new IllegalArgumentException(dtype + " is not one of the types F32, BF16, F16");
    };
  }
}
