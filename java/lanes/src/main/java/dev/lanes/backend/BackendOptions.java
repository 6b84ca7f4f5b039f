package dev.lanes.backend;

import java.util.Locale;
import java.util.Objects;

/**
 * Which backend to open.
 *
 * @param device the kind of backend
 * @param deviceIndex which of several GPUs, from 0; nothing else has an index
 * @param threads threads that share an op; 0 for one per CPU. Without meaning on a GPU, as are {@code pinned} and {@code ownThreads}
 * @param isa which of the CPU kernels' instruction sets; other backends have none
 * @param pinned whether each native thread but the caller's stays on a CPU of its own, where the system can do that
 * @param ownThreads whether the backend has native threads to itself; otherwise backends with the same {@code threads} and
 *     {@code pinned} share theirs and take turns, so that several models do not ask for more CPUs than one
 */
public record BackendOptions(Device device, int deviceIndex, int threads, Isa isa, boolean pinned, boolean ownThreads) {
  /** Where ops run. */
  public enum Device {
    /** A GPU where there is one that Lanes can use, else the CPU kernels; where those cannot be loaded, the Java reference. */
    AUTO,
    /** The kernels for NVIDIA GPUs, or an error. */
    CUDA,
    /** The native CPU kernels, or an error. */
    CPU,
    /** The Java reference. */
    REFERENCE
  }

  /** Instruction sets of the CPU kernels; {@code -Ddev.lanes.isa} takes these names in lower case. */
  public enum Isa {
    /** The best that this CPU has. */
    AUTO,
    /** The native plain loops. */
    REFERENCE,
    AVX2,
    AVX512,
    /** Advanced SIMD of 64-bit ARM. */
    NEON
  }

  /** Threads that can be asked for. */
  public static final int MAX_THREADS = 1024;

  /** With threads that are shared, and not pinned. */
  public BackendOptions(Device device, int threads, Isa isa) {
    this(device, 0, threads, isa, false, false);
  }

  public BackendOptions {
    Objects.requireNonNull(device, "device");
    Objects.requireNonNull(isa, "isa");
    if (deviceIndex < 0) {
      throw new IllegalArgumentException("deviceIndex is " + deviceIndex + ": expected 0 or more");
    }
    if (threads < 0 || threads > MAX_THREADS) {
      throw new IllegalArgumentException("threads is " + threads + ": expected 0 (one per CPU) to " + MAX_THREADS);
    }
  }

  /**
   * What the system properties {@code dev.lanes.backend} (auto, cuda, cpu, reference), {@code dev.lanes.device} (which GPU),
   * {@code dev.lanes.threads}, {@code dev.lanes.isa} (auto, avx512, avx2, neon, reference) and {@code dev.lanes.pinned} (true, false) say;
   * auto, 0 and false where they are not set.
   *
   * @throws IllegalArgumentException if one of them has another value
   */
  public static BackendOptions defaults() {
    return new BackendOptions(
        named(Device.class, "dev.lanes.backend"), number("dev.lanes.device"), number("dev.lanes.threads"), named(Isa.class, "dev.lanes.isa"),
        flag("dev.lanes.pinned"), false);
  }

  public BackendOptions withDevice(Device value) {
    return new BackendOptions(value, deviceIndex, threads, isa, pinned, ownThreads);
  }

  public BackendOptions withDeviceIndex(int value) {
    return new BackendOptions(device, value, threads, isa, pinned, ownThreads);
  }

  public BackendOptions withThreads(int value) {
    return new BackendOptions(device, deviceIndex, value, isa, pinned, ownThreads);
  }

  public BackendOptions withIsa(Isa value) {
    return new BackendOptions(device, deviceIndex, threads, value, pinned, ownThreads);
  }

  public BackendOptions withPinned(boolean value) {
    return new BackendOptions(device, deviceIndex, threads, isa, value, ownThreads);
  }

  public BackendOptions withOwnThreads(boolean value) {
    return new BackendOptions(device, deviceIndex, threads, isa, pinned, value);
  }

  private static boolean flag(String property) {
    String value = System.getProperty(property, "false");
    if (!value.equals("true") && !value.equals("false")) {
      throw new IllegalArgumentException("the system property " + property + " is \"" + value + "\": expected true or false");
    }
    return value.equals("true");
  }

  private static <E extends Enum<E>> E named(Class<E> type, String property) {
    String value = System.getProperty(property, "auto");
    StringBuilder names = new StringBuilder();
    for (E constant : type.getEnumConstants()) {
      if (constant.name().equalsIgnoreCase(value)) {
        return constant;
      }
      names.append(names.length() == 0 ? "" : ", ").append(constant.name().toLowerCase(Locale.ROOT));
    }
    throw new IllegalArgumentException("the system property " + property + " is \"" + value + "\": expected one of " + names);
  }

  private static int number(String property) {
    String value = System.getProperty(property, "0");
    try {
      return Integer.parseInt(value);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("the system property " + property + " is \"" + value + "\": expected a number", e);
    }
  }
}
