package dev.lanes.backend.jni;

import dev.lanes.backend.DType;
import dev.lanes.backend.FloatFormats;
import dev.lanes.backend.MemoryTag;
import dev.lanes.kernels.CopyParams;
import dev.lanes.kernels.RuntimeHandle;
import dev.lanes.kernels.global.lanes;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;

/** Copies between arrays and a GPU's memory, through a piece of host memory. Used under the backend's lock, when no op waits. */
final class DeviceCopies {
  /** Small enough to stay in the caches, large enough that the way to the device does not count. */
  private static final int BYTES = 1 << 20;

  private final RuntimeHandle runtime;
  private final long address;
  private final ByteBuffer bytes;
  private final FloatBuffer floats;
  private final ShortBuffer shorts;
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
    shorts = bytes.asShortBuffer();
    source = struct.offset("src");
    sourceBytes = struct.offset("src_bytes");
    sourceStride = struct.offset("src_stride");
    destination = struct.offset("dst");
    destinationBytes = struct.offset("dst_bytes");
    destinationStride = struct.offset("dst_stride");
    rows = struct.offset("rows");
    rowBytes = struct.offset("row_bytes");
  }

  /** Rows on the device: element (r, c) is {@code r * stride + c} elements behind the address. */
  record Rows(long address, int stride, int count, int columns, DType dtype) {
    long strideBytes() {
      return (long) stride * dtype.bytes();
    }
  }

  /** Rows from the device, to {@code to[offset …]} without gaps. */
  void download(Rows from, float[] to, int offset) {
    forPieces(from, (device, count, width, at) -> {
      download(device, from.strideBytes(), count, (long) width * from.dtype.bytes());
      if (from.dtype == DType.BF16) {
        short[] bits = new short[count * width];
        shorts.get(0, bits);
        FloatFormats.fromBf16(bits, to, offset + at);
      } else {
        floats.get(0, to, offset + at, count * width);
      }
    });
  }

  /** Rows to the device, from {@code from[offset …]} without gaps. */
  void upload(Rows to, float[] from, int offset) {
    forPieces(to, (device, count, width, at) -> {
      if (to.dtype == DType.BF16) {
        shorts.put(0, FloatFormats.toBf16(from, offset + at, count * width));
      } else {
        floats.put(0, from, offset + at, count * width);
      }
      upload(device, to.strideBytes(), count, (long) width * to.dtype.bytes());
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

  private static void forPieces(Rows rows, Piece piece) {
    if (rows.columns == 0) {
      return;
    }
    int fit = BYTES / rows.dtype.bytes();
    int width = Math.min(rows.columns, fit);
    int step = fit / width;
    for (int row = 0; row < rows.count; row += step) {
      for (int column = 0; column < rows.columns; column += width) {
        piece.copy(rows.address + row * rows.strideBytes() + (long) column * rows.dtype.bytes(), Math.min(step, rows.count - row),
            Math.min(width, rows.columns - column), row * rows.columns + column);
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
