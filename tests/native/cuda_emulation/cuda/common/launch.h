// How a kernel is named and started: native/src/cuda/common/launch.h for the emulation. A kernel carries the function that calls it with
// its argument, since a pointer to void has forgotten how. The argument is aligned to 128 bytes then.
#ifndef LANES_CUDA_COMMON_LAUNCH_H_
#define LANES_CUDA_COMMON_LAUNCH_H_

#include <cuda_runtime.h>

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
  void (*call)(const void* function, const void* args);
  size_t bytes;      // of the argument
  const char* name;  // for reports: it has the name of the argument's type
};

template <class Args>
KernelRef RefOf(void (*kernel)(Args)) {
  return {reinterpret_cast<const void*>(kernel),
          [](const void* function, const void* args) {
            reinterpret_cast<void (*)(Args)>(const_cast<void*>(function))(*static_cast<const Args*>(args));
          },
          sizeof(Args), __PRETTY_FUNCTION__};
}

cudaError_t LaunchKernel(const KernelRef& kernel, const LaunchConfig& config, const void* args, bool overlap, cudaStream_t stream);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_LAUNCH_H_
