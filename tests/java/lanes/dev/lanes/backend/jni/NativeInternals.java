package dev.lanes.backend.jni;

import dev.lanes.backend.Backend;

/** What tests see of native backends beyond their interface. */
public final class NativeInternals {
  private NativeInternals() {}

  /** How often ops were handed to the native side. */
  public static long runs(Backend backend) {
    return ((NativeBackend) backend).runs();
  }

  /** Lets the device fail as after an illegal access in a kernel. */
  public static void failDevice(Backend backend) {
    ((NativeBackend) backend).failDevice();
  }
}
