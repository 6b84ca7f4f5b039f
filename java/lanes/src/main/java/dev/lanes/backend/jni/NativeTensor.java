package dev.lanes.backend.jni;

import dev.lanes.backend.DType;
import dev.lanes.backend.FloatFormats;
import dev.lanes.backend.Forgotten;
import dev.lanes.backend.OpChecks;
import dev.lanes.backend.Tensor;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.function.Consumer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.ShortPointer;

/** A block of native memory, or a view of one. Element (r, c) lies at {@code offset + r * stride + c}. */
final class NativeTensor implements Tensor {
  private final NativeBackend backend;
  private final Resource block;
  /** Null for a view. */
  private final Cleaner.Cleanable cleanable;
  /** Of a view: keeps the block from being taken for forgotten. */
  private final NativeTensor owner;
  private final long offset;
  private final int rows;
  private final int columns;
  private final int stride;
  private final DType dtype;

  NativeTensor(NativeBackend backend, Resource block, int rows, int columns, DType dtype) {
    this.backend = backend;
    this.block = block;
    this.owner = null;
    this.offset = 0;
    this.rows = rows;
    this.columns = columns;
    this.stride = columns;
    this.dtype = dtype;
    this.cleanable = Forgotten.watch(this, block);
  }

  private NativeTensor(NativeTensor parent, long offset, int rows, int columns) {
    this.backend = parent.backend;
    this.block = parent.block;
    this.cleanable = null;
    this.owner = parent;
    this.offset = offset;
    this.rows = rows;
    this.columns = columns;
    this.stride = parent.stride;
    this.dtype = parent.dtype;
  }

  NativeBackend backend() {
    return backend;
  }

  /** Of the first element; to be called and used under the backend's lock. */
  long address() {
    return block.address() + offset * dtype.bytes();
  }

  /** Elements from the first to behind the last. */
  long extent() {
    return rows == 0 ? 0 : (long) (rows - 1) * stride + columns;
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
    return new NativeTensor(this, offset + (long) rowBegin * stride + columnBegin, rowCount, columnCount);
  }

  /** Moves a run of elements between native memory and an array. */
  private interface Transfer {
    void run(Address address, int arrayOffset, int length);
  }

  @Override
  public void copyTo(float[] destination, int destinationOffset) {
    OpChecks.copy(this, destination, destinationOffset);
    transfer((address, at, length) -> {
      if (dtype == DType.BF16) {
        short[] bits = new short[length];
        new ShortPointer(address).get(bits);
        FloatFormats.fromBf16(bits, destination, destinationOffset + at);
      } else {
        new FloatPointer(address).get(destination, destinationOffset + at, length);
      }
    }, copies -> copies.download(deviceRows(), destination, destinationOffset));
  }

  @Override
  public void copyFrom(float[] source, int sourceOffset) {
    OpChecks.copy(this, source, sourceOffset);
    transfer((address, at, length) -> {
      if (dtype == DType.BF16) {
        new ShortPointer(address).put(FloatFormats.toBf16(source, sourceOffset + at, length));
      } else {
        new FloatPointer(address).put(source, sourceOffset + at, length);
      }
    }, copies -> copies.upload(deviceRows(), source, sourceOffset));
  }

  private DeviceCopies.Rows deviceRows() {
    return new DeviceCopies.Rows(address(), stride, rows, columns, dtype);
  }

  /** Row by row, or at once where the rows have no gaps; all at once where a GPU has them. */
  private void transfer(Transfer transfer, Consumer<DeviceCopies> deviceTransfer) {
    backend.lock();
    try {
      backend.flush();
      DeviceCopies copies = backend.copies();
      if (copies != null) {
        deviceTransfer.accept(copies);
        return;
      }
      boolean whole = columns == stride || rows == 1;
      int length = whole ? rows * columns : columns;
      for (int r = 0; r < (whole ? 1 : rows); r++) {
        transfer.run(new Address(address() + (long) r * stride * dtype.bytes()), r * columns, length);
      }
    } finally {
      backend.unlock();
      Reference.reachabilityFence(this);
    }
  }

  @Override
  public void close() {
    if (owner == null) {
      block.release();
      cleanable.clean();
    }
  }
}
