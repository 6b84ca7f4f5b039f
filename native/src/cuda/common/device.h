// A GPU as ops see it: memory, and a list of kernels to run in order. Host code only.
//
// Ops do not launch: they append to the device's list. A list ends with the call that began it (one op, or lanes_run), and is then
// compared with those before it: one that comes again, byte for byte, runs as a CUDA graph with a single call. So whatever is the same
// from one decode step to the next must be the same bytes: addresses, grids and arguments of kernels. What changes (ids, positions, page
// tables, lengths) goes through Stage, whose addresses repeat, and grids are rounded up so that they change seldom.
#ifndef LANES_CUDA_COMMON_DEVICE_H_
#define LANES_CUDA_COMMON_DEVICE_H_

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/parallel.h"
#include "cuda/common/launch.h"

namespace lanes::cuda {

struct DeviceLimits {
  int32_t major, minor;       // compute capability
  int32_t multiprocessors;
  int32_t shared_bytes;       // that a block may have at most
  int64_t l2_bytes;
  bool hopper;                // sm_90a kernels run here, and this build has them
  bool hopper_bits;           // and wgmma gives the bits of mma.sync (cuda/common/probe.h): else kernels of bfloat16 do without it
  bool hopper_f16_bits;       // likewise of f16
};

class Device {
 public:
  virtual ~Device() = default;

  virtual const DeviceLimits& limits() const = 0;

  // Device memory with a copy of `count` host elements, for the ops of the current list. 16-byte aligned.
  template <class T>
  const T* Stage(const T* host, int64_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    return static_cast<const T*>(StageBytes(host, count * static_cast<int64_t>(sizeof(T))));
  }

  // Device memory whose content is in `host` when the call that began the list returns.
  template <class T>
  T* Return(T* host, int64_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    return static_cast<T*>(ReturnBytes(host, count * static_cast<int64_t>(sizeof(T))));
  }

  // Uninitialised device memory until the end of this op; 256-byte aligned. The next op may get the same.
  template <class T>
  T* Scratch(int64_t count) {
    return static_cast<T*>(ScratchBytes(count * static_cast<int64_t>(sizeof(T))));
  }

  // Appends a kernel.
  template <class Args>
  void Launch(const LaunchConfig& config, void (*kernel)(Args), const Args& args) {
    static_assert(std::is_trivially_copyable_v<Args> && sizeof(Args) <= 4000);
    // What is between fields comes from somebody's stack, and may differ where nothing else does.
    Args bytes = args;
#ifdef __has_builtin
#if __has_builtin(__builtin_clear_padding)
    __builtin_clear_padding(&bytes);
#endif
#endif
    Append(RefOf(kernel), config, &bytes, sizeof(Args));
  }

  // Appends a fill with a byte.
  virtual void Fill(void* memory, int byte, int64_t bytes) = 0;

  // Runs what the list holds and begins it anew, for an op that goes over the same scratch several times. What has been returned so
  // far is in place afterwards; staged memory must be staged again.
  virtual void Submit() = 0;

  // At once, outside lists, waiting for all that came before: host memory to device memory and back.
  virtual void Upload(void* to, const void* from, int64_t bytes) = 0;
  virtual void Download(void* to, const void* from, int64_t bytes) = 0;

 protected:
  virtual const void* StageBytes(const void* host, int64_t bytes) = 0;
  virtual void* ReturnBytes(void* host, int64_t bytes) = 0;
  virtual void* ScratchBytes(int64_t bytes) = 0;
  virtual void Append(const KernelRef& kernel, const LaunchConfig& config, const void* args, size_t bytes) = 0;
};

// The device of a runtime that has one.
Device& DeviceOf(OpContext& context);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_DEVICE_H_
