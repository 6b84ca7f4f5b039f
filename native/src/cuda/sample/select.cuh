// The tokens of a row that come first in rank, by number or by mass: where they end.
#ifndef LANES_CUDA_SAMPLE_SELECT_CUH_
#define LANES_CUDA_SAMPLE_SELECT_CUH_

#include "cuda/sample/tokens.cuh"

namespace lanes::cuda {

constexpr int kDigitBits = 11, kDigits = 1 << kDigitBits;
constexpr int kMembers = 512;

struct SelectShared {
  SampleShared base;
  uint64_t member[kMembers], member_mass[kMembers];
  uint32_t count[kDigits];
  uint32_t mass_low[kDigits], mass_high[kDigits];
  uint32_t members;
};

// The tokens that the row's blocks have listed.
struct TokenList {
  const uint64_t* token;   // [segments, kSegment]
  const uint32_t* tokens;  // [segments]
  int64_t segments;

  // f(rank) for each; a warp takes a segment.
  template <class F>
  __device__ __forceinline__ void ForEach(const F& f) const {
    for (int64_t s = threadIdx.x / 32; s < segments; s += Warps()) {
      const uint32_t count = tokens[s];
      for (uint32_t j = threadIdx.x % 32; j < count; j += 32) f(token[s * kSegment + j]);
    }
  }
};

// How many there are, and the last in rank. All threads.
struct ListExtent {
  uint64_t count, last;
};
__device__ __forceinline__ ListExtent ExtentOf(const TokenList& list, SampleShared* shared) {
  ListExtent extent = {0, 0};
  list.ForEach([&extent](uint64_t rank) {
    ++extent.count;
    extent.last = max(extent.last, rank);
  });
  extent.count = ReduceBlock(extent.count, Warps(), shared->sums[0], Add());
  extent.last = ReduceBlock(extent.last, Warps(), shared->sums[1], Larger());
  __syncthreads();
  return extent;
}

// A sum of 64 bits out of two of 32, whichever comes first.
__device__ __forceinline__ void AddMass(uint32_t* low, uint32_t* high, uint64_t mass) {
  const uint32_t part = static_cast<uint32_t>(mass), before = atomicAdd(low, part);
  const uint32_t carried = static_cast<uint32_t>(mass >> 32) + (before + part < before ? 1 : 0);
  if (carried != 0) atomicAdd(high, carried);
}

// The rank up to which tokens weigh `wanted` > 0 for the first time, each as value_of(rank): 1 or its mass. kNoRank when all of them do
// not. Their ranks are narrowed down by digits, from the highest in which they differ, until few are left. All threads.
template <bool kByMass, class ValueOf>
__device__ __forceinline__ uint64_t Select(const TokenList& list, uint64_t first, const ListExtent& extent, uint64_t wanted,
                                           SelectShared* shared, const ValueOf& value_of) {
  uint64_t before = 0, members = extent.count, prefix = 0;
  // Bits that are not decided yet: members agree in those above, prefix.
  int open = 64 - __clzll(static_cast<long long>(first ^ extent.last));
  const auto above = [&open](uint64_t rank) { return open == 64 ? 0 : rank >> open; };
  prefix = above(first);
  while (members > kMembers) {
    const int bits = min(open, kDigitBits), shift = open - bits;
    for (uint32_t i = threadIdx.x; i < kDigits; i += blockDim.x) {
      shared->count[i] = 0;
      if (kByMass) shared->mass_low[i] = shared->mass_high[i] = 0;
    }
    __syncthreads();
    list.ForEach([&](uint64_t rank) {
      if (above(rank) != prefix) return;
      const uint32_t digit = static_cast<uint32_t>(rank >> shift) & ((1u << bits) - 1);
      atomicAdd(&shared->count[digit], 1u);
      if (kByMass) AddMass(&shared->mass_low[digit], &shared->mass_high[digit], value_of(rank));
    });
    const Crossing crossing = FindCrossing(INT64_C(1) << bits, wanted - 1 - before, &shared->base, [shared](int64_t i) -> uint64_t {
      return kByMass ? static_cast<uint64_t>(shared->mass_high[i]) << 32 | shared->mass_low[i] : shared->count[i];
    });
    if (crossing.index < 0) return kNoRank;
    before += crossing.before;
    members = shared->count[crossing.index];
    prefix = prefix << bits | static_cast<uint64_t>(crossing.index);
    open = shift;
    __syncthreads();
  }
  // Each of the members finds its own place.
  if (threadIdx.x == 0) {
    shared->members = 0;
    shared->base.found[0] = kNoRank;
  }
  __syncthreads();
  list.ForEach([&](uint64_t rank) {
    if (above(rank) != prefix) return;
    const uint32_t at = atomicAdd(&shared->members, 1u);
    shared->member[at] = rank;
    shared->member_mass[at] = value_of(rank);
  });
  __syncthreads();
  const uint32_t count = shared->members;
  for (uint32_t i = threadIdx.x; i < count; i += blockDim.x) {
    const uint64_t rank = shared->member[i];
    uint64_t sum = before;
    for (uint32_t j = 0; j < count; ++j) sum += shared->member[j] < rank ? shared->member_mass[j] : 0;
    if (sum < wanted && sum + shared->member_mass[i] >= wanted) shared->base.found[0] = rank;
  }
  __syncthreads();
  const uint64_t found = shared->base.found[0];
  __syncthreads();
  return found;
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_SAMPLE_SELECT_CUH_
