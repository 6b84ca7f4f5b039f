// Elements of a dtype as float32, and back with one rounding, half to even.
#ifndef LANES_CUDA_COMMON_ELEMENTS_CUH_
#define LANES_CUDA_COMMON_ELEMENTS_CUH_

#include <cuda_runtime.h>
#include <stdint.h>

#include "cuda/common/ptx.cuh"
#include "lanes/lanes.h"

namespace lanes::cuda {

// Element `index`; of s8 the integer.
__device__ __forceinline__ float LoadElement(const void* data, int32_t dtype, int64_t index) {
  switch (dtype) {
    case LANES_F32:
      return static_cast<const float*>(data)[index];
    case LANES_BF16:
      return FromBf16(static_cast<const uint16_t*>(data)[index]);
    case LANES_F16:
      return FromF16(static_cast<const uint16_t*>(data)[index]);
    default:
      return static_cast<float>(static_cast<const int8_t*>(data)[index]);
  }
}

// Not for s8, which takes a scale.
__device__ __forceinline__ void StoreElement(void* data, int32_t dtype, int64_t index, float value) {
  if (dtype == LANES_F32) {
    static_cast<float*>(data)[index] = value;
  } else {
    static_cast<uint16_t*>(data)[index] = dtype == LANES_BF16 ? ToBf16(value) : ToF16(value);
  }
}

// Elements index … index + 3, which are aligned to four of them.
__device__ __forceinline__ float4 LoadFourElements(const void* data, int32_t dtype, int64_t index) {
  switch (dtype) {
    case LANES_F32:
      return static_cast<const float4*>(data)[index / 4];
    case LANES_BF16: {
      const uint2 v = static_cast<const uint2*>(data)[index / 4];
      return make_float4(__uint_as_float(v.x << 16), __uint_as_float(v.x & 0xFFFF0000u), __uint_as_float(v.y << 16),
                         __uint_as_float(v.y & 0xFFFF0000u));
    }
    case LANES_F16: {
      const uint2 v = static_cast<const uint2*>(data)[index / 4];
      return make_float4(FromF16(static_cast<uint16_t>(v.x)), FromF16(static_cast<uint16_t>(v.x >> 16)),
                         FromF16(static_cast<uint16_t>(v.y)), FromF16(static_cast<uint16_t>(v.y >> 16)));
    }
    default: {
      const uint32_t v = static_cast<const uint32_t*>(data)[index / 4];
      return make_float4(static_cast<float>(static_cast<int8_t>(v)), static_cast<float>(static_cast<int8_t>(v >> 8)),
                         static_cast<float>(static_cast<int8_t>(v >> 16)), static_cast<float>(static_cast<int8_t>(v >> 24)));
    }
  }
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_ELEMENTS_CUH_
