#include "cuda/common/ptx.cuh"
#include "cuda/common/trap.h"

namespace lanes::cuda {
namespace {

struct TrapArgs {
  int32_t thread;
};

__global__ void __launch_bounds__(32) TrapKernel(const TrapArgs args) {
  DependencyWait();
  if (static_cast<int32_t>(threadIdx.x) == args.thread) __trap();
}

}  // namespace

void AppendTrap(Device& device) {
  LaunchConfig config;
  config.grid = dim3(1);
  config.block = dim3(32);
  device.Launch(config, TrapKernel, TrapArgs{0});
}

}  // namespace lanes::cuda
