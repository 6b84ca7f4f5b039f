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
   */
  record Part(ByteBuffer source, DType dtype, boolean transposed, int rowBegin, int rowCount, int columnBegin, int columnCount) {}

  @Override
  void close();
}
