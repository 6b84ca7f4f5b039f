// Runs one kernel from beginning to end. Used by runtime.cc when a stream's turn comes.
#ifndef LANES_TESTS_CUDA_EMULATION_KERNEL_H_
#define LANES_TESTS_CUDA_EMULATION_KERNEL_H_

#include "cuda/common/launch.h"

namespace lanes::cuda::emulation {

// False when it faulted; the report has been printed. `overlap`: as of LaunchKernel.
bool RunKernel(const KernelRef& kernel, const LaunchConfig& config, const void* args, bool overlap);

}  // namespace lanes::cuda::emulation

#endif  // LANES_TESTS_CUDA_EMULATION_KERNEL_H_
