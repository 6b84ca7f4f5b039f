// Rows as int8, with the bits of the CPU. Contract: "Quantized rows" in lanes.h.
#ifndef LANES_CUDA_COMMON_QUANTIZE_CUH_
#define LANES_CUDA_COMMON_QUANTIZE_CUH_

#include <cuda_runtime.h>
#include <stdint.h>

#include "ops/quantize.h"

namespace lanes::cuda {

// |x| as bits: in them NaN is larger than infinity, and infinity than any number. The largest of a row is what RowScale takes.
__device__ __forceinline__ uint32_t MagnitudeBits(float x) { return __float_as_uint(x) & 0x7FFFFFFFu; }

__device__ __forceinline__ float RowScale(const Quantization& how, uint32_t largest) {
  constexpr uint32_t kInfinity = 0x7F800000u;
  if (largest > kInfinity || (how.measured && largest == kInfinity)) return __uint_as_float(0x7FC00000u);
  return how.measured ? __uint_as_float(largest) / 127.0f : how.scale;
}

__device__ __forceinline__ int32_t QuantizeElement(const Quantization& how, float scale, float x) {
  if (!(scale > 0.0f)) return 0;
  return __float2int_rn(fminf(fmaxf(x / scale, how.lowest), 127.0f));
}

// The same elements with few divisions: up to 128 a product with the reciprocal is within 2^-15 of the quotient, and clear of the middle
// between two integers both round to the same one.
struct RowQuantizer {
  Quantization how;
  float scale;
  float reciprocal;  // NaN where it would have too few digits, or none: nothing is clear of NaN

  __device__ __forceinline__ int32_t operator()(float x) const {
    const float ratio = x * reciprocal;
    if (!(fabsf(ratio - rintf(ratio)) < 0.4999f)) return QuantizeElement(how, scale, x);
    return __float2int_rn(fminf(fmaxf(ratio, how.lowest), 127.0f));
  }
};

// `largest`: of the row's MagnitudeBits.
__device__ __forceinline__ RowQuantizer QuantizerOf(const Quantization& how, uint32_t largest) {
  const float scale = RowScale(how, largest);
  return {how, scale, scale > 1e-36f && scale < 1e36f ? 1.0f / scale : __uint_as_float(0x7FC00000u)};
}

// Four elements as the bytes of a word, the first lowest.
__device__ __forceinline__ uint32_t PackS8(int32_t a, int32_t b, int32_t c, int32_t d) {
  return (a & 0xFF) | (b & 0xFF) << 8 | (c & 0xFF) << 16 | static_cast<uint32_t>(d) << 24;
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_QUANTIZE_CUH_
