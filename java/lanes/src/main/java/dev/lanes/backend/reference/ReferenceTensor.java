package dev.lanes.backend.reference;

import dev.lanes.backend.Forgotten;
import dev.lanes.backend.OpChecks;
import dev.lanes.backend.Tensor;
import java.lang.ref.Cleaner;

/** A float array, or a view of one. Element (r, c) lies at {@code offset + r * stride + c}. */
final class ReferenceTensor implements Tensor {
  private final ReferenceBackend backend;
  private final Storage<float[]> storage;
  /** Null for a view. */
  private final Cleaner.Cleanable cleanable;
  /** Of a view: keeps the storage from being taken for forgotten. */
  private final ReferenceTensor owner;
  private final int offset;
  private final int rows;
  private final int columns;
  private final int stride;

  ReferenceTensor(ReferenceBackend backend, Storage<float[]> storage, int rows, int columns) {
    this.backend = backend;
    this.storage = storage;
    this.owner = null;
    this.offset = 0;
    this.rows = rows;
    this.columns = columns;
    this.stride = columns;
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
  }

  ReferenceBackend backend() {
    return backend;
  }

  /** To be called and used under the backend's lock. */
  float[] data() {
    return storage.get();
  }

  /** Index of the first element of a row. */
  int row(int row) {
    return offset + row * stride;
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
  public Tensor view(int rowBegin, int rowCount, int columnBegin, int columnCount) {
    OpChecks.view(this, rowBegin, rowCount, columnBegin, columnCount);
    return new ReferenceTensor(this, offset + rowBegin * stride + columnBegin, rowCount, columnCount);
  }

  @Override
  public void copyTo(float[] destination, int destinationOffset) {
    OpChecks.copy(this, destination, destinationOffset);
    backend.locked(() -> {
      float[] data = data();
      for (int r = 0; r < rows; r++) {
        System.arraycopy(data, row(r), destination, destinationOffset + r * columns, columns);
      }
    });
  }

  @Override
  public void copyFrom(float[] source, int sourceOffset) {
    OpChecks.copy(this, source, sourceOffset);
    backend.locked(() -> {
      float[] data = data();
      for (int r = 0; r < rows; r++) {
        System.arraycopy(source, sourceOffset + r * columns, data, row(r), columns);
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
