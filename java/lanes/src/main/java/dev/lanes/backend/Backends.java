package dev.lanes.backend;

import dev.lanes.backend.jni.NativeBackend;
import dev.lanes.backend.reference.ReferenceBackend;
import dev.lanes.error.DeviceFailedException;
import dev.lanes.error.InsufficientMemoryException;
import dev.lanes.error.NativeException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;

/** Opens backends. */
public final class Backends {
  private static final AtomicBoolean SAID = new AtomicBoolean();

  private Backends() {}

  /** The backend that {@link BackendOptions#defaults()} describes. */
  public static Backend open() {
    return open(BackendOptions.defaults());
  }

  /** Like {@link #open(BackendOptions, Function)}, with no objections. */
  public static Backend open(BackendOptions options) {
    return open(options, backend -> null);
  }

  /**
   * Opens a backend. With {@link BackendOptions.Device#AUTO} it is the first that can be had of a GPU, the native CPU kernels, and the Java
   * reference; {@link BackendInfo#why()} says what speaks against those before it. That no native library fits is logged as well, once, as
   * a warning.
   *
   * @param objection what speaks against a GPU that {@code AUTO} has found, such as a model that does not fit into its memory; null to take
   *     it
   * @throws NativeException if a native device was asked for by name and cannot be used
   */
  public static Backend open(BackendOptions options, Function<Backend, String> objection) {
    return switch (options.device()) {
      case REFERENCE -> new ReferenceBackend(options.threads(), "the Java reference was asked for");
      case CPU, CUDA -> NativeBackend.open(options, "");
      case AUTO -> automatic(options, objection);
    };
  }

  private static Backend automatic(BackendOptions options, Function<Backend, String> objection) {
    if (options.isa() != BackendOptions.Isa.AUTO) {
      // An instruction set was asked for by name: only the CPU kernels have one.
      return NativeBackend.open(options.withDevice(BackendOptions.Device.CPU), "");
    }
    String noGpu;
    try {
      Backend gpu = NativeBackend.open(options.withDevice(BackendOptions.Device.CUDA), "");
      try {
        noGpu = objection.apply(gpu);
      } catch (RuntimeException | Error e) {
        gpu.close();
        throw e;
      }
      if (noGpu == null) {
        return gpu;
      }
      gpu.close();
    } catch (NativeException | DeviceFailedException | InsufficientMemoryException e) {
      noGpu = e.getMessage();
    }
    try {
      return NativeBackend.open(options.withDevice(BackendOptions.Device.CPU), noGpu + "; ");
    } catch (NativeException e) {
      String why = "no native kernels: " + e.getMessage();
      if (SAID.compareAndSet(false, true)) {
        System.getLogger("dev.lanes.backend").log(System.Logger.Level.WARNING,
            "Lanes runs on its slow pure-Java reference backend: " + e.getMessage());
      }
      return new ReferenceBackend(options.threads(), why);
    }
  }
}
