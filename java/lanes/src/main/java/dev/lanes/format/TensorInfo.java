package dev.lanes.format;

import java.util.Arrays;

/**
 * One tensor of a safetensors file.
 *
 * @param name its name in the header
 * @param dtype its element type
 * @param shape its sizes, outermost first; empty for a scalar
 * @param offset where its first byte lies, from the start of the file
 * @param bytes its size in bytes
 */
public record TensorInfo(String name, DType dtype, long[] shape, long offset, long bytes) {

  /** A copy of the sizes, outermost first. */
  @Override
  public long[] shape() {
    return shape.clone();
  }

  public int rank() {
    return shape.length;
  }

  /** The size of one dimension; {@code IndexOutOfBoundsException} outside of 0 … rank - 1. */
  public long dim(int index) {
    return shape[index];
  }

  /** Number of elements: 1 for a scalar, 0 when a dimension is 0. */
  public long elements() {
    return bytes / dtype.bytes();
  }

  /** Whether the sizes are exactly these. */
  public boolean hasShape(long... sizes) {
    return Arrays.equals(shape, sizes);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof TensorInfo t
        && name.equals(t.name)
        && dtype == t.dtype
        && Arrays.equals(shape, t.shape)
        && offset == t.offset
        && bytes == t.bytes;
  }

  @Override
  public int hashCode() {
    return name.hashCode() * 31 + Long.hashCode(offset);
  }

  @Override
  public String toString() {
    return name + " " + dtype + " " + Arrays.toString(shape);
  }
}
