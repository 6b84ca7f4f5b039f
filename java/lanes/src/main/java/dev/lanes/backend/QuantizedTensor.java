package dev.lanes.backend;

/**
 * An int8 matrix [rows, columns] with a float32 scale for each row, in a backend's memory: element (r, c) stands for
 * {@code scale(r) * q(r, c)}. Or some rows of one; views share the storage as those of a {@link Tensor} do.
 */
public interface QuantizedTensor extends AutoCloseable {
  int rows();

  int columns();

  /**
   * The rows [rowBegin, rowBegin + rowCount).
   *
   * @throws IndexOutOfBoundsException if they are not inside this tensor
   */
  QuantizedTensor rows(int rowBegin, int rowCount);

  /** Copies all elements, row by row without gaps, and the rows' scales to the beginning of two arrays. */
  void copyTo(byte[] elements, float[] scales);

  /** Fills all elements, row by row without gaps, and the rows' scales from the beginning of two arrays. */
  void copyFrom(byte[] elements, float[] scales);

  /** Bytes that such a tensor takes in a backend's memory. */
  static long bytes(int rows, int columns) {
    return (long) rows * columns + elementsOffset(rows);
  }

  /** Where the elements begin: behind the scales, on a cache line. */
  static long elementsOffset(int rows) {
    return ((long) rows * Float.BYTES + 63) / 64 * 64;
  }

  /** Gives the memory back if this tensor owns it; closing a view or closing twice does nothing. */
  @Override
  void close();
}
