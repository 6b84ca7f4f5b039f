package dev.lanes.backend.reference;

import dev.lanes.backend.DType;
import dev.lanes.backend.FloatFormats;
import dev.lanes.backend.Forgotten;
import dev.lanes.backend.OpChecks;
import dev.lanes.backend.Tensor;
import java.lang.ref.Cleaner;

/** An array of floats or of bfloat16 patterns, or a view of one. Element (r, c) lies at {@code offset + r * stride + c}. */
final class ReferenceTensor implements Tensor {
  private final ReferenceBackend backend;
  /** float[] or short[]. */
  private final Storage<Object> storage;
  /** Null for a view. */
  private final Cleaner.Cleanable cleanable;
  /** Of a view: keeps the storage from being taken for forgotten. */
  private final ReferenceTensor owner;
  private final int offset;
  private final int rows;
  private final int columns;
  private final int stride;
  private final DType dtype;

  ReferenceTensor(ReferenceBackend backend, Storage<Object> storage, int rows, int columns, DType dtype) {
    this.backend = backend;
    this.storage = storage;
    this.owner = null;
    this.offset = 0;
    this.rows = rows;
    this.columns = columns;
    this.stride = columns;
    this.dtype = dtype;
    this.cleanable = Forgotten.watch(this, storage);
  }

  private ReferenceTensor(ReferenceTensor parent, int offset, int rows, int columns) {
    this.backend = parent.backend;
    this.storage = parent.storage;
    this.cleanable = null;
    this.owner = parent;
    this.offset = offset;
    this.rows = rows;
    this.columns = columns;
    this.stride = parent.stride;
    this.dtype = parent.dtype;
  }

  ReferenceBackend backend() {
    return backend;
  }

  /** That it is open; to be called under the backend's lock. */
  void requireOpen() {
    storage.get();
  }

  boolean sharesStorage(ReferenceTensor other) {
    return storage == other.storage;
  }

  /** The elements of a tensor of float32; to be called and used under the backend's lock. */
  float[] data() {
    return (float[]) storage.get();
  }

  /** Index of the first element of a row. */
  int row(int row) {
    return offset + row * stride;
  }

  /** Copies the elements of a row, widened, to {@code to[at …]}; to be called under the backend's lock. */
  void load(int row, float[] to, int at) {
    if (storage.get() instanceof short[] bits) {
      for (int i = 0; i < columns; i++) {
        to[at + i] = FloatFormats.fromBf16(bits[row(row) + i]);
      }
    } else {
      System.arraycopy(data(), row(row), to, at, columns);
    }
  }

  /** Fills a row from {@code from[at …]}, rounded for bfloat16; to be called under the backend's lock. */
  void store(int row, float[] from, int at) {
    if (storage.get() instanceof short[] bits) {
      for (int i = 0; i < columns; i++) {
        bits[row(row) + i] = FloatFormats.toBf16(from[at + i]);
      }
    } else {
      System.arraycopy(from, at, data(), row(row), columns);
    }
  }

  /** All elements, widened, row by row without gaps; to be called under the backend's lock. */
  float[] loadAll() {
    float[] all = new float[rows * columns];
    for (int r = 0; r < rows; r++) {
      load(r, all, r * columns);
    }
    return all;
  }

  /** Fills all rows from an array without gaps, rounded for bfloat16; to be called under the backend's lock. */
  void storeAll(float[] all) {
    for (int r = 0; r < rows; r++) {
      store(r, all, r * columns);
    }
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
  public int stride() {
    return stride;
  }

  @Override
  public DType dtype() {
    return dtype;
  }

  @Override
  public Tensor view(int rowBegin, int rowCount, int columnBegin, int columnCount) {
    OpChecks.view(this, rowBegin, rowCount, columnBegin, columnCount);
    return new ReferenceTensor(this, offset + rowBegin * stride + columnBegin, rowCount, columnCount);
  }

  @Override
  public void copyTo(float[] destination, int destinationOffset) {
    OpChecks.copy(this, destination, destinationOffset);
    backend.locked(() -> {
      requireOpen();
      for (int r = 0; r < rows; r++) {
        load(r, destination, destinationOffset + r * columns);
      }
    });
  }

  @Override
  public void copyFrom(float[] source, int sourceOffset) {
    OpChecks.copy(this, source, sourceOffset);
    backend.locked(() -> {
      requireOpen();
      for (int r = 0; r < rows; r++) {
        store(r, source, sourceOffset + r * columns);
      }
    });
  }

  @Override
  public void close() {
    if (owner == null) {
      storage.release();
      cleanable.clean();
    }
  }
}
