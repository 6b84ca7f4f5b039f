package dev.lanes.model;

import dev.lanes.TestDevices;
import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.BackendOptions.Device;
import dev.lanes.backend.BackendOptions.Isa;
import dev.lanes.backend.Backends;
import dev.lanes.error.LanesException;
import java.util.ArrayList;
import java.util.List;

/** The backends that this machine has. */
final class TestBackends {
  /** The pure-Java one: an oracle that shares no code with the kernels. */
  static final BackendOptions JAVA = new BackendOptions(Device.REFERENCE, 2, Isa.AUTO);

  private TestBackends() {}

  /** The kernels in every instruction set that this CPU has; or those of the GPU, see {@link TestDevices}. */
  static List<BackendOptions> kernels() {
    if (TestDevices.CUDA) {
      return List.of(best());
    }
    List<BackendOptions> all = new ArrayList<>();
    for (Isa isa : List.of(Isa.REFERENCE, Isa.AVX2, Isa.AVX512, Isa.NEON)) {
      BackendOptions options = new BackendOptions(Device.CPU, 2, isa);
      try (Backend backend = Backends.open(options)) {
        all.add(options.withThreads(backend.info().threads()));
      } catch (LanesException e) {
        if (isa == Isa.REFERENCE) {
          throw e;
        }
        System.out.println("not on this CPU: " + isa + " (" + e.getMessage() + ")");
      }
    }
    return all;
  }

  static List<BackendOptions> all() {
    List<BackendOptions> all = new ArrayList<>(kernels());
    if (!TestDevices.CUDA) {
      all.add(JAVA);
    }
    return all;
  }

  /** The kernels as a user gets them. */
  static BackendOptions best() {
    return new BackendOptions(Device.valueOf(TestDevices.best().name()), 2, Isa.AUTO);
  }
}
