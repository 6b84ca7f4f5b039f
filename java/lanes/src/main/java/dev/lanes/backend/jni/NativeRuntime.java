package dev.lanes.backend.jni;

import dev.lanes.backend.BackendInfo;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Forgotten;
import dev.lanes.backend.KernelTime;
import dev.lanes.kernels.CpuFeatures;
import dev.lanes.kernels.OpProfile;
import dev.lanes.kernels.RuntimeHandle;
import dev.lanes.kernels.RuntimeInfo;
import dev.lanes.kernels.RuntimeParams;
import dev.lanes.kernels.global.lanes;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.BytePointer;

/** A native runtime (its threads and its instruction set) with what is live in it: all that closing a {@link NativeBackend} gives back. */
final class NativeRuntime implements Forgotten.Resource {
  private final Resource.Owner owner;
  private final RuntimeHandle handle;
  private final Calls calls;
  private final BackendInfo info;
  /** Names of the native ops, by number. */
  private final List<String> ops;
  private boolean measuring;
  private boolean closed;

  private NativeRuntime(Resource.Owner owner, RuntimeHandle handle) {
    this.owner = owner;
    this.handle = handle;
    this.calls = new Calls(owner, handle);
    Map<String, String> implementations = implementations(handle);
    this.ops = List.copyOf(implementations.keySet());
    this.info = readInfo(handle, implementations);
  }

  static NativeRuntime create(BackendOptions options) {
    RuntimeHandle handle = new RuntimeHandle();
    try (RuntimeParams params = new RuntimeParams()) {
      params.size(Struct.size(RuntimeParams.class)).threads(options.threads()).isa(isa(options.isa()))
          .pin_threads(options.pinned() ? 1 : 0).own_pool(options.ownThreads() ? 1 : 0);
      Status.check(lanes.lanes_runtime_create(params, handle));
    }
    Resource.Owner owner = new Resource.Owner();
    try {
      return new NativeRuntime(owner, handle);
    } catch (RuntimeException | Error e) {
      owner.releaseAll();
      lanes.lanes_runtime_destroy(handle);
      throw e;
    }
  }

  private static int isa(BackendOptions.Isa isa) {
    return switch (isa) {
      case AUTO -> lanes.LANES_ISA_AUTO;
      case REFERENCE -> lanes.LANES_ISA_REFERENCE;
      case AVX2 -> lanes.LANES_ISA_AVX2;
      case AVX512 -> lanes.LANES_ISA_AVX512;
      case NEON -> lanes.LANES_ISA_NEON;
    };
  }

  private static String isaName(int isa) {
    return switch (isa) {
      case lanes.LANES_ISA_REFERENCE -> "reference";
      case lanes.LANES_ISA_AVX2 -> "avx2";
      case lanes.LANES_ISA_AVX512 -> "avx512";
      case lanes.LANES_ISA_NEON -> "neon";
      default -> "isa " + isa;
    };
  }

  private static BackendInfo readInfo(RuntimeHandle handle, Map<String, String> implementations) {
    try (RuntimeInfo info = new RuntimeInfo(); CpuFeatures features = new CpuFeatures()) {
      info.size(Struct.size(RuntimeInfo.class));
      Status.check(lanes.lanes_get_runtime_info(handle, info));
      features.size(Struct.size(CpuFeatures.class));
      Status.check(lanes.lanes_get_cpu_features(features));
      StringBuilder cpu = new StringBuilder();
      for (int i = 0; i < 64 && features.name(i) != 0; i++) {
        cpu.append((char) features.name(i));
      }
      String isa = isaName(info.isa());
      String why = "native kernels " + string(lanes.lanes_version()) + " on " + cpu.toString().trim() + ": "
          + (info.isa() == features.best_isa() ? isa + " is the best it has" : isa + " was asked for; the best it has is "
          + isaName(features.best_isa()));
      return new BackendInfo("cpu", isa, info.threads(), info.bf16_dot() != 0, why, implementations);
    }
  }

  private static Map<String, String> implementations(RuntimeHandle handle) {
    Map<String, String> result = new LinkedHashMap<>();
    while (true) {
      BytePointer op = new BytePointer();
      BytePointer implementation = new BytePointer();
      if (lanes.lanes_op_implementation(handle, result.size(), op, implementation) != lanes.LANES_OK) {
        return result;
      }
      result.put(string(op), string(implementation));
    }
  }

  /** To be used under the lock. */
  void measureKernels(boolean on) {
    Status.check(lanes.lanes_profile(handle, on ? 1 : 0));
    measuring = on;
  }

  /** To be used under the lock. */
  Map<String, KernelTime> kernelTimes() {
    if (!measuring) {
      return Map.of();
    }
    Map<String, KernelTime> times = new HashMap<>();
    try (OpProfile profile = new OpProfile()) {
      profile.size(Struct.size(OpProfile.class));
      int index = 0;
      for (String op : ops) {
        Status.check(lanes.lanes_get_op_profile(handle, index++, profile));
        times.put(op, new KernelTime(profile.calls(), profile.nanos(), profile.wait_nanos(), profile.idle_nanos()));
      }
    }
    return times;
  }

  private static String string(BytePointer text) {
    return text.getString();
  }

  BackendInfo info() {
    return info;
  }

  Resource.Owner owner() {
    return owner;
  }

  /** To be used under the lock. */
  Calls calls() {
    return calls;
  }

  /** @throws IllegalStateException if the backend is closed; the lock is not held then */
  void lock() {
    owner.lock.lock();
    if (closed) {
      owner.lock.unlock();
      throw new IllegalStateException("the backend is closed");
    }
  }

  void unlock() {
    owner.lock.unlock();
  }

  @Override
  public String describe() {
    return "a cpu backend with all that is in it";
  }

  @Override
  public boolean release() {
    owner.lock.lock();
    try {
      if (closed) {
        return false;
      }
      closed = true;
      owner.releaseAll();
      Status.check(lanes.lanes_runtime_destroy(handle));
      return true;
    } finally {
      owner.lock.unlock();
    }
  }
}
