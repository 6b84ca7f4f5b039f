package dev.lanes.cli;

import dev.lanes.backend.DType;
import java.util.Locale;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** The element types of a KV cache by their names on the command line; none for {@code auto}. */
final class CacheType implements ITypeConverter<DType> {
  @Override
  public DType convert(String value) {
    return switch (value.toLowerCase(Locale.ROOT)) {
      case "auto" -> null;
      case "f32" -> DType.F32;
      case "bf16" -> DType.BF16;
      case "f16" -> DType.F16;
      case "int8", "s8" -> DType.S8;
      default -> throw new TypeConversionException("expected auto, f32, bf16, f16 or int8 but was '" + value + "'");
    };
  }

  /** What {@link #convert} reads. */
  static String name(DType type) {
    return type == DType.S8 ? "int8" : type.name().toLowerCase(Locale.ROOT);
  }
}
