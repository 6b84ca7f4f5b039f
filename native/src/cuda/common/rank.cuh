// Places of logits: the order of ops/sample.cc.
#ifndef LANES_CUDA_COMMON_RANK_CUH_
#define LANES_CUDA_COMMON_RANK_CUH_

#include <cuda_runtime.h>
#include <stdint.h>

namespace lanes::cuda {

inline constexpr uint64_t kNoRank = ~static_cast<uint64_t>(0);

__device__ __forceinline__ float CleanLogit(float logit) { return logit == logit ? logit : __uint_as_float(0xFF800000u); }

// An entry as one number: smaller for a larger logit, and among equal logits for a lower id. NaN counts as -infinity.
__device__ __forceinline__ uint64_t RankOf(float logit, uint32_t id) {
  const uint32_t bits = __float_as_uint(CleanLogit(logit) + 0.f);  // one zero
  const uint32_t ascending = bits ^ ((0u - (bits >> 31)) | 0x80000000u);
  return static_cast<uint64_t>(~ascending) << 32 | id;
}

__device__ __forceinline__ uint32_t IdOf(uint64_t rank) { return static_cast<uint32_t>(rank); }

// The logit, cleaned.
__device__ __forceinline__ float LogitOf(uint64_t rank) {
  const uint32_t ascending = ~static_cast<uint32_t>(rank >> 32);
  return __uint_as_float(ascending & 0x80000000u ? ascending ^ 0x80000000u : ~ascending);
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_RANK_CUH_
