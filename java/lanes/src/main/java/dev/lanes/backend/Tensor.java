package dev.lanes.backend;

/**
 * A matrix [rows, columns] of float32 or bfloat16 in a backend's memory, or a view of one. Views share the storage and keep it alive as
 * an object, but using a view after its owner was closed throws {@link IllegalStateException}. Not for use by several threads at once.
 */
public interface Tensor extends AutoCloseable {
  int rows();

  int columns();

  /** {@link DType#F32} or {@link DType#BF16}; of a view that of its owner. Ops take bfloat16 only where {@link Op} says so. */
  DType dtype();

  /** Elements between the starts of two rows; at least {@link #columns()}. */
  int stride();

  /**
   * The part [rowCount, columnCount] that starts at (rowBegin, columnBegin).
   *
   * @throws IndexOutOfBoundsException if the part is not inside this tensor
   */
  Tensor view(int rowBegin, int rowCount, int columnBegin, int columnCount);

  /** The rows [rowBegin, rowBegin + rowCount) with all columns. */
  default Tensor rows(int rowBegin, int rowCount) {
    return view(rowBegin, rowCount, 0, columns());
  }

  /** The columns [columnBegin, columnBegin + columnCount) of all rows. */
  default Tensor columns(int columnBegin, int columnCount) {
    return view(0, rows(), columnBegin, columnCount);
  }

  /** Copies all elements, row by row without gaps and widened, to {@code destination[offset …]}. */
  void copyTo(float[] destination, int offset);

  /** Fills all elements, row by row without gaps, from {@code source[offset …]}; for bfloat16 rounded half to even. */
  void copyFrom(float[] source, int offset);

  /** All elements, row by row without gaps. */
  default float[] toArray() {
    float[] all = new float[Math.multiplyExact(rows(), columns())];
    copyTo(all, 0);
    return all;
  }

  /** What a tensor is called in messages. */
  static String name(int rows, int columns, DType dtype) {
    return "tensor [" + rows + ", " + columns + "]" + (dtype == DType.F32 ? "" : " of " + dtype);
  }

  /** Gives the memory back if this tensor owns it; closing a view or closing twice does nothing. */
  @Override
  void close();
}
