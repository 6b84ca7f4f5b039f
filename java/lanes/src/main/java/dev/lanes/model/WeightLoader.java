package dev.lanes.model;

import dev.lanes.backend.Backend;
import dev.lanes.backend.DType;
import dev.lanes.backend.FloatFormats;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.Quantizer;
import dev.lanes.backend.Tensor;
import dev.lanes.error.InvalidModelException;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Reads planned weights through one bounded staging buffer into a backend's memory. */
final class WeightLoader {
  /** Large enough that packing works on many rows at once; no tensor is ever in memory twice. */
  private static final long STAGING_BYTES = 16L << 20;

  private final Checkpoint checkpoint;
  private final Backend backend;
  private final ProgressListener progress;
  private final List<AutoCloseable> owned = new ArrayList<>();
  private final ByteBuffer staging;
  private final long totalBytes;
  private long doneBytes;

  private WeightLoader(
      Checkpoint checkpoint, ModelWeights<WeightPlan.Matrix, WeightPlan.Vector> plan, Backend backend, ProgressListener progress) {
    this.checkpoint = checkpoint;
    this.backend = backend;
    this.progress = progress;
    Sizes sizes = new Sizes();
    plan.map(sizes::matrix, sizes::vector);
    this.totalBytes = sizes.total;
    this.staging = ByteBuffer.allocateDirect(Math.toIntExact(Math.max(sizes.longestRow, Math.min(STAGING_BYTES, sizes.largest))))
        .order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * The loaded weights.
   *
   * @param owned everything that was allocated, to be closed with the model
   */
  record Loaded(ModelWeights<LoadedMatrix, Tensor> weights, List<AutoCloseable> owned) {}

  static Loaded load(Checkpoint checkpoint, ModelWeights<WeightPlan.Matrix, WeightPlan.Vector> plan, Backend backend,
      ProgressListener progress) {
    WeightLoader loader = new WeightLoader(checkpoint, plan, backend, progress);
    try {
      return new Loaded(plan.map(loader::matrix, loader::vector), loader.owned);
    } catch (Throwable failure) {
      closeAll(loader.owned, failure);
      throw failure;
    }
  }

  /** Closes in reverse order; what goes wrong meanwhile is added to {@code failure}. */
  static void closeAll(List<? extends AutoCloseable> resources, Throwable failure) {
    for (int i = resources.size() - 1; i >= 0; i--) {
      try {
        resources.get(i).close();
      } catch (Exception e) {
        failure.addSuppressed(e);
      }
    }
  }

  private LoadedMatrix matrix(WeightPlan.Matrix matrix) {
    PackedWeight weight = backend.weight(matrix.rows(), matrix.columns(), matrix.dtype());
    owned.add(weight);
    for (WeightPlan.Part part : matrix.parts()) {
      pack(weight, part);
    }
    return new LoadedMatrix(weight, matrix.inputScale());
  }

  private interface Chunk {
    /** @param begin the first of {@code count} stored rows, which are in the staging buffer */
    void accept(int begin, int count);
  }

  /** Walks over the part's stored rows: output features, or input features where it is stored input-major. */
  private void walk(PackedWeight weight, WeightPlan.Part part, Chunk chunk) {
    int storedRows = part.inputMajor() ? weight.columns() : part.rowCount();
    long rowBytes = (long) (part.inputMajor() ? part.rowCount() : weight.columns()) * part.type().bytes();
    int step = (int) Math.min(storedRows, staging.capacity() / rowBytes);
    for (int begin = 0; begin < storedRows; begin += step) {
      int count = Math.min(step, storedRows - begin);
      read(part.tensor(), part.byteOffset() + begin * rowBytes, count * rowBytes);
      chunk.accept(begin, count);
    }
  }

  private void pack(PackedWeight weight, WeightPlan.Part part) {
    DType type = part.type();
    float[] scales = scales(weight, part);
    walk(weight, part, (begin, count) -> weight.pack(part.inputMajor()
        ? new PackedWeight.Part(staging, type, true, part.rowBegin(), part.rowCount(), begin, count, scales)
        : new PackedWeight.Part(staging, type, false, part.rowBegin() + begin, count, 0, weight.columns(),
            scales == null ? null : Arrays.copyOfRange(scales, begin, begin + count))));
  }

  /** The scales of a part's rows; null where there are none, or the backend finds them. */
  private float[] scales(PackedWeight weight, WeightPlan.Part part) {
    if (part.scales() != null) {
      return storedScales(part.scales(), part.rowCount());
    }
    return weight.dtype() == DType.S8 && part.inputMajor() ? measuredScales(weight, part) : null;
  }

  private float[] storedScales(WeightPlan.Scales scales, int rows) {
    TensorInfo tensor = scales.tensor();
    read(tensor, 0, tensor.bytes());
    float[] values = QuantizedTensors.floats(tensor, staging);
    for (int i = 0; i < values.length; i++) {
      QuantizedTensors.checkScale(checkpoint, tensor, i, values[i]);
    }
    if (scales.zeroPoint() != null) {
      read(scales.zeroPoint(), 0, scales.zeroPoint().bytes());
      QuantizedTensors.checkZero(checkpoint, scales.zeroPoint(), staging);
    }
    if (values.length != rows) {
      float all = values[0];
      values = new float[rows];
      Arrays.fill(values, all);
    }
    return values;
  }

  /** Input-major weights come without a whole output feature at hand, so they are read once more before they are quantized. */
  private float[] measuredScales(PackedWeight weight, WeightPlan.Part part) {
    float[] largest = new float[part.rowCount()];
    float[] row = new float[part.rowCount()];
    walk(weight, part, (begin, count) -> {
      for (int i = 0; i < count; i++) {
        widen(part.tensor().dtype(), i * row.length, row, 0, row.length);
        for (int j = 0; j < row.length; j++) {
          float magnitude = Math.abs(row[j]);
          if (!(magnitude < Float.POSITIVE_INFINITY)) {
            throw new InvalidModelException(checkpoint.fileOf(part.tensor().name()), part.tensor().name(),
                "element [" + (begin + i) + ", " + j + "] is " + row[j] + " and cannot be quantized");
          }
          largest[j] = Math.max(largest[j], magnitude);
        }
      }
    });
    for (int j = 0; j < largest.length; j++) {
      largest[j] /= Quantizer.LEVELS;
    }
    return largest;
  }

  private Tensor vector(WeightPlan.Vector vector) {
    float[] values = new float[vector.length()];
    int offset = 0;
    for (TensorInfo tensor : vector.parts()) {
      read(tensor, 0, tensor.bytes());
      offset += widen(tensor, values, offset);
    }
    Tensor loaded = backend.tensor(MemoryTag.WEIGHTS, 1, values.length);
    owned.add(loaded);
    loaded.copyFrom(values, 0);
    return loaded;
  }

  private int widen(TensorInfo tensor, float[] values, int offset) {
    int count = Math.toIntExact(tensor.elements());
    widen(tensor.dtype(), 0, values, offset, count);
    return count;
  }

  /** Elements of the staging buffer, from the one at {@code from} on, as float32. */
  private void widen(dev.lanes.format.DType type, int from, float[] values, int offset, int count) {
    switch (type) {
      case F32 -> {
        FloatBuffer source = staging.asFloatBuffer();
        source.get(from, values, offset, count);
      }
      case BF16 -> {
        ShortBuffer source = staging.asShortBuffer();
        for (int i = 0; i < count; i++) {
          values[offset + i] = FloatFormats.fromBf16(source.get(from + i));
        }
      }
      case F16 -> {
        ShortBuffer source = staging.asShortBuffer();
        for (int i = 0; i < count; i++) {
          values[offset + i] = FloatFormats.fromF16(source.get(from + i));
        }
      }
      default -> throw new IllegalStateException("unplanned dtype " + type);
    }
  }

  private void read(TensorInfo tensor, long offset, long bytes) {
    staging.clear().limit(Math.toIntExact(bytes));
    checkpoint.read(tensor, offset, staging);
    staging.flip();
    doneBytes += bytes;
    progress.progress(doneBytes, totalBytes, tensor.name());
  }

  /** Bytes that a plan reads. */
  private static final class Sizes {
    long total;
    long largest = 1;
    long longestRow = 1;

    Void matrix(WeightPlan.Matrix matrix) {
      for (WeightPlan.Part part : matrix.parts()) {
        long element = part.tensor().dtype().bytes();
        long bytes = (long) part.rowCount() * matrix.columns() * element;
        total += bytes;
        if (part.scales() != null) {
          scales(part.scales());
        } else if (matrix.dtype() == DType.S8 && part.inputMajor()) {
          // Read twice.
          total += bytes;
        }
        largest = Math.max(largest, bytes);
        longestRow = Math.max(longestRow, (part.inputMajor() ? part.rowCount() : matrix.columns()) * element);
      }
      return null;
    }

    private void scales(WeightPlan.Scales scales) {
      small(scales.tensor());
      if (scales.zeroPoint() != null) {
        small(scales.zeroPoint());
      }
    }

    private void small(TensorInfo tensor) {
      total += tensor.bytes();
      longestRow = Math.max(longestRow, tensor.bytes());
    }

    Void vector(WeightPlan.Vector vector) {
      vector.parts().forEach(this::small);
      return null;
    }
  }
}
