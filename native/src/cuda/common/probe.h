// Whether two instructions of a GPU give the same bits, which no manual promises.
#ifndef LANES_CUDA_COMMON_PROBE_H_
#define LANES_CUDA_COMMON_PROBE_H_

#include "cuda/common/device.h"

namespace lanes::cuda {

// On a device of capability 9.0: whether chains of products by wgmma, from shared memory or registers, equal those by mma.sync in every
// bit. Run once, when the device is opened; submits a list of its own.
struct HopperBits {
  bool bf16, f16;
};
HopperBits ProbeHopperBits(Device& device);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_PROBE_H_
