// What sampling's kernels share: arguments, the tokens of a segment, their weights, and sums over a block.
//
// Weights are summed as integers, round(w 2^mass_bits): such sums are exact, so that they have no order, and prefix and total agree.
// A weight is off by at most 2^-mass_bits / 2, 2^-46 for a vocabulary of 128k, where the largest weight is 1.
#ifndef LANES_CUDA_SAMPLE_TOKENS_CUH_
#define LANES_CUDA_SAMPLE_TOKENS_CUH_

#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>

#include "cuda/common/activation.cuh"
#include "cuda/common/ptx.cuh"
#include "cuda/common/rank.cuh"
#include "cuda/common/reduce.cuh"
#include "cuda/common/rows.cuh"
#include "cuda/sample/heuristics.h"
#include "lanes/lanes.h"

namespace lanes::cuda {

struct SampleArgs {
  int64_t vocabulary;
  const float* logits;
  int64_t logits_stride;
  const lanes_sample_row* how;  // [rows]
  const int32_t* seen;
  uint64_t* best;     // [rows, stretches]: rank of each one's largest logit
  uint64_t* token;    // [rows, segments, kSegment]: ranks of those that may be kept, by id
  uint64_t* mass;     // [rows, segments]: of the tokens that may be drawn
  double* sum;        // [rows, segments]: of e^(x - maximum) over the untouched logits, or null
  float* maximum;     // [rows, segments]
  uint32_t* tokens;   // [rows, segments]: how many in `token`
  int64_t segments, stretches;
  float mass_unit;    // 2^mass_bits
  bool vector;        // rows of logits are 16-byte aligned
  bool top;           // the first `top_k` of each row are wanted, whatever they are
};

constexpr int kSampleThreads = kSegment / kStretch * 32, kSampleWarps = kSampleThreads / 32;
constexpr int kGroups = kStretch / 128;  // of four tokens that a thread has of its warp's stretch
constexpr float kLowest = -INFINITY;

// Shared memory of every kernel: what sums over a block pass through, and a bit for each token of a segment.
struct SampleShared {
  uint64_t ranks[kSampleWarps];
  uint64_t sums[2][kSampleWarps];
  double exponentials[kSampleWarps];
  float maxima[kSampleWarps];
  uint32_t counts[kSampleWarps];
  uint64_t found[2];
  uint32_t seen[kSegment / 32];
};

__device__ __forceinline__ int Warps() { return static_cast<int>(blockDim.x / 32); }

// The first token of this thread's group `i`, counted from the segment's beginning: warps take stretches, whose order is that of ids.
__device__ __forceinline__ int32_t GroupBegin(int i) {
  return static_cast<int32_t>(threadIdx.x / 32 * kStretch + static_cast<uint32_t>(i) * 128 + threadIdx.x % 32 * 4);
}

__device__ __forceinline__ bool Penalised(const lanes_sample_row& how) { return how.repetition_penalty != 1.f && how.seen_count > 0; }
__device__ __forceinline__ bool KeepsTopK(const lanes_sample_row& how, int64_t vocabulary) { return how.top_k > 0 && how.top_k < vocabulary; }
__device__ __forceinline__ bool Filtered(const lanes_sample_row& how, int64_t vocabulary) {
  return KeepsTopK(how, vocabulary) || how.top_p < 1.f;
}

__device__ __forceinline__ float Penalise(float x, float penalty) {
  x = CleanLogit(x);
  return CleanLogit(x > 0.f ? x / penalty : x * penalty);
}

// Sets the bits of the segment's tokens that have been seen. All threads; followed by a barrier.
__device__ __forceinline__ void MarkSeen(const SampleArgs& args, const lanes_sample_row& how, int64_t begin, SampleShared* shared) {
  for (uint32_t i = threadIdx.x; i < kSegment / 32; i += blockDim.x) shared->seen[i] = 0;
  __syncthreads();
  for (int64_t s = threadIdx.x; s < how.seen_count; s += blockDim.x) {
    const int64_t at = args.seen[how.seen_begin + s] - begin;
    if (at >= 0 && at < kSegment) atomicOr(&shared->seen[at / 32], 1u << (at % 32));
  }
  __syncthreads();
}

__device__ __forceinline__ bool Seen(const SampleShared* shared, int32_t at) { return (shared->seen[at / 32] >> (at % 32) & 1) != 0; }

// This thread's logits of a segment as they are; -infinity behind the vocabulary's end.
__device__ __forceinline__ void LoadTokens(const SampleArgs& args, const float* row, int64_t begin, float (&x)[kGroups][4]) {
#pragma unroll
  for (int i = 0; i < kGroups; ++i) {
    const int64_t first = begin + GroupBegin(i);
    const float4 v = args.vector ? LoadFour<true>(row, first, args.vocabulary) : LoadFour<false>(row, first, args.vocabulary);
    const float four[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int j = 0; j < 4; ++j) x[i][j] = first + j < args.vocabulary ? CleanLogit(four[j]) : kLowest;
  }
}

// With the penalties of tokens that have been seen. All threads of the block.
__device__ __forceinline__ void PenaliseTokens(const SampleArgs& args, const lanes_sample_row& how, int64_t begin, SampleShared* shared,
                                               float (&x)[kGroups][4]) {
  if (!Penalised(how)) return;
  MarkSeen(args, how, begin, shared);
#pragma unroll
  for (int i = 0; i < kGroups; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (Seen(shared, GroupBegin(i) + j)) x[i][j] = Penalise(x[i][j], how.repetition_penalty);
    }
  }
}

