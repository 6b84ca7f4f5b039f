package dev.lanes.backend;

import dev.lanes.backend.jni.NativeBackend;
import dev.lanes.backend.reference.ReferenceBackend;
import dev.lanes.error.NativeException;
import java.util.concurrent.atomic.AtomicBoolean;

/** Opens backends. */
public final class Backends {
  private static final AtomicBoolean SAID = new AtomicBoolean();

  private Backends() {}

  /** The backend that {@link BackendOptions#defaults()} describes. */
  public static Backend open() {
    return open(BackendOptions.defaults());
  }

  /**
   * Opens a backend. With {@link BackendOptions.Device#AUTO} and no native library that fits, it is the Java reference: that is logged
   * once as a warning, with the reason, and stands in {@link BackendInfo#why()}.
   *
   * @throws NativeException if the native kernels were asked for and cannot be used
   */
  public static Backend open(BackendOptions options) {
    return switch (options.device()) {
      case REFERENCE -> new ReferenceBackend(options.threads(), "the Java reference was asked for");
      case CPU -> NativeBackend.open(options);
      case AUTO -> automatic(options);
    };
  }

  private static Backend automatic(BackendOptions options) {
    if (options.isa() != BackendOptions.Isa.AUTO) {
      // An instruction set was asked for by name: only the native kernels have one.
      return NativeBackend.open(options);
    }
    try {
      return NativeBackend.open(options);
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
