package dev.lanes;

import dev.lanes.backend.BackendOptions;
import java.util.List;

/**
 * The devices that tests run on: the Java reference and the CPU kernels, or, with the system property {@code lanes.test.cuda}, the GPU
 * kernels alone. The build runs some suites so on a library whose GPU is emulated ({@code lanes.test.cuda=emulated}, and
 * {@code dev.lanes.kernels.library} names it); with {@code lanes.test.cuda=device} all can run on a GPU.
 */
public final class TestDevices {
  /** Whether this run is about GPU kernels. */
  public static final boolean CUDA = System.getProperty("lanes.test.cuda") != null;
  /** Whether its GPU is emulated: thousands of times slower than a real one. */
  public static final boolean EMULATED = "emulated".equals(System.getProperty("lanes.test.cuda"));

  private TestDevices() {}

  /** For conditions on tests. */
  public static boolean cuda() {
    return CUDA;
  }

  /** As a user of models names them. */
  public static List<Device> devices() {
    return CUDA ? List.of(Device.CUDA) : List.of(Device.REFERENCE, Device.CPU);
  }

  /** As backends name them. */
  public static List<BackendOptions.Device> backends() {
    return devices().stream().map(device -> BackendOptions.Device.valueOf(device.name())).toList();
  }

  /** The fastest of them. */
  public static Device best() {
    return CUDA ? Device.CUDA : Device.CPU;
  }
}
