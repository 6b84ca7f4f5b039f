// A kernel that fails, for tests: its device is lost from then on.
#ifndef LANES_CUDA_COMMON_TRAP_H_
#define LANES_CUDA_COMMON_TRAP_H_

#include "cuda/common/device.h"

namespace lanes::cuda {

void AppendTrap(Device& device);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_TRAP_H_
