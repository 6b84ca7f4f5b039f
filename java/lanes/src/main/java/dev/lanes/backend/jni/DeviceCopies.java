package dev.lanes.backend.jni;

import dev.lanes.backend.MemoryTag;
import dev.lanes.kernels.CopyParams;
import dev.lanes.kernels.RuntimeHandle;
import dev.lanes.kernels.global.lanes;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

/** Copies between arrays and a GPU's memory, through a piece of host memory. Used under the backend's lock, when no op waits. */
final class DeviceCopies {
  /** Small enough to stay in the caches, large enough that the way to the device does not count. */
  private static final int BYTES = 1 << 20;
  private static final int FLOATS = BYTES / Float.BYTES;

  private final RuntimeHandle runtime;
  private final long address;
  private final ByteBuffer bytes;
  private final FloatBuffer floats;
  private final Struct<CopyParams> struct;
  private final int source;
  private final int sourceBytes;
  private final int sourceStride;
  private final int destination;
  private final int destinationBytes;
  private final int destinationStride;
  private final int rows;
  private final int rowBytes;

  DeviceCopies(Resource.Owner owner, RuntimeHandle runtime) {
    this.runtime = runtime;
    int structBytes = (Struct.size(CopyParams.class) + 63) / 64 * 64;
    long block = Resource.block(owner, "copies of tensors", MemoryTag.SCRATCH, structBytes + (long) BYTES).address();
    struct = new Struct<>(CopyParams.class, CopyParams::new, new Address(block), () -> {});
    address = block + structBytes;
    bytes = Struct.buffer(new Address(address), BYTES);
    floats = bytes.asFloatBuffer();
    source = struct.offset("src");
    sourceBytes = struct.offset("src_bytes");
    sourceStride = struct.offset("src_stride");
    destination = struct.offset("dst");
    destinationBytes = struct.offset("dst_bytes");
    destinationStride = struct.offset("dst_stride");
    rows = struct.offset("rows");
    rowBytes = struct.offset("row_bytes");
  }

  /** Rows of floats from the device; {@code stride} in elements. */
  void download(long from, long stride, int rowCount, int columns, float[] to, int offset) {
    forPieces(from, stride, rowCount, columns, (device, count, width, at) -> {
      download(device, stride * Float.BYTES, count, (long) width * Float.BYTES);
      floats.get(0, to, offset + at, count * width);
    });
  }

  /** Rows of floats to the device; {@code stride} in elements. */
  void upload(long to, long stride, int rowCount, int columns, float[] from, int offset) {
    forPieces(to, stride, rowCount, columns, (device, count, width, at) -> {
      floats.put(0, from, offset + at, count * width);
      upload(device, stride * Float.BYTES, count, (long) width * Float.BYTES);
    });
  }

  /** Bytes from the device. */
  void download(long from, byte[] to, int count) {
    for (int begin = 0; begin < count; begin += BYTES) {
      int length = Math.min(BYTES, count - begin);
      download(from + begin, length, 1, length);
      bytes.get(0, to, begin, length);
    }
  }

  /** Bytes to the device. */
  void upload(long to, byte[] from, int count) {
    for (int begin = 0; begin < count; begin += BYTES) {
      int length = Math.min(BYTES, count - begin);
      bytes.put(0, from, begin, length);
      upload(to + begin, length, 1, length);
    }
  }

  /** Rows, or a part of one, that fit into this memory: where they lie on the device, and in an array without gaps. */
  private interface Piece {
    void copy(long device, int rowCount, int columns, int arrayOffset);
  }

  private static void forPieces(long device, long stride, int rowCount, int columns, Piece piece) {
    if (columns == 0) {
      return;
    }
    int width = Math.min(columns, FLOATS);
    int step = FLOATS / width;
    for (int row = 0; row < rowCount; row += step) {
      for (int column = 0; column < columns; column += width) {
        piece.copy(device + (row * stride + column) * Float.BYTES, Math.min(step, rowCount - row), Math.min(width, columns - column),
            row * columns + column);
      }
    }
  }

  private void download(long from, long stride, int rowCount, long width) {
    fill(from, stride, address, width, rowCount, width);
    Status.check(lanes.lanes_download(runtime, struct.pointer()));
  }

  private void upload(long to, long stride, int rowCount, long width) {
    fill(address, width, to, stride, rowCount, width);
    Status.check(lanes.lanes_upload(runtime, struct.pointer()));
  }

  private void fill(long from, long fromStride, long to, long toStride, int rowCount, long width) {
    struct.setLong(source, from);
    struct.setLong(sourceBytes, (rowCount - 1) * fromStride + width);
    struct.setLong(sourceStride, fromStride);
    struct.setLong(destination, to);
    struct.setLong(destinationBytes, (rowCount - 1) * toStride + width);
    struct.setLong(destinationStride, toStride);
    struct.setLong(rows, rowCount);
    struct.setLong(rowBytes, width);
  }
}
