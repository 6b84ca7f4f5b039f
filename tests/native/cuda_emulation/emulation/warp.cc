// Shuffles, votes and reductions of a warp.
#include "emulation/device_functions.h"

namespace lanes::cuda::emulation {

namespace {

template <class Visit>
inline void ForLanes(uint32_t mask, const Visit& visit) {
  if (mask == ~0u) {
    for (uint32_t lane = 0; lane < 32; ++lane) visit(lane);
    return;
  }
  for (; mask != 0; mask &= mask - 1) visit(static_cast<uint32_t>(__builtin_ctz(mask)));
}

void RunNothing(void* const*, uint32_t) {}

void RunShuffle(void* const* args, uint32_t mask) {
  ForLanes(mask, [&](uint32_t lane) {
    auto& own = *static_cast<ShuffleArgs*>(args[lane]);
    if ((mask >> own.source & 1) == 0) Fault("a shuffle: lane %u reads lane %u, which the mask %08x does not name", lane, own.source, mask);
    own.result = static_cast<const ShuffleArgs*>(args[own.source])->value;
  });
}

void RunBallot(void* const* args, uint32_t mask) {
  uint32_t votes = 0;
  ForLanes(mask, [&](uint32_t lane) { votes |= static_cast<VoteArgs*>(args[lane])->value << lane; });
  ForLanes(mask, [&](uint32_t lane) { static_cast<VoteArgs*>(args[lane])->result = votes; });
}

void RunMatchAny(void* const* args, uint32_t mask) {
  ForLanes(mask, [&](uint32_t lane) {
    auto& own = *static_cast<VoteArgs*>(args[lane]);
    own.result = 0;
    ForLanes(mask, [&](uint32_t other) { own.result |= static_cast<uint32_t>(static_cast<VoteArgs*>(args[other])->value == own.value) << other; });
  });
}

template <class T, T (*kCombine)(T, T)>
void RunReduce(void* const* args, uint32_t mask) {
  const auto first = static_cast<uint32_t>(__builtin_ctz(mask));
  auto result = static_cast<T>(static_cast<VoteArgs*>(args[first])->value);
  ForLanes(mask & (mask - 1), [&](uint32_t lane) { result = kCombine(result, static_cast<T>(static_cast<VoteArgs*>(args[lane])->value)); });
  ForLanes(mask, [&](uint32_t lane) { static_cast<VoteArgs*>(args[lane])->result = static_cast<uint32_t>(result); });
}

template <class T> T Add(T a, T b) { return a + b; }
template <class T> T Min(T a, T b) { return b < a ? b : a; }
template <class T> T Max(T a, T b) { return a < b ? b : a; }
template <class T> T And(T a, T b) { return a & b; }
template <class T> T Or(T a, T b) { return a | b; }
template <class T> T Xor(T a, T b) { return a ^ b; }

}  // namespace

const Instruction kSyncWarp = {"__syncwarp", RunNothing};
const Instruction kBallot = {"a vote (__ballot_sync, __any_sync, __all_sync)", RunBallot};
const Instruction kMatchAny = {"__match_any_sync", RunMatchAny};
const Instruction kShuffle = {"__shfl_sync", RunShuffle};
const Instruction kShuffleUp = {"__shfl_up_sync", RunShuffle};
const Instruction kShuffleDown = {"__shfl_down_sync", RunShuffle};
const Instruction kShuffleXor = {"__shfl_xor_sync", RunShuffle};
const Instruction kReduceAdd = {"__reduce_add_sync", RunReduce<uint32_t, Add<uint32_t>>};
const Instruction kReduceMin = {"__reduce_min_sync", RunReduce<uint32_t, Min<uint32_t>>};
const Instruction kReduceMax = {"__reduce_max_sync", RunReduce<uint32_t, Max<uint32_t>>};
const Instruction kReduceMinSigned = {"__reduce_min_sync", RunReduce<int32_t, Min<int32_t>>};
const Instruction kReduceMaxSigned = {"__reduce_max_sync", RunReduce<int32_t, Max<int32_t>>};
const Instruction kReduceAnd = {"__reduce_and_sync", RunReduce<uint32_t, And<uint32_t>>};
const Instruction kReduceOr = {"__reduce_or_sync", RunReduce<uint32_t, Or<uint32_t>>};
const Instruction kReduceXor = {"__reduce_xor_sync", RunReduce<uint32_t, Xor<uint32_t>>};

}  // namespace lanes::cuda::emulation
