package dev.lanes.backend.jni;

import dev.lanes.backend.DType;
import dev.lanes.backend.Forgotten;
import dev.lanes.backend.OpChecks;
import dev.lanes.backend.QuantizedTensor;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.function.Consumer;
import org.bytedeco.javacpp.BytePointer;

/** A block of native memory: the scales of all rows, then the rows without gaps. Or a view of some rows. */
final class NativeQuantizedTensor implements QuantizedTensor {
  private final NativeBackend backend;
  private final Resource block;
  /** Null for a view. */
  private final Cleaner.Cleanable cleanable;
  /** Of a view: keeps the block from being taken for forgotten. */
  private final NativeQuantizedTensor owner;
  private final long elementsOffset;
  private final int begin;
  private final int rows;
  private final int columns;

  NativeQuantizedTensor(NativeBackend backend, Resource block, int rows, int columns) {
    this.backend = backend;
    this.block = block;
    this.owner = null;
    this.elementsOffset = QuantizedTensor.elementsOffset(rows);
    this.begin = 0;
    this.rows = rows;
    this.columns = columns;
    this.cleanable = Forgotten.watch(this, block);
  }

  private NativeQuantizedTensor(NativeQuantizedTensor parent, int begin, int rows) {
    this.backend = parent.backend;
    this.block = parent.block;
    this.cleanable = null;
    this.owner = parent;
    this.elementsOffset = parent.elementsOffset;
    this.begin = begin;
    this.rows = rows;
    this.columns = parent.columns;
  }

  NativeBackend backend() {
    return backend;
  }

  /** Of the first element; to be called and used under the backend's lock. */
  long address() {
    return block.address() + elementsOffset + (long) begin * columns;
  }

  /** Of the first row's scale; to be called and used under the backend's lock. */
  long scaleAddress() {
    return block.address() + (long) begin * Float.BYTES;
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
    return new NativeQuantizedTensor(this, begin + rowBegin, rowCount);
  }

  @Override
  public void copyTo(byte[] elements, float[] scales) {
    OpChecks.copy(this, elements, scales);
    transfer(() -> {
      new BytePointer(new Address(address())).get(elements, 0, rows * columns);
      Address.floats(scaleAddress()).get(scales, 0, rows);
    }, copies -> {
      copies.download(address(), elements, rows * columns);
      copies.download(deviceScales(), scales, 0);
    });
  }

  @Override
  public void copyFrom(byte[] elements, float[] scales) {
    OpChecks.copy(this, elements, scales);
    transfer(() -> {
      new BytePointer(new Address(address())).put(elements, 0, rows * columns);
      Address.floats(scaleAddress()).put(scales, 0, rows);
    }, copies -> {
      copies.upload(address(), elements, rows * columns);
      copies.upload(deviceScales(), scales, 0);
    });
  }

  private DeviceCopies.Rows deviceScales() {
    return new DeviceCopies.Rows(scaleAddress(), 1, rows, 1, DType.F32);
  }

  /** Once every waiting op has run. */
  private void transfer(Runnable copy, Consumer<DeviceCopies> deviceCopy) {
    backend.lock();
    try {
      backend.flush();
      if (backend.copies() == null) {
        copy.run();
      } else {
        deviceCopy.accept(backend.copies());
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
