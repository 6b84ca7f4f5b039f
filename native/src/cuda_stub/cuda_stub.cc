// A build without the CUDA backend: there is no device, and so nothing ever reaches kernels.
#include "core/error.h"
#include "cuda/cuda.h"

namespace lanes::cuda {
namespace {

[[noreturn]] void ThrowNotBuilt() { ThrowUnsupported("no CUDA device: this build has no CUDA backend"); }

}  // namespace

int32_t DeviceCount() { ThrowNotBuilt(); }

lanes_device_info DeviceInfo(int32_t) { ThrowNotBuilt(); }

std::shared_ptr<Accelerator> OpenDevice(int32_t) { ThrowNotBuilt(); }

KernelSet Kernels() { ThrowNotBuilt(); }

}  // namespace lanes::cuda
