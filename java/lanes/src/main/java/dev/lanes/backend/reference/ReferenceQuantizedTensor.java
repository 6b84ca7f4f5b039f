package dev.lanes.backend.reference;

import dev.lanes.backend.Forgotten;
import dev.lanes.backend.OpChecks;
import dev.lanes.backend.QuantizedTensor;
import java.lang.ref.Cleaner;

/** An array of int8 rows and one of their scales, or a view of some rows. Element (r, c) lies at {@code (begin + r) * columns + c}. */
final class ReferenceQuantizedTensor implements QuantizedTensor {
  /** The rows without gaps, and a scale for each. */
  record Arrays(byte[] elements, float[] scales) {}

  private final ReferenceBackend backend;
  private final Storage<Arrays> storage;
  /** Null for a view. */
  private final Cleaner.Cleanable cleanable;
  /** Of a view: keeps the storage from being taken for forgotten. */
  private final ReferenceQuantizedTensor owner;
  private final int begin;
  private final int rows;
  private final int columns;

  ReferenceQuantizedTensor(ReferenceBackend backend, Storage<Arrays> storage, int rows, int columns) {
    this.backend = backend;
    this.storage = storage;
    this.owner = null;
    this.begin = 0;
    this.rows = rows;
    this.columns = columns;
    this.cleanable = Forgotten.watch(this, storage);
  }

  private ReferenceQuantizedTensor(ReferenceQuantizedTensor parent, int begin, int rows) {
    this.backend = parent.backend;
    this.storage = parent.storage;
    this.cleanable = null;
    this.owner = parent;
    this.begin = begin;
    this.rows = rows;
    this.columns = parent.columns;
  }

  ReferenceBackend backend() {
    return backend;
  }

  /** To be called and used under the backend's lock. */
  Arrays data() {
    return storage.get();
  }

  /** Index of the first element of a row. */
  int row(int row) {
    return (begin + row) * columns;
  }

  /** Index of a row's scale. */
  int scale(int row) {
    return begin + row;
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
  public QuantizedTensor rows(int rowBegin, int rowCount) {
    OpChecks.rows(this, rowBegin, rowCount);
    return new ReferenceQuantizedTensor(this, begin + rowBegin, rowCount);
  }

  @Override
  public void copyTo(byte[] elements, float[] scales) {
    OpChecks.copy(this, elements, scales);
    backend.locked(() -> {
      System.arraycopy(data().elements, row(0), elements, 0, rows * columns);
      System.arraycopy(data().scales, begin, scales, 0, rows);
    });
  }

  @Override
  public void copyFrom(byte[] elements, float[] scales) {
    OpChecks.copy(this, elements, scales);
    backend.locked(() -> {
      System.arraycopy(elements, 0, data().elements, row(0), rows * columns);
      System.arraycopy(scales, 0, data().scales, begin, rows);
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
