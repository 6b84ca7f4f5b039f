// Rows for products of f16: a power of two brings a row's largest magnitude into [2^14, 2^15), where f16 has all its digits and nothing
// overflows; the sum of products is divided by it. Both steps are exact.
#ifndef LANES_CUDA_COMMON_ROW_POWER_CUH_
#define LANES_CUDA_COMMON_ROW_POWER_CUH_

#include <cuda_runtime.h>
#include <stdint.h>

namespace lanes::cuda {

// `power` is at least 2^-114, that of a row with infinity or NaN: its numbers all stay finite, so that its sums are what float32 would
// make of them. It is at most 2^126, which takes the smallest float32 to a number of f16.
struct RowPower {
  float power, inverse;
};

// `largest`: of the row's MagnitudeBits (quantize.cuh).
__device__ __forceinline__ RowPower RowPowerOf(uint32_t largest) {
  const uint32_t exponent = 268 - (largest >> 23), power = exponent < 253 ? exponent : 253;
  return {__uint_as_float(power << 23), __uint_as_float((254 - power) << 23)};
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_ROW_POWER_CUH_
