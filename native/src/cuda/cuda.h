// The CUDA backend as the rest of the library sees it. Defined in cuda/common, or in cuda_stub where this build has none.
#ifndef LANES_CUDA_CUDA_H_
#define LANES_CUDA_CUDA_H_

#include <cstdint>
#include <memory>

#include "core/accelerator.h"
#include "ops/registry.h"

namespace lanes::cuda {

// Visible GPUs, at least one of which Lanes can use. Throws UNSUPPORTED, "no CUDA device: <reason>", where there is none, and DEVICE as
// long as one that has failed is in use.
int32_t DeviceCount();

// Throws like DeviceCount, and INVALID_ARGUMENT where there is no such index.
lanes_device_info DeviceInfo(int32_t index);

// The device that all callers with this index share; it closes with the last of them. Throws like DeviceInfo, and UNSUPPORTED for a
// GPU that is too old.
std::shared_ptr<Accelerator> OpenDevice(int32_t index);

// One implementation of each op, for contexts of such a device.
KernelSet Kernels();

}  // namespace lanes::cuda

#endif  // LANES_CUDA_CUDA_H_
