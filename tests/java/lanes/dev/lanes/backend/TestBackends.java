package dev.lanes.backend;

import dev.lanes.TestDevices;
import dev.lanes.backend.BackendOptions.Device;
import dev.lanes.backend.BackendOptions.Isa;
import dev.lanes.error.NativeException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/** The backends of this machine: every native instruction set that its CPU has, and the Java reference. */
public final class TestBackends {
  /** Element types that need no scales. */
  public static final List<DType> FLOATS = List.of(DType.F32, DType.BF16, DType.F16);

  private TestBackends() {}

  /** Native options, one for each instruction set that can be used here; the plain loops always can. Or the GPU's, see {@link TestDevices}. */
  public static List<BackendOptions> natives() {
    if (TestDevices.CUDA) {
      return List.of(new BackendOptions(Device.CUDA, 2, Isa.AUTO));
    }
    List<BackendOptions> result = new ArrayList<>();
    for (Isa isa : List.of(Isa.REFERENCE, Isa.AVX2, Isa.AVX512, Isa.NEON)) {
      BackendOptions options = new BackendOptions(Device.CPU, 2, isa);
      try (Backend backend = Backends.open(options)) {
        result.add(options);
      } catch (NativeException e) {
        if (isa == Isa.REFERENCE) {
          throw e;
        }
        System.out.println("not tested here: " + e.getMessage());
      }
    }
    return result;
  }

  /** {@link #natives()} and the Java reference. */
  public static List<BackendOptions> all() {
    List<BackendOptions> result = new ArrayList<>(natives());
    if (!TestDevices.CUDA) {
      result.add(reference());
    }
    return result;
  }

  public static BackendOptions reference() {
    return new BackendOptions(Device.REFERENCE, 2, Isa.AUTO);
  }

  /** A new tensor with these elements. */
  public static Tensor tensor(Backend backend, int rows, int columns, float[] values) {
    Tensor tensor = backend.tensor(MemoryTag.OTHER, rows, columns);
    tensor.copyFrom(values, 0);
    return tensor;
  }

  /** Little-endian elements of these values, in a heap buffer. */
  public static ByteBuffer bytes(float[] values, DType dtype) {
    ByteBuffer buffer = ByteBuffer.allocate(values.length * dtype.bytes()).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      switch (dtype) {
        case F32 -> buffer.putFloat(value);
        case BF16 -> buffer.putShort(FloatFormats.toBf16(value));
        case F16 -> buffer.putShort(FloatFormats.toF16(value));
        case S8 -> buffer.put((byte) value);
      }
    }
    return buffer.flip();
  }

  /** A new weight with these elements. */
  public static PackedWeight weight(Backend backend, int rows, int columns, DType dtype, float[] values) {
    PackedWeight weight = backend.weight(rows, columns, dtype);
    weight.pack(new PackedWeight.Part(bytes(values, dtype), dtype, false, 0, rows, 0, columns));
    return weight;
  }
}