// Of the row: its first token in rank. All threads.
__device__ __forceinline__ uint64_t BestOf(const SampleArgs& args, int64_t row, SampleShared* shared) {
  uint64_t best = kNoRank;
  for (int64_t i = threadIdx.x; i < args.stretches; i += blockDim.x) best = min(best, args.best[row * args.stretches + i]);
  return ReduceBlock(best, Warps(), shared->ranks, Smaller());
}

// e^((x - maximum) / temperature); of an infinite maximum, 1 for those that are.
struct TokenWeights {
  float maximum, temperature, unit;

  __device__ __forceinline__ float operator()(float x) const {
    if (maximum == INFINITY) return x == INFINITY ? 1.f : 0.f;
    return Exp((x - maximum) / temperature);
  }
  // 0 for weights below `least`.
  __device__ __forceinline__ uint64_t Mass(float x, float least) const {
    const float w = (*this)(x);
    return w < least ? 0 : static_cast<uint64_t>(rintf(w * unit));
  }
};

// The sum of x over the threads up to and including this one. `sums`: a slot for each warp, free again after the next barrier.
__device__ __forceinline__ uint64_t ScanBlock(uint64_t x, uint64_t* sums) {
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
  for (uint32_t d = 1; d < 32; d *= 2) {
    const uint64_t other = __shfl_up_sync(kAllLanes, x, d);
    if (lane >= d) x += other;
  }
  if (lane == 31) sums[warp] = x;
  __syncthreads();
  for (uint32_t w = 0; w < warp; ++w) x += sums[w];
  return x;
}

struct Crossing {
  int64_t index;    // -1: none
  uint64_t before;  // the sum of those before it
};

// The first of `count` masses at which their sum exceeds `target`. All threads; begins and ends with a barrier.
template <class MassOf>
__device__ __forceinline__ Crossing FindCrossing(int64_t count, uint64_t target, SampleShared* shared, const MassOf& mass_of) {
  const int64_t each = (count + blockDim.x - 1) / blockDim.x, begin = each * threadIdx.x, end = min(begin + each, count);
  __syncthreads();
  uint64_t own = 0;
  for (int64_t i = begin; i < end; ++i) own += mass_of(i);
  if (threadIdx.x == 0) shared->found[0] = kNoRank;
  const uint64_t sum = ScanBlock(own, shared->sums[0]);
  if (sum - own <= target && target < sum) {
    uint64_t before = sum - own;
    int64_t i = begin;
    for (uint64_t next; before + (next = mass_of(i)) <= target; ++i) before += next;
    shared->found[0] = static_cast<uint64_t>(i);
    shared->found[1] = before;
  }
  __syncthreads();
  const Crossing crossing = {static_cast<int64_t>(shared->found[0]), shared->found[1]};
  __syncthreads();
  return crossing;
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_SAMPLE_TOKENS_CUH_
