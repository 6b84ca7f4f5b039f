package dev.lanes.backend;

import java.nio.ByteBuffer;

/** A weight matrix [rows = output features, columns = input features] in the backend's own layout. */
public interface PackedWeight extends AutoCloseable {
  int rows();

  int columns();

  DType dtype();

  /** Bytes in the backend's memory, padding included. */
  long bytes();

  /** Packs a part of the matrix. Parts may come in any order; what no part fills is zero. */
  void pack(Part part);

  /**
   * A rectangle of a weight and its elements.
   *
   * @param source little-endian elements between position and limit: [rowCount, columnCount], or [columnCount, rowCount] when transposed
   * @param dtype type of the source's elements; converted to the weight's type, rounding half to even
   * @param transposed whether the source is stored input-major, as GPT-2's Conv1D weights are
   * @param scales [rowCount], each finite and 0 or more, what the int8 elements of a row are multiplied with. Needed for a source of
   *     {@link DType#S8}. With a source of floats for a weight of S8 the rows are quantized with them, or where they are null each row
   *     with its own largest magnitude / 127, for which the part must have all columns and not be transposed. Null otherwise
   */
  record Part(ByteBuffer source, DType dtype, boolean transposed, int rowBegin, int rowCount, int columnBegin, int columnCount,
      float[] scales) {
    /** A part without scales. */
    public Part(ByteBuffer source, DType dtype, boolean transposed, int rowBegin, int rowCount, int columnBegin, int columnCount) {
      this(source, dtype, transposed, rowBegin, rowCount, columnBegin, columnCount, null);
    }
  }

  @Override
  void close();
}
