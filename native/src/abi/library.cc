#include <stdio.h>

#include "abi/check.h"
#include "core/cpu_features.h"
#include "core/cgroup.h"
#include "core/memory.h"
#include "core/runtime.h"
#include "cuda/cuda.h"

using namespace lanes;

int32_t lanes_abi_version(void) { return LANES_ABI_VERSION; }

const char* lanes_version(void) { return LANES_VERSION; }

const char* lanes_last_error(void) { return LastError(); }

int32_t lanes_get_cpu_features(lanes_cpu_features* features) {
  return Guard("lanes_get_cpu_features", [&] { WriteResult(features, CpuFeatures(), "features"); });
}

int32_t lanes_alloc(uint64_t bytes, int32_t tag, void** out) {
  return Guard("lanes_alloc", [&] {
    CheckOut(out, "out");
    *out = nullptr;
    *out = Allocate(bytes, tag);
  });
}

int32_t lanes_free(void* memory) {
  return Guard("lanes_free", [&] { Free(memory); });
}

int32_t lanes_get_memory_stats(lanes_memory_stats* stats) {
  return Guard("lanes_get_memory_stats", [&] {
    lanes_memory_stats now;
    GetMemoryStats(&now);
    WriteResult(stats, now, "stats");
  });
}

int32_t lanes_reset_memory_peak(void) {
  return Guard("lanes_reset_memory_peak", [] { ResetMemoryPeak(); });
}

int32_t lanes_fail_allocation(uint64_t nth) {
  return Guard("lanes_fail_allocation", [&] { FailAllocation(nth); });
}

namespace {

bool CheckedFlag(int32_t value, const char* name) {
  CheckRange(value, 0, 1, name);
  return value != 0;
}

void CheckDevice(int32_t device) { CheckRange(device, LANES_DEVICE_CPU, LANES_DEVICE_CUDA, "device"); }

void Publish(std::unique_ptr<lanes_runtime> runtime, lanes_runtime** out) {
  AddHandle(runtime.get(), HandleKind::kRuntime);
  *out = runtime.release();
}

lanes_device_info CpuInfo() {
  lanes_device_info info = {};
  memcpy(info.name, CpuFeatures().name, sizeof CpuFeatures().name);
  info.multiprocessors = LogicalCpus();
  info.free_bytes = AvailableMemory();
  return info;
}

}  // namespace

int32_t lanes_get_device_count(int32_t device, int32_t* count) {
  return Guard("lanes_get_device_count", [&] {
    if (count == nullptr) ThrowInvalid("count is NULL");
    *count = 0;
    CheckDevice(device);
    *count = device == LANES_DEVICE_CPU ? 1 : cuda::DeviceCount();
  });
}

int32_t lanes_get_device_info(int32_t device, int32_t index, lanes_device_info* info) {
  return Guard("lanes_get_device_info", [&] {
    CheckDevice(device);
    CheckRange(index, 0, device == LANES_DEVICE_CPU ? 0 : INT32_MAX, "index");
    lanes_device_info value = device == LANES_DEVICE_CPU ? CpuInfo() : cuda::DeviceInfo(index);
    value.size = sizeof value;
    value.device = device;
    value.index = index;
    WriteResult(info, value, "info");
  });
}

int32_t lanes_runtime_create(const lanes_runtime_params* params, lanes_runtime** out) {
  return Guard("lanes_runtime_create", [&] {
    CheckOut(out, "out");
    *out = nullptr;
    const lanes_runtime_params p = ReadParams(params);
    CheckDevice(p.device);
    if (p.device != LANES_DEVICE_CPU) {
      CheckRange(p.threads, 0, 0, "threads (on a device)");
      CheckRange(p.isa, LANES_ISA_AUTO, LANES_ISA_AUTO, "isa (on a device)");
      CheckRange(p.pin_threads, 0, 0, "pin_threads (on a device)");
      CheckRange(p.own_pool, 0, 0, "own_pool (on a device)");
      CheckRange(p.device_index, 0, INT32_MAX, "device_index");
      Publish(std::make_unique<lanes_runtime>(cuda::OpenDevice(p.device_index), cuda::Kernels()), out);
      return;
    }
    CheckRange(p.device_index, 0, 0, "device_index");
    CheckRange(p.threads, 0, kMaxThreads, "threads");
    CheckRange(p.isa, LANES_ISA_AUTO, LANES_ISA_NEON, "isa");
    const int32_t isa = p.isa == LANES_ISA_AUTO ? CpuFeatures().best_isa : p.isa;
    if (!IsaAvailable(isa)) ThrowUnsupported("isa %s: this build or this CPU lacks it", IsaName(isa));
    const int cpus = LogicalCpus();
    const int threads = p.threads == 0 ? (cpus < kMaxThreads ? cpus : kMaxThreads) : p.threads;
    const bool pinned = CheckedFlag(p.pin_threads, "pin_threads"), own = CheckedFlag(p.own_pool, "own_pool");
    auto pool = own ? std::make_shared<ThreadPool>(threads, pinned) : ThreadPool::Shared(threads, pinned);
    Publish(std::make_unique<lanes_runtime>(std::move(pool), isa), out);
  });
}

int32_t lanes_runtime_destroy(lanes_runtime* runtime) {
  return Guard("lanes_runtime_destroy", [&] {
    if (runtime == nullptr) return;
    RemoveHandle(runtime, HandleKind::kRuntime, "runtime");
    delete runtime;
  });
}

int32_t lanes_get_runtime_info(const lanes_runtime* runtime, lanes_runtime_info* info) {
  return Guard("lanes_get_runtime_info", [&] {
    const Pinned<const lanes_runtime> pinned(runtime, "runtime");
    lanes_runtime_info value = {};
    value.size = sizeof value;
    value.threads = pinned->context.pool().threads();
    value.isa = pinned->isa;
    value.bf16_dot = pinned->kernels.linear->bf16_dot();
    value.pinned = pinned->context.pool().pinned();
    if (const auto& device = pinned->context.device()) {
      device->Describe(&value);
    } else {
      snprintf(value.kernels, sizeof value.kernels, "%s", IsaName(pinned->isa));
      memcpy(value.device_name, CpuFeatures().name, sizeof CpuFeatures().name);
    }
    WriteResult(info, value, "info");
  });
}

int32_t lanes_op_implementation(const lanes_runtime* runtime, int32_t index, const char** op, const char** implementation) {
  return Guard("lanes_op_implementation", [&] {
    const Pinned<const lanes_runtime> pinned(runtime, "runtime");
    CheckOut(op, "op");
    CheckOut(implementation, "implementation");
    const char* name = OpName(index);
    if (name == nullptr) ThrowInvalid("index %d: there is no such op", index);
    *op = name;
    *implementation = pinned->context.device() ? "cuda" : OpImplementation(index, pinned->isa);
  });
}

int32_t lanes_profile(lanes_runtime* runtime, int32_t enabled) {
  return Guard("lanes_profile", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const bool on = CheckedFlag(enabled, "enabled");
    std::lock_guard<std::mutex> lock(pinned->turn);
    pinned->profile = Profile();
    pinned->profile.on = on;
  });
}

int32_t lanes_get_op_profile(lanes_runtime* runtime, int32_t index, lanes_op_profile* profile) {
  return Guard("lanes_get_op_profile", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    if (OpName(index) == nullptr) ThrowInvalid("index %d: there is no such op", index);
    std::lock_guard<std::mutex> lock(pinned->turn);
    WriteResult(profile, pinned->profile.ops[index], "profile");
  });
}
