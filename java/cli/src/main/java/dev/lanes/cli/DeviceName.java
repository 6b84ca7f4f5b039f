package dev.lanes.cli;

import dev.lanes.Device;
import dev.lanes.LoadOptions;
import dev.lanes.backend.BackendOptions;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A device as the command line names it.
 *
 * @param index of a GPU, from 0
 */
record DeviceName(Device device, int index) {
  /** Of {@code --device}. */
  static final String LABEL = "auto|cuda[:N]|cpu|reference";

  private static final Pattern GPU = Pattern.compile("cuda(?::(\\d{1,3}))?");

  /** Reads {@code auto}, {@code cuda}, {@code cuda:1}, {@code cpu} or {@code reference}. */
  static final class Converter implements ITypeConverter<DeviceName> {
    @Override
    public DeviceName convert(String value) {
      String name = value.toLowerCase(Locale.ROOT);
      Matcher gpu = GPU.matcher(name);
      if (gpu.matches()) {
        return new DeviceName(Device.CUDA, gpu.group(1) == null ? 0 : Integer.parseInt(gpu.group(1)));
      }
      return switch (name) {
        case "auto" -> new DeviceName(Device.AUTO, 0);
        case "cpu" -> new DeviceName(Device.CPU, 0);
        case "reference" -> new DeviceName(Device.REFERENCE, 0);
        default -> throw new TypeConversionException("expected auto, cuda, cuda:N, cpu or reference but was '" + value + "'");
      };
    }
  }

  boolean isAuto() {
    return device == Device.AUTO;
  }

  LoadOptions.Builder applyTo(LoadOptions.Builder options) {
    return options.device(device).deviceIndex(index);
  }

  /** Leaves to the system properties what {@code auto} means. */
  BackendOptions applyTo(BackendOptions options) {
    return isAuto() ? options : options.withDevice(BackendOptions.Device.valueOf(device.name())).withDeviceIndex(index);
  }
}
