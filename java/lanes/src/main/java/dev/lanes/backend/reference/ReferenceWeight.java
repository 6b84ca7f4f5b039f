package dev.lanes.backend.reference;

import dev.lanes.backend.DType;
import dev.lanes.backend.FloatFormats;
import dev.lanes.backend.Forgotten;
import dev.lanes.backend.OpChecks;
import dev.lanes.backend.PackedWeight;
import java.lang.ref.Cleaner;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** A weight as one array a row: float32, or the 16-bit patterns of bfloat16 and half. */
final class ReferenceWeight implements PackedWeight {
  /** Rows of float[] or short[]. */
  private final Storage<Object[]> storage;
  private final Cleaner.Cleanable cleanable;
  private final ReferenceBackend backend;
  private final int rows;
  private final int columns;
  private final DType dtype;

  ReferenceWeight(ReferenceBackend backend, Storage<Object[]> storage, int rows, int columns, DType dtype) {
    this.backend = backend;
    this.storage = storage;
    this.rows = rows;
    this.columns = columns;
    this.dtype = dtype;
    this.cleanable = Forgotten.watch(this, storage);
  }

  static Object[] allocate(int rows, int columns, DType dtype) {
    return dtype == DType.F32 ? new float[rows][columns] : new short[rows][columns];
  }

  ReferenceBackend backend() {
    return backend;
  }

  /** To be called and used under the backend's lock. */
  Object[] data() {
    return storage.get();
  }

  /** One row of {@link #data()} as float32: the row itself, or converted into {@code scratch} [columns]. */
  float[] row(Object[] data, int row, float[] scratch) {
    if (dtype == DType.F32) {
      return (float[]) data[row];
    }
    short[] source = (short[]) data[row];
    if (dtype == DType.BF16) {
      for (int i = 0; i < columns; i++) {
        scratch[i] = FloatFormats.fromBf16(source[i]);
      }
    } else {
      for (int i = 0; i < columns; i++) {
        scratch[i] = FloatFormats.fromF16(source[i]);
      }
    }
    return scratch;
  }

  @Override
  public int rows() {
    return rows;
  }

  @Override
  public int columns() {
    return columns;
  }

  @Override
  public DType dtype() {
    return dtype;
  }

  @Override
  public long bytes() {
    return storage.bytes();
  }

  @Override
  public void pack(Part part) {
    OpChecks.part(this, part);
    backend.locked(() -> {
      Object[] data = data();
      ByteBuffer source = part.source().duplicate().order(ByteOrder.LITTLE_ENDIAN);
      int begin = source.position();
      int size = part.dtype().bytes();
      for (int r = 0; r < part.rowCount(); r++) {
        for (int c = 0; c < part.columnCount(); c++) {
          // A ByteBuffer has less than 2^31 bytes, so the index fits.
          int element = part.transposed() ? c * part.rowCount() + r : r * part.columnCount() + c;
          store(data[part.rowBegin() + r], part.columnBegin() + c, source, begin + element * size, part.dtype());
        }
      }
    });
  }

  private void store(Object row, int column, ByteBuffer source, int at, DType from) {
    if (from == dtype) {
      if (from == DType.F32) {
        ((float[]) row)[column] = source.getFloat(at);
      } else {
        ((short[]) row)[column] = source.getShort(at);
      }
      return;
    }
    float value = switch (from) {
      case F32 -> source.getFloat(at);
      case BF16 -> FloatFormats.fromBf16(source.getShort(at));
      case F16 -> FloatFormats.fromF16(source.getShort(at));
    };
    switch (dtype) {
      case F32 -> ((float[]) row)[column] = value;
      case BF16 -> ((short[]) row)[column] = FloatFormats.toBf16(value);
      case F16 -> ((short[]) row)[column] = FloatFormats.toF16(value);
    }
  }

  @Override
  public void close() {
    storage.release();
    cleanable.clean();
  }
}
