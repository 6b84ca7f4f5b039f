package dev.lanes.cli;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.CRC32;
import java.util.zip.DeflaterOutputStream;

/** Pixels of 24-bit colour [height][width], and their PNG (ISO/IEC 15948). Needs no fonts and no windowing system, as java.awt may. */
final class Picture {
  private static final byte[] SIGNATURE = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  private static final int BITS = 8;
  private static final int TRUE_COLOUR = 2;

  private final int width;
  private final int height;
  private final int[] pixels;

  Picture(int width, int height, int background) {
    this.width = width;
    this.height = height;
    pixels = new int[Math.multiplyExact(width, height)];
    Arrays.fill(pixels, background);
  }

  int width() {
    return width;
  }

  int height() {
    return height;
  }

  /** Fills a rectangle; what lies outside of the picture is cut. */
  void fill(int x, int y, int columns, int rows, int colour) {
    int begin = Math.max(0, x);
    int end = Math.min(width, x + columns);
    for (int row = Math.max(0, y); row < Math.min(height, y + rows) && begin < end; row++) {
      Arrays.fill(pixels, row * width + begin, row * width + end, colour);
    }
  }

  byte[] png() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      out.write(SIGNATURE);
      ByteArrayOutputStream header = new ByteArrayOutputStream();
      try (DataOutputStream fields = new DataOutputStream(header)) {
        fields.writeInt(width);
        fields.writeInt(height);
        fields.write(new byte[] {BITS, TRUE_COLOUR, 0, 0, 0});
      }
      chunk(out, "IHDR", header.toByteArray());
      chunk(out, "IDAT", compressed());
      chunk(out, "IEND", new byte[0]);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }

  /** Each row begins with the number of its filter, 0 for none. */
  private byte[] compressed() throws IOException {
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    try (DeflaterOutputStream out = new DeflaterOutputStream(data)) {
      byte[] row = new byte[1 + 3 * width];
      for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
          int pixel = pixels[y * width + x];
          row[1 + 3 * x] = (byte) (pixel >> 16);
          row[2 + 3 * x] = (byte) (pixel >> 8);
          row[3 + 3 * x] = (byte) pixel;
        }
        out.write(row);
      }
    }
    return data.toByteArray();
  }

  private static void chunk(DataOutputStream out, String type, byte[] data) throws IOException {
    byte[] name = type.getBytes(StandardCharsets.US_ASCII);
    CRC32 check = new CRC32();
    check.update(name);
    check.update(data);
    out.writeInt(data.length);
    out.write(name);
    out.write(data);
    out.writeInt((int) check.getValue());
  }
}
