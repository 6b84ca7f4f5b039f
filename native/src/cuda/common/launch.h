// How a kernel is named and started. The emulation (tests/native/cuda_emulation) has a file of the same name and contents for the host.
#ifndef LANES_CUDA_COMMON_LAUNCH_H_
#define LANES_CUDA_COMMON_LAUNCH_H_

#include <cuda_runtime.h>
#include <stdint.h>

namespace lanes::cuda {

struct LaunchConfig {
  dim3 grid;
  dim3 block;
  uint32_t shared_bytes = 0;  // all of it dynamic: kernels have no static __shared__
  uint32_t cluster = 1;       // blocks of a cluster, along x
};

// A kernel takes one trivially copyable struct of at most 4,000 bytes, by value.
struct KernelRef {
  const void* function;
};

template <class Args>
KernelRef RefOf(void (*kernel)(Args)) {
  return {reinterpret_cast<const void*>(kernel)};
}

// Starts a kernel. With `overlap` (sm_90 and later) it may begin before the one ahead of it has ended: it waits for it in
// DependencyWait(), which each of our kernels calls before it touches what another one writes.
cudaError_t LaunchKernel(const KernelRef& kernel, const LaunchConfig& config, const void* args, bool overlap, cudaStream_t stream);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_LAUNCH_H_
