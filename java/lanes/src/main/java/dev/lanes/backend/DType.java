package dev.lanes.backend;

/**
 * Element types that weights and KV pages can be stored in. Activations are {@link #F32}, in some places {@link #BF16}, or int8 in a
 * {@link QuantizedTensor}.
 */
public enum DType {
  F32(4),
  BF16(2),
  F16(2),
  /** int8 with a float32 scale: a weight has one for each row. */
  S8(1);

  private final int bytes;

  DType(int bytes) {
    this.bytes = bytes;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }

  /** Whether elements are floating-point numbers, which need no scales. */
  public boolean isFloat() {
    return this != S8;
  }
}
