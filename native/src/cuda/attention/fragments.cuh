// BF16 and F16 attention on the accumulators of tensor cores: steps 4, 5, 7 and 8 of attention.h. mma.sync (16 rows of a warp) and wgmma (64 rows
// of a warpgroup) lay out their results alike, so all kernels share these functions, and with them their bits.
//
// A thread holds, of two rows r = 0 and 1 (lane / 4 and lane / 4 + 8 of its warp's 16), the columns 8 j + 2 (lane % 4) + {0, 1}:
// element [4 j + 2 r + {0, 1}] of an array. The four threads of a quad share their rows.
#ifndef LANES_CUDA_ATTENTION_FRAGMENTS_CUH_
#define LANES_CUDA_ATTENTION_FRAGMENTS_CUH_

#include "cuda/attention/attention.h"
#include "cuda/common/ptx.cuh"

namespace lanes::cuda {

// Of a thread's two rows, within a split: the running maximum m, and l[t].
struct RowState {
  float maximum[2];
  float sum[2];
};

__device__ __forceinline__ float MinusInfinity() { return __int_as_float(static_cast<int32_t>(0xff800000u)); }

__device__ __forceinline__ RowState EmptyRows() { return {{MinusInfinity(), MinusInfinity()}, {0.f, 0.f}}; }

// The largest score of row r in the columns that its quad holds.
template <int kScores>
__device__ __forceinline__ float LargestScore(const float (&s)[kScores], int r) {
  float even = s[2 * r], odd = s[2 * r + 1];
#pragma unroll
  for (int j = 1; j < kScores / 4; ++j) {
    even = fmaxf(even, s[4 * j + 2 * r]);
    odd = fmaxf(odd, s[4 * j + 2 * r + 1]);
  }
  float largest = fmaxf(even, odd);
  largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
  return fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
}

// Takes a tile's largest score of row r into the maximum, and makes scores weights, not yet rounded. `alpha` is what sums and outputs
// so far are worth. F16: scores are `power` times s.
template <bool kF16 = false, int kScores>
__device__ __forceinline__ void MakeWeights(float (&s)[kScores], int r, float largest, RowState* rows, float (&alpha)[2],
                                            float power = 1.f) {
  if constexpr (kF16) largest *= power;
  largest = fmaxf(largest, rows->maximum[r]);
  float base = largest == MinusInfinity() ? 0.f : largest;
  if constexpr (kF16) base = fmaf(base, 0.f, base);  // an infinite score is NaN minus itself, but not inside of a fused product
  alpha[r] = Exp2(rows->maximum[r] - base);
  rows->maximum[r] = largest;
#pragma unroll
  for (int j = 0; j < kScores / 4; ++j) {
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      float& score = s[4 * j + 2 * r + e];
      score = Exp2(kF16 ? fmaf(score, power, -base) : score - base);
    }
  }
}

// Both, for a quad that holds a whole tile.
template <bool kF16 = false, int kScores>
__device__ __forceinline__ void RaiseMaximum(float (&s)[kScores], RowState* rows, float (&alpha)[2]) {
#pragma unroll
  for (int r = 0; r < 2; ++r) MakeWeights<kF16>(s, r, LargestScore(s, r), rows, alpha);
}

// Two numbers as 16 bits each, half to even, and back.
template <bool kF16>
__device__ __forceinline__ uint32_t PackPair(float low, float high) {
  return kF16 ? PackF16(low, high) : PackBf16(low, high);
}
template <bool kF16>
__device__ __forceinline__ float2 UnpackPair(uint32_t pair) {
  if constexpr (kF16) return UnpackF16(pair);
  return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}

// Two elements, of which some are infinite or NaN, have bit 15 or 31 in this: an exponent of ones carries into the sign.
template <bool kF16>
__device__ __forceinline__ uint32_t UnfiniteBits(uint32_t pair) {
  return kF16 ? (pair & 0x7C007C00u) + 0x04000400u : (pair & 0x7F807F80u) + 0x00800080u;
}

// Rounds weights of 16 keys, elements [8 i, 8 i + 8), into a left operand of the products with the values. Returns row r's u[i].
template <bool kF16 = false, int kScores>
__device__ __forceinline__ float RoundWeightsOf16(const float (&s)[kScores], int i, int r, uint32_t (&p)[4]) {
  p[r] = PackPair<kF16>(s[8 * i + 2 * r], s[8 * i + 2 * r + 1]);
  p[2 + r] = PackPair<kF16>(s[8 * i + 4 + 2 * r], s[8 * i + 4 + 2 * r + 1]);
  const float2 low = UnpackPair<kF16>(p[r]), high = UnpackPair<kF16>(p[2 + r]);
  return (low.x + low.y) + (high.x + high.y);
}

// Rounds a tile's weights into the left operand of the products with the values (p[i]: keys 16 i to 16 i + 15), and sums them.
template <bool kF16 = false, int kScores>
__device__ __forceinline__ void RoundWeights(const float (&s)[kScores], const float (&alpha)[2], RowState* rows,
                                             uint32_t (&p)[kScores / 8][4]) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float sum = RoundWeightsOf16<kF16>(s, 0, r, p[0]);
#pragma unroll
    for (int i = 1; i < kScores / 8; ++i) sum += RoundWeightsOf16<kF16>(s, i, r, p[i]);
    rows->sum[r] = fmaf(rows->sum[r], alpha[r], sum);
  }
}

template <int kOutputs>
__device__ __forceinline__ void ScaleOutput(float (&o)[kOutputs], const float (&alpha)[2]) {
#pragma unroll
  for (int i = 0; i < kOutputs; ++i) o[i] *= alpha[i / 2 % 2];
}

// A row's l, from the four of its quad.
__device__ __forceinline__ float SumOfQuad(float sum) {
  sum += __shfl_xor_sync(0xffffffffu, sum, 1);
  return sum + __shfl_xor_sync(0xffffffffu, sum, 2);
}

// A row's (M, L), and what its T and the next split's O count for.
struct RowTotal {
  float maximum = MinusInfinity();
  float sum = 0.f;
  float of_total = 1.f, of_split = 0.f;
  bool skip = true;

  // A closed split.
  template <float (*kExp2)(float) = Exp2>
  __device__ __forceinline__ void Add(float split_maximum, float split_sum) {
    skip = split_sum == 0.f;
    if (skip) return;
    const float largest = fmaxf(maximum, split_maximum);
    of_total = kExp2(maximum - largest);
    of_split = kExp2(split_maximum - largest);
    sum = fmaf(split_sum, of_split, sum * of_total);
    maximum = largest;
  }
  // An element of T, which is 0 before the first split.
  __device__ __forceinline__ float Merge(float total, float split) const {
    return skip ? total : fmaf(split, of_split, total * of_total);
  }
};

// An element of the result.
__device__ __forceinline__ float FinishOutput(float total, float reciprocal_of_sum) { return total * reciprocal_of_sum + 0.f; }

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_FRAGMENTS_CUH_
