package dev.lanes.cli;

import java.util.Locale;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads {@code 1048576}, {@code 512M} or {@code 4G}; the units are powers of 1024. */
final class ByteCount implements ITypeConverter<Long> {
  @Override
  public Long convert(String text) {
    String upper = text.strip().toUpperCase(Locale.ROOT);
    int shift = switch (upper.isEmpty() ? ' ' : upper.charAt(upper.length() - 1)) {
      case 'K' -> 10;
      case 'M' -> 20;
      case 'G' -> 30;
      default -> 0;
    };
    try {
      long count = Long.parseLong(shift == 0 ? upper : upper.substring(0, upper.length() - 1));
      return Math.multiplyExact(count, 1L << shift);
    } catch (NumberFormatException | ArithmeticException e) {
      throw new TypeConversionException("'" + text + "' is not a number of bytes such as 1048576, 512M or 4G");
    }
  }
}
