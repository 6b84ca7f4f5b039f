// Tensor-core products of weights and values: step 6 of attention.h.
#ifndef LANES_CUDA_ATTENTION_VALUES_CUH_
#define LANES_CUDA_ATTENTION_VALUES_CUH_

#include "cuda/attention/products.cuh"

namespace lanes::cuda {

// Right operands of two products: values of the unit's keys [key, key + 16), in dimensions [8 column, 8 column + 16).
__device__ __forceinline__ void ValueFragment(uint32_t (&b)[2][2], const unsigned char* unit, int32_t key, int32_t column) {
  const int32_t lane = threadIdx.x % 32;
  uint32_t r[4];
  LoadMatrixX4Trans(r, unit + column / 8 * kChunkBytes + Swizzled(key + lane % 16, column % 8 + lane / 16));
  b[0][0] = r[0];
  b[0][1] = r[1];
  b[1][0] = r[2];
  b[1][1] = r[3];
}

// The same of keys [key, key + 16) and [key + 16, key + 32), in dimensions [8 column, 8 column + 8).
__device__ __forceinline__ void ValueFragmentOfKeys(uint32_t (&b)[2][2], const unsigned char* unit, int32_t key, int32_t column) {
  uint32_t r[4];
  LoadMatrixX4Trans(r, unit + column / 8 * kChunkBytes + Swizzled(key + threadIdx.x % 32, column % 8));
  b[0][0] = r[0];
  b[0][1] = r[1];
  b[1][0] = r[2];
  b[1][1] = r[3];
}

__device__ __forceinline__ Span SpanOfLane(const Span& span, int32_t lane) {
  return {__shfl_sync(kAllLanes, span.sink, lane), __shfl_sync(kAllLanes, span.begin, lane), __shfl_sync(kAllLanes, span.end, lane)};
}

// Whether a value that is not finite stands among those of the unit that some row of this warp does not see, in dimensions
// [8 column, 8 (column + kColumns)). The same answer in all lanes. The unit must hold 128 keys; row g's `span` ascends with g.
template <int kColumns, bool kF16>
__device__ __forceinline__ bool HasUnseenNonFinite(const unsigned char* unit, int32_t column, const Span (&span)[2]) {
  constexpr int kKeys = 32 / kColumns;  // at a time
  const int32_t lane = threadIdx.x % 32;
  const int32_t all_begin = __shfl_sync(kAllLanes, span[1].begin, 31), all_end = __shfl_sync(kAllLanes, span[0].end, 0);
  uint32_t found = 0;
  for (int32_t key = 0; key < kTileKeys; key += kKeys) {
    if (key >= all_begin && key + kKeys <= all_end) continue;
    const int32_t c = column + lane % kColumns;
    const uint4 v = *reinterpret_cast<const uint4*>(unit + c / 8 * kChunkBytes + Swizzled(key + lane / kColumns, c % 8));
    found |= UnfiniteBits<kF16>(v.x) | UnfiniteBits<kF16>(v.y) | UnfiniteBits<kF16>(v.z) | UnfiniteBits<kF16>(v.w);
  }
  return __any_sync(kAllLanes, (found & 0x80008000u) != 0) != 0;
}

__device__ __forceinline__ uint32_t Seen(uint32_t pair, const Span& span, int32_t key) {
  return pair & ((span.Sees(key) ? 0x0000FFFFu : 0u) | (span.Sees(key + 1) ? 0xFFFF0000u : 0u));
}

// Adds weights times values to 16 rows by 8 kColumns dimensions, for each row with what it does not see set to zero. Slow: a product's rows
// do not touch each other, so of each product one row is kept. What its loops index waits in local memory, and they are not unrolled:
// so this path costs the usual one no registers.
template <int kColumns, bool kF16>
__device__ __forceinline__ void AddValuesRowByRow(float* o, const uint32_t (&weights)[8][4], const unsigned char* unit, int32_t column,
                                                  const Span (&span)[2]) {
  const int32_t lane = threadIdx.x % 32;
  uint32_t left[8][4];
  float out[kColumns][4];
#pragma unroll
  for (int i = 0; i < 32; ++i) left[i / 4][i % 4] = weights[i / 4][i % 4];
#pragma unroll
  for (int i = 0; i < 4 * kColumns; ++i) out[i / 4][i % 4] = o[i];
#pragma unroll 1
  for (int32_t i = 0; i < 16 * kColumns; ++i) {
    const int32_t c = i / 16, row = i % 16;
    const Span half = {row < 8 ? span[0].sink : span[1].sink, row < 8 ? span[0].begin : span[1].begin, row < 8 ? span[0].end : span[1].end};
    const Span seen = SpanOfLane(half, row % 8 * 4);
    float part[4] = {out[c][0], out[c][1], out[c][2], out[c][3]};
#pragma unroll 1
    for (int32_t step = 0; step < 8; ++step) {
      uint32_t b[2][2];
      ValueFragmentOfKeys(b, unit, step / 2 * 32, column + c);
      const int32_t key = step * 16 + lane % 4 * 2;
      const bool odd = step % 2 != 0;
      const uint32_t masked[2] = {Seen(odd ? b[1][0] : b[0][0], seen, key), Seen(odd ? b[1][1] : b[0][1], seen, key + 8)};
      Multiply<kF16>(part, left[step], masked);
    }
    if (lane / 4 == row % 8) {
      out[c][row / 8 * 2] = row < 8 ? part[0] : part[2];
      out[c][row / 8 * 2 + 1] = row < 8 ? part[1] : part[3];
    }
  }
#pragma unroll
  for (int i = 0; i < 4 * kColumns; ++i) o[i] = out[i / 4][i % 4];
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_VALUES_CUH_
