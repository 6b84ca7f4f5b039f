package dev.lanes.format;

import java.util.Optional;

/** Element types of the safetensors format, little-endian. */
public enum DType {
  BOOL(1),
  U8(1),
  I8(1),
  F8_E4M3(1),
  F8_E5M2(1),
  U16(2),
  I16(2),
  F16(2),
  BF16(2),
  U32(4),
  I32(4),
  F32(4),
  U64(8),
  I64(8),
  F64(8);

  private final int bytes;

  DType(int bytes) {
    this.bytes = bytes;
  }

  /** Size of one element in bytes. */
  public int bytes() {
    return bytes;
  }

  /** True for the types that hold real numbers. */
  public boolean isFloatingPoint() {
    return switch (this) {
      case F8_E4M3, F8_E5M2, F16, BF16, F32, F64 -> true;
      default -> false;
    };
  }

  /** The type that config.json calls {@code name} ({@code "float32"}, {@code "torch.bfloat16"} …). */
  public static Optional<DType> ofConfig(String name) {
    String bare = name.startsWith("torch.") ? name.substring("torch.".length()) : name;
    return switch (bare) {
      case "float32", "float" -> Optional.of(F32);
      case "float16", "half" -> Optional.of(F16);
      case "bfloat16" -> Optional.of(BF16);
      case "float64", "double" -> Optional.of(F64);
      default -> Optional.empty();
    };
  }
}
