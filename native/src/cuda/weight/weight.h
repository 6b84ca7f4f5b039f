// Packing, as tests call it too.
#ifndef LANES_CUDA_WEIGHT_WEIGHT_H_
#define LANES_CUDA_WEIGHT_WEIGHT_H_

#include "cuda/common/device.h"
#include "ops/weight.h"

namespace lanes::cuda {

void PackWeight(Device& device, const WeightPackArgs& args);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_WEIGHT_WEIGHT_H_
