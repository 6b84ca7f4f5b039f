package dev.lanes;

import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.Tensor;
import dev.lanes.error.InsufficientMemoryException;

/** Allocations that fail on request, one by one ({@code lanes_fail_allocation}). */
public final class FailedAllocations {
  private FailedAllocations() {}

  /**
   * Whether nobody has met the failure that was asked for: then what ran before makes fewer allocations. That nothing was thrown does not
   * say so: the staging memory of a GPU grows ahead of need, and less of it does as well.
   */
  public static boolean isPending() {
    BackendOptions.Device device = BackendOptions.Device.valueOf(TestDevices.best().name());
    try (Backend b = Backends.open(BackendOptions.defaults().withDevice(device).withThreads(1));
        Tensor x = b.tensor(MemoryTag.OTHER, 1, 1)) {
      return false;
    } catch (InsufficientMemoryException e) {
      return true;
    }
  }
}
