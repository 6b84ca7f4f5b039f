#include "cuda/device_kernels.h"

#include <string.h>

#include <new>

#include "cuda/common/ptx.cuh"

namespace lanes_test {
namespace {

using lanes::cuda::DependencyLaunch;
using lanes::cuda::DependencyWait;
using lanes::cuda::LaunchConfig;
using lanes::cuda::SharedMemory;

constexpr int kThreads = 64;

struct ScaleAddArgs {
  float* y;
  const float* x;
  const float* addend;
  int64_t count;
  float factor;
};

__global__ void __launch_bounds__(kThreads) ScaleAddKernel(const ScaleAddArgs args) {
  DependencyWait();
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < args.count) args.y[i] = args.x[i] * args.factor + *args.addend;
  DependencyLaunch();
}

struct CopyArgs {
  float* y;
  const float* x;
  int64_t count;
};

__global__ void __launch_bounds__(kThreads) CopyThroughSharedKernel(const CopyArgs args) {
  DependencyWait();
  auto* const shared = reinterpret_cast<float*>(SharedMemory());
  for (int64_t i = threadIdx.x; i < args.count; i += kThreads) shared[args.count - 1 - i] = args.x[i];
  __syncthreads();
  for (int64_t i = threadIdx.x; i < args.count; i += kThreads) args.y[i] = shared[args.count - 1 - i];
  DependencyLaunch();
}

}  // namespace

void AppendScaleAdd(lanes::cuda::Device& device, float* y, const float* x, float factor, const float* addend, int64_t count) {
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>((count + kThreads - 1) / kThreads));
  config.block = dim3(kThreads);
  // What is behind the last field differs from call to call, as on a stack; where the compiler cannot clear it, it does not.
  static unsigned char calls = 0;
#ifdef __has_builtin
#if __has_builtin(__builtin_clear_padding)
  ++calls;
#endif
#endif
  alignas(ScaleAddArgs) unsigned char memory[sizeof(ScaleAddArgs)];
  memset(memory, calls, sizeof memory);
  auto* const args = new (memory) ScaleAddArgs;
  args->y = y;
  args->x = x;
  args->addend = addend;
  args->count = count;
  args->factor = factor;
  device.Launch(config, ScaleAddKernel, *args);
}

void AppendCopyThroughShared(lanes::cuda::Device& device, float* y, const float* x, int32_t count) {
  LaunchConfig config;
  config.grid = dim3(1);
  config.block = dim3(kThreads);
  config.shared_bytes = static_cast<uint32_t>(count) * sizeof(float);
  device.Launch(config, CopyThroughSharedKernel, CopyArgs{y, x, count});
}

}  // namespace lanes_test
