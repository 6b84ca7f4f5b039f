package dev.lanes.cli;

import dev.lanes.backend.Compute;
import java.util.Locale;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** How a model multiplies, by names on the command line; none for {@code auto}. */
final class ComputeName implements ITypeConverter<Compute> {
  @Override
  public Compute convert(String value) {
    return switch (value.toLowerCase(Locale.ROOT)) {
      case "auto" -> null;
      case "exact" -> Compute.EXACT;
      case "bf16" -> Compute.BF16;
      case "f16" -> Compute.F16;
      default -> throw new TypeConversionException("expected auto, exact, bf16 or f16 but was '" + value + "'");
    };
  }

  static String name(Compute compute) {
    return compute.name().toLowerCase(Locale.ROOT);
  }
}
