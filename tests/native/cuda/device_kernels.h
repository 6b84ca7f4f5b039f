// Kernels for tests of the device: small ones, whose results tell which of them ran, how often and with which data.
#ifndef LANES_TESTS_CUDA_DEVICE_KERNELS_H_
#define LANES_TESTS_CUDA_DEVICE_KERNELS_H_

#include "cuda/common/device.h"

namespace lanes_test {

// y[i] = x[i] * factor + *addend, for `count` elements.
void AppendScaleAdd(lanes::cuda::Device& device, float* y, const float* x, float factor, const float* addend, int64_t count);

// Copies through the most dynamic shared memory that a block may have.
void AppendCopyThroughShared(lanes::cuda::Device& device, float* y, const float* x, int32_t count);

}  // namespace lanes_test

#endif  // LANES_TESTS_CUDA_DEVICE_KERNELS_H_
