package dev.lanes.quantize;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A temporary file of int8 matrices: a quantized model need not fit into the heap. */
final class Spool implements AutoCloseable {
  private final FileChannel channel;
  private long end;

  /**
   * An int8 matrix in the file.
   *
   * @param position of its first byte
   * @param scales [rows]
   */
  record Entry(long position, int rows, int columns, float[] scales) {
    long bytes() {
      return (long) rows * columns;
    }
  }

  Spool(Path directory) throws IOException {
    Path file = Files.createTempFile(directory, "int8", ".part");
    channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.DELETE_ON_CLOSE);
  }

  Entry add(Rounding.Rounded matrix, int firstRow, int rows, int columns) {
    ByteBuffer bytes = ByteBuffer.wrap(matrix.values(), firstRow * columns, rows * columns);
    float[] scales = new float[rows];
    System.arraycopy(matrix.scales(), firstRow, scales, 0, rows);
    Entry entry = new Entry(end, rows, columns, scales);
    try {
      while (bytes.hasRemaining()) {
        end += channel.write(bytes, end);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return entry;
  }

  /** Fills {@code out} from its position to its limit with elements of a matrix. */
  void read(Entry entry, long from, ByteBuffer out) {
    try {
      for (long at = entry.position + from; out.hasRemaining(); ) {
        int count = channel.read(out, at);
        if (count < 0) {
          throw new IOException("the temporary file of int8 weights ends at byte " + at);
        }
        at += count;
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
