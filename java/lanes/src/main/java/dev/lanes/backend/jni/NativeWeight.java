package dev.lanes.backend.jni;

import dev.lanes.backend.DType;
import dev.lanes.backend.Forgotten;
import dev.lanes.backend.OpChecks;
import dev.lanes.backend.PackedWeight;
import java.lang.ref.Cleaner;

/** A weight in the panels of the native kernels. */
final class NativeWeight implements PackedWeight {
  private final NativeBackend backend;
  private final Resource weight;
  private final Cleaner.Cleanable cleanable;
  private final int rows;
  private final int columns;
  private final DType dtype;

  NativeWeight(NativeBackend backend, Resource weight, int rows, int columns, DType dtype) {
    this.backend = backend;
    this.weight = weight;
    this.rows = rows;
    this.columns = columns;
    this.dtype = dtype;
    this.cleanable = Forgotten.watch(this, weight);
  }

  NativeBackend backend() {
    return backend;
  }

  /** Of the handle; to be called and used under the backend's lock. */
  long address() {
    return weight.address();
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
    return weight.bytes();
  }

  @Override
  public void pack(Part part) {
    OpChecks.part(this, part);
    backend.pack(this, part);
  }

  @Override
  public void close() {
    weight.release();
    cleanable.clean();
  }
}
