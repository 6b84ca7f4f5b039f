package dev.lanes.backend.jni;

import dev.lanes.backend.DType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;

/**
 * A params struct in native memory that is filled through a direct buffer: setting a field costs a store, not a call. Where the
 * fields lie is asked of the binding, which has it from the C++ compiler.
 *
 * @param <P> the binding's class of the struct
 */
final class Struct<P extends Pointer> {
  /** Turns an address into the binding's class. */
  interface Cast<P> {
    P of(Pointer pointer);
  }

  private final Class<P> type;
  private final P pointer;
  private final ByteBuffer memory;
  private final int bytes;
  private final Runnable beforeCall;

  /**
   * @param beforeCall runs before the struct is handed to a call of its own
   * @param memory zeroed, at least {@code Loader.sizeof(type)} bytes from its position, and outliving this
   */
  Struct(Class<P> type, Cast<P> cast, Pointer memory, Runnable beforeCall) {
    this.type = type;
    this.bytes = (size(type) + 7) / 8 * 8;
    this.beforeCall = beforeCall;
    this.pointer = cast.of(memory);
    this.memory = buffer(memory, size(type));
    this.memory.putLong(offset("size"), size(type));
  }

  static int size(Class<? extends Pointer> type) {
    return Loader.sizeof(type);
  }

  /** A buffer over native memory, in native byte order. */
  static ByteBuffer buffer(Pointer memory, long bytes) {
    try (BytePointer view = new BytePointer(memory)) {
      return view.position(0).capacity(bytes).asByteBuffer().order(ByteOrder.nativeOrder());
    }
  }

  /** For a call of its own, now. */
  P pointer() {
    beforeCall.run();
    return pointer;
  }

  /** Bytes that a copy takes, a multiple of 8. */
  int bytes() {
    return bytes;
  }

  void copyTo(ByteBuffer destination, int at) {
    destination.put(at, memory, 0, memory.capacity());
  }

  int offset(String field) {
    return Loader.offsetof(type, field);
  }

  void setInt(int offset, int value) {
    memory.putInt(offset, value);
  }

  void setLong(int offset, long value) {
    memory.putLong(offset, value);
  }

  void setFloat(int offset, float value) {
    memory.putFloat(offset, value);
  }

  /** The fields {@code name} and {@code name_len}. */
  Array array(String name) {
    return new Array(offset(name), offset(name + "_len"));
  }

  /** The fields {@code name}, {@code name_len} and {@code name_stride}. */
  Matrix matrix(String name) {
    return new Matrix(offset(name), offset(name + "_len"), offset(name + "_stride"));
  }

  /** The fields of the matrix {@code name}, and those of {@code name_bf16} for one of bfloat16. */
  Floats floats(String name) {
    return new Floats(matrix(name), matrix(name + "_bf16"));
  }

  /** The fields {@code name} and {@code scale}, with their lengths, and {@code name_stride}. */
  Quantized quantized(String name, String scale) {
    return new Quantized(matrix(name), array(scale));
  }

  /** A pointer with its length. */
  final class Array {
    private final int pointer;
    private final int length;

    private Array(int pointer, int length) {
      this.pointer = pointer;
      this.length = length;
    }

    void set(long address, long elements) {
      memory.putLong(pointer, address);
      memory.putLong(length, elements);
    }

    /** A tensor of contiguous rows, or null. */
    void set(NativeTensor tensor) {
      if (tensor == null) {
        set(0, 0);
      } else {
        set(tensor.address(), tensor.extent());
      }
    }
  }

  /** A pointer with its length and the distance between rows. */
  final class Matrix {
    private final int pointer;
    private final int length;
    private final int stride;

    private Matrix(int pointer, int length, int stride) {
      this.pointer = pointer;
      this.length = length;
      this.stride = stride;
    }

    /** A tensor, or null. */
    void set(NativeTensor tensor) {
      if (tensor == null) {
        set(0, 0, 0);
      } else {
        set(tensor.address(), tensor.extent(), tensor.stride());
      }
    }

    private void set(long address, long elements, long distance) {
      memory.putLong(pointer, address);
      memory.putLong(length, elements);
      memory.putLong(stride, distance);
    }
  }

  /** A matrix in one of two places, by its element type. */
  final class Floats {
    private final Matrix f32;
    private final Matrix bf16;

    private Floats(Matrix f32, Matrix bf16) {
      this.f32 = f32;
      this.bf16 = bf16;
    }

    /** A tensor, or null. */
    void set(NativeTensor tensor) {
      boolean narrow = tensor != null && tensor.dtype() == DType.BF16;
      f32.set(narrow ? null : tensor);
      bf16.set(narrow ? tensor : null);
    }
  }

  /** int8 rows with their scales. */
  final class Quantized {
    private final Matrix rows;
    private final Array scales;

    private Quantized(Matrix rows, Array scales) {
      this.rows = rows;
      this.scales = scales;
    }

    /** A tensor, or null. */
    void set(NativeQuantizedTensor tensor) {
      if (tensor == null) {
        rows.set(0, 0, 0);
        scales.set(0, 0);
      } else {
        rows.set(tensor.address(), (long) tensor.rows() * tensor.columns(), tensor.columns());
        scales.set(tensor.scaleAddress(), tensor.rows());
      }
    }
  }
}
