package dev.lanes.backend;

/** Element types that weights and KV pages can be stored in. Activations are always {@link #F32}. */
public enum DType {
  F32(4),
  BF16(2),
  F16(2);

  private final int bytes;

  DType(int bytes) {
    this.bytes = bytes;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }
}
