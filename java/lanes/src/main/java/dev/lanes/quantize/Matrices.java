package dev.lanes.quantize;

import dev.lanes.backend.Backend;
import dev.lanes.backend.DType;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;

/** Matrices of the heap and the spool in a backend's memory, through one bounded buffer. */
final class Matrices {
  private static final int STAGING_BYTES = 8 << 20;

  private final Backend backend;
  private ByteBuffer staging = ByteBuffer.allocateDirect(STAGING_BYTES).order(ByteOrder.LITTLE_ENDIAN);

  Matrices(Backend backend) {
    this.backend = backend;
  }

  Backend backend() {
    return backend;
  }

  /** A tensor [rows, columns]. */
  Tensor tensor(float[] values, int rows, int columns) {
    Tensor tensor = backend.tensor(MemoryTag.SCRATCH, rows, columns);
    tensor.copyFrom(values, 0);
    return tensor;
  }

  /** A float32 weight from [rows * columns], or from [columns * rows] where {@code transposed}. */
  PackedWeight weight(float[] values, int rows, int columns, boolean transposed) {
    PackedWeight weight = backend.weight(rows, columns, DType.F32);
    int storedColumns = transposed ? rows : columns;
    int storedRows = transposed ? columns : rows;
    int step = rowsAtOnce(storedRows, storedColumns * Float.BYTES);
    for (int begin = 0; begin < storedRows; begin += step) {
      int count = Math.min(step, storedRows - begin);
      staging.clear();
      staging.asFloatBuffer().put(values, begin * storedColumns, count * storedColumns);
      staging.limit(count * storedColumns * Float.BYTES);
      weight.pack(transposed ? new PackedWeight.Part(staging, DType.F32, true, 0, rows, begin, count)
          : new PackedWeight.Part(staging, DType.F32, false, begin, count, 0, columns));
    }
    return weight;
  }

  /** An int8 weight. */
  PackedWeight weight(Rounding.Rounded matrix, int rows, int columns) {
    PackedWeight weight = backend.weight(rows, columns, DType.S8);
    int step = rowsAtOnce(rows, columns);
    for (int begin = 0; begin < rows; begin += step) {
      int count = Math.min(step, rows - begin);
      staging.clear().put(matrix.values(), begin * columns, count * columns).flip();
      weight.pack(new PackedWeight.Part(staging, DType.S8, false, begin, count, 0, columns,
          Arrays.copyOfRange(matrix.scales(), begin, begin + count)));
    }
    return weight;
  }

  /** An int8 weight from matrices of the spool, one below the other. */
  PackedWeight weight(Spool spool, List<Spool.Entry> parts) {
    int columns = parts.get(0).columns();
    PackedWeight weight = backend.weight(parts.stream().mapToInt(Spool.Entry::rows).sum(), columns, DType.S8);
    int row = 0;
    for (Spool.Entry part : parts) {
      int step = rowsAtOnce(part.rows(), columns);
      for (int begin = 0; begin < part.rows(); begin += step) {
        int count = Math.min(step, part.rows() - begin);
        staging.clear().limit(count * columns);
        spool.read(part, (long) begin * columns, staging);
        weight.pack(new PackedWeight.Part(staging.flip(), DType.S8, false, row + begin, count, 0, columns,
            Arrays.copyOfRange(part.scales(), begin, begin + count)));
      }
      row += part.rows();
    }
    return weight;
  }

  private int rowsAtOnce(int rows, int rowBytes) {
    if (rowBytes > staging.capacity()) {
      staging = ByteBuffer.allocateDirect(rowBytes).order(ByteOrder.LITTLE_ENDIAN);
    }
    return Math.min(rows, staging.capacity() / rowBytes);
  }
}
