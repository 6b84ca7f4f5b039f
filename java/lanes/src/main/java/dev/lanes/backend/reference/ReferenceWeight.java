package dev.lanes.backend.reference;

import dev.lanes.backend.DType;
import dev.lanes.backend.FloatFormats;
import dev.lanes.backend.Forgotten;
import dev.lanes.backend.OpChecks;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.Quantizer;
import java.lang.ref.Cleaner;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** A weight as one array a row: float32, the 16-bit patterns of bfloat16 and half, or int8 with the scales of all rows behind the rows. */
final class ReferenceWeight implements PackedWeight {
  /** Rows of float[], short[] or byte[]; after those of byte[] comes a float[] of the rows' scales. */
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
    if (dtype == DType.S8) {
      Object[] all = Arrays.copyOf(new byte[rows][columns], rows + 1, Object[].class);
      all[rows] = new float[rows];
      return all;
    }
    return dtype == DType.F32 ? new float[rows][columns] : new short[rows][columns];
  }

  static long bytes(int rows, int columns, DType dtype) {
    return (long) rows * columns * dtype.bytes() + (dtype == DType.S8 ? (long) rows * Float.BYTES : 0);
  }

  /** The scales of an int8 weight's rows. */
  float[] scales(Object[] data) {
    return (float[]) data[rows];
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
    if (dtype == DType.S8) {
      byte[] elements = (byte[]) data[row];
      float scale = scales(data)[row];
      for (int i = 0; i < columns; i++) {
        scratch[i] = scale * elements[i];
      }
      return scratch;
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
  public void pack(Part given) {
    OpChecks.part(this, given);
    Part part = new Part(given.source().duplicate().order(ByteOrder.LITTLE_ENDIAN), given.dtype(), given.transposed(), given.rowBegin(),
        given.rowCount(), given.columnBegin(), given.columnCount(), given.scales());
    backend.locked(() -> {
      Object[] data = data();
      for (int r = 0; r < part.rowCount(); r++) {
        Object row = data[part.rowBegin() + r];
        if (dtype == DType.S8) {
          scales(data)[part.rowBegin() + r] = packInt8((byte[]) row, part, r);
        } else {
          for (int c = 0; c < part.columnCount(); c++) {
            store(row, part.columnBegin() + c, part, r, c);
          }
        }
      }
    });
  }

  /** Fills a part of a row and returns the row's scale. */
  private float packInt8(byte[] row, Part part, int r) {
    if (part.dtype() == DType.S8) {
      for (int c = 0; c < part.columnCount(); c++) {
        row[part.columnBegin() + c] = part.source().get(index(part, r, c));
      }
      return part.scales()[r];
    }
    float[] values = new float[part.columnCount()];
    for (int c = 0; c < values.length; c++) {
      values[c] = element(part, r, c);
    }
    if (part.scales() == null) {
      return Quantizer.row(values, 0, values.length, row, 0);
    }
    for (int c = 0; c < values.length; c++) {
      row[part.columnBegin() + c] = Quantizer.element(values[c], part.scales()[r], -Quantizer.LEVELS);
    }
    return part.scales()[r];
  }

  /** A row of 16-bit patterns of the same type is copied as it is, NaNs included. */
  private void store(Object row, int column, Part part, int r, int c) {
    if (part.dtype() == dtype && dtype != DType.F32) {
      ((short[]) row)[column] = part.source().getShort(index(part, r, c));
      return;
    }
    float value = element(part, r, c);
    switch (dtype) {
      case F32 -> ((float[]) row)[column] = value;
      case BF16 -> ((short[]) row)[column] = FloatFormats.toBf16(value);
      case F16 -> ((short[]) row)[column] = FloatFormats.toF16(value);
      case S8 -> throw new IllegalStateException();
    }
  }

  private static float element(Part part, int r, int c) {
    int at = index(part, r, c);
    ByteBuffer source = part.source();
    return switch (part.dtype()) {
      case F32 -> source.getFloat(at);
      case BF16 -> FloatFormats.fromBf16(source.getShort(at));
      case F16 -> FloatFormats.fromF16(source.getShort(at));
      case S8 -> part.scales()[r] * source.get(at);
    };
  }

  /** A ByteBuffer has less than 2^31 bytes, so the index fits. */
  private static int index(Part part, int r, int c) {
    int element = part.transposed() ? c * part.rowCount() + r : r * part.columnCount() + c;
    return part.source().position() + element * part.dtype().bytes();
  }

  @Override
  public void close() {
    storage.release();
    cleanable.clean();
  }
}
