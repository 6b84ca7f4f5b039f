package dev.lanes.backend.jni;

import dev.lanes.backend.BackendInfo;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Forgotten;
import dev.lanes.backend.KernelTime;
import dev.lanes.error.NativeException;
import dev.lanes.kernels.CpuFeatures;
import dev.lanes.kernels.DeviceInfo;
import dev.lanes.kernels.NativeLibrary;
import dev.lanes.kernels.OpProfile;
import dev.lanes.kernels.RuntimeHandle;
import dev.lanes.kernels.RuntimeInfo;
import dev.lanes.kernels.RuntimeParams;
import dev.lanes.kernels.global.lanes;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.IntFunction;
import org.bytedeco.javacpp.BytePointer;

/** A native runtime (a GPU, or threads and their instruction set) with what is live in it: all that closing a {@link NativeBackend} gives back. */
final class NativeRuntime implements Forgotten.Resource {
  private final Resource.Owner owner;
  private final RuntimeHandle handle;
  private final Calls calls;
  private final BackendInfo info;
  /** Of a GPU: how tensors come and go; null where Java reaches them itself. */
  private final DeviceCopies copies;
  /** Names of the native ops, by number. */
  private final List<String> ops;
  private boolean measuring;
  private boolean closed;

  private NativeRuntime(Resource.Owner owner, RuntimeHandle handle, String because) {
    this.owner = owner;
    this.handle = handle;
    this.calls = new Calls(owner, handle);
    Map<String, String> implementations = implementations(handle);
    this.ops = List.copyOf(implementations.keySet());
    this.info = readInfo(handle, because, implementations);
    this.copies = info.isGpu() ? new DeviceCopies(owner, handle) : null;
  }

  /** @param because what comes first in {@link BackendInfo#why()} */
  static NativeRuntime create(BackendOptions options, String because) {
    RuntimeHandle handle = new RuntimeHandle();
    try (RuntimeParams params = new RuntimeParams()) {
      params.size(Struct.size(RuntimeParams.class));
      if (options.device() == BackendOptions.Device.CUDA) {
        requireGpu(options.deviceIndex());
        params.device(lanes.LANES_DEVICE_CUDA).device_index(options.deviceIndex());
      } else {
        params.threads(options.threads()).isa(isa(options.isa())).pin_threads(options.pinned() ? 1 : 0).own_pool(options.ownThreads() ? 1 : 0);
      }
      Status.check(lanes.lanes_runtime_create(params, handle));
    }
    Resource.Owner owner = new Resource.Owner();
    try {
      return new NativeRuntime(owner, handle, because);
    } catch (RuntimeException | Error e) {
      owner.releaseAll();
      lanes.lanes_runtime_destroy(handle);
      throw e;
    }
  }

  private static void requireGpu(int index) {
    int[] count = new int[1];
    int status = lanes.lanes_get_device_count(lanes.LANES_DEVICE_CUDA, count);
    if (status == lanes.LANES_ERROR_UNSUPPORTED) {
      throw new NativeException(status, Status.message().replaceFirst("^lanes_get_device_count: ", "") + " (library " + NativeLibrary.origin() + ")");
    }
    Status.check(status);
    if (index >= count[0]) {
      throw new NativeException(lanes.LANES_ERROR_UNSUPPORTED, "no CUDA device " + index + ": this machine has " + count[0] + ", counted from 0");
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

  private static BackendInfo readInfo(RuntimeHandle handle, String because, Map<String, String> implementations) {
    try (RuntimeInfo info = new RuntimeInfo()) {
      info.size(Struct.size(RuntimeInfo.class));
      Status.check(lanes.lanes_get_runtime_info(handle, info));
      String kernels = text(info::kernels);
      String device = text(info::device_name);
      String why = because + "native kernels " + string(lanes.lanes_version()) + " on ";
      if (info.device() == lanes.LANES_DEVICE_CUDA) {
        String name = "cuda:" + info.device_index() + " " + device;
        return new BackendInfo("cuda", name, kernels, 1, info.bf16_dot() != 0, NativeLibrary.origin(),
            why + gpu(info.device_index()) + ": kernels " + kernels, implementations);
      }
      return new BackendInfo("cpu", device, kernels, info.threads(), info.bf16_dot() != 0, NativeLibrary.origin(),
          why + device + ": " + choice(info), implementations);
    }
  }

  private static String gpu(int index) {
    try (DeviceInfo gpu = new DeviceInfo()) {
      gpu.size(Struct.size(DeviceInfo.class));
      Status.check(lanes.lanes_get_device_info(lanes.LANES_DEVICE_CUDA, index, gpu));
      return String.format(Locale.ROOT, "%s (cuda:%d, compute capability %d.%d, %.1f GiB, driver for CUDA %d.%d)", text(gpu::name), index,
          gpu.major(), gpu.minor(), gpu.total_bytes() / (double) (1 << 30), gpu.driver_version() / 1000, gpu.driver_version() % 1000 / 10);
    }
  }

  private static String choice(RuntimeInfo info) {
    try (CpuFeatures features = new CpuFeatures()) {
      features.size(Struct.size(CpuFeatures.class));
      Status.check(lanes.lanes_get_cpu_features(features));
      String isa = isaName(info.isa());
      return info.isa() == features.best_isa() ? isa + " is the best it has"
          : isa + " was asked for; the best it has is " + isaName(features.best_isa());
    }
  }

  /** A text in a field of fixed length. */
  private static String text(IntFunction<Byte> field) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (int i = 0; field.apply(i) != 0; i++) {
      bytes.write(field.apply(i));
    }
    return bytes.toString(StandardCharsets.UTF_8).trim();
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

  RuntimeHandle handle() {
    return handle;
  }

  /** Null where the addresses of tensors are addresses of this process. To be used under the lock. */
  DeviceCopies copies() {
    return copies;
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
    return "a " + info.name() + " backend with all that is in it";
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
      Status.checkRelease(lanes.lanes_runtime_destroy(handle));
      return true;
    } finally {
      owner.lock.unlock();
    }
  }
}
