// float32 sums as ops/linear.h wants them: runs of 256 inputs, each a chain of fused multiply-adds from zero, added in order.
//
// Inputs behind the last one take no part, not even as zeros: 0 * 0 would turn a sum of -0 into 0.
#include "cuda/common/ptx.cuh"
#include "cuda/linear/epilogue.cuh"
#include "cuda/linear/heuristics.h"
#include "cuda/linear/linear.h"
#include "cuda/linear/rows.h"

namespace lanes::cuda {
namespace {

struct ExactArgs {
  const unsigned char* weight;
  int64_t row_bytes;
  const float* x;  // rows and their stride are multiples of 16 bytes
  int64_t x_stride;
  int64_t k;
  EpilogueArgs epilogue;
};

// Types of the weight. Four, Two, One: so many elements at `bytes`, which are aligned to their size.
struct F32Weight {
  static constexpr int32_t kBytes = 4;
  static __device__ __forceinline__ float4 Four(const unsigned char* bytes) { return *reinterpret_cast<const float4*>(bytes); }
  static __device__ __forceinline__ float2 Two(const unsigned char* bytes) { return *reinterpret_cast<const float2*>(bytes); }
  static __device__ __forceinline__ float One(const unsigned char* bytes) { return *reinterpret_cast<const float*>(bytes); }
};
struct Bf16Weight {
  static constexpr int32_t kBytes = 2;
  static __device__ __forceinline__ float4 Four(const unsigned char* bytes) {
    const uint2 v = *reinterpret_cast<const uint2*>(bytes);
    return make_float4(__uint_as_float(v.x << 16), __uint_as_float(v.x & 0xFFFF0000u), __uint_as_float(v.y << 16),
                       __uint_as_float(v.y & 0xFFFF0000u));
  }
  static __device__ __forceinline__ float2 Two(const unsigned char* bytes) {
    const uint32_t v = *reinterpret_cast<const uint32_t*>(bytes);
    return make_float2(__uint_as_float(v << 16), __uint_as_float(v & 0xFFFF0000u));
  }
  static __device__ __forceinline__ float One(const unsigned char* bytes) { return FromBf16(*reinterpret_cast<const uint16_t*>(bytes)); }
};
struct F16Weight {
  static constexpr int32_t kBytes = 2;
  static __device__ __forceinline__ float4 Four(const unsigned char* bytes) {
    const uint2 v = *reinterpret_cast<const uint2*>(bytes);
    return make_float4(FromF16(static_cast<uint16_t>(v.x & 0xFFFFu)), FromF16(static_cast<uint16_t>(v.x >> 16)),
                       FromF16(static_cast<uint16_t>(v.y & 0xFFFFu)), FromF16(static_cast<uint16_t>(v.y >> 16)));
  }
  static __device__ __forceinline__ float2 Two(const unsigned char* bytes) {
    const uint32_t v = *reinterpret_cast<const uint32_t*>(bytes);
    return make_float2(FromF16(static_cast<uint16_t>(v & 0xFFFFu)), FromF16(static_cast<uint16_t>(v >> 16)));
  }
  static __device__ __forceinline__ float One(const unsigned char* bytes) { return FromF16(*reinterpret_cast<const uint16_t*>(bytes)); }
};

__device__ __forceinline__ float AddFour(float sum, const float4& w, const float4& x) {
  return fmaf(x.w, w.w, fmaf(x.z, w.z, fmaf(x.y, w.y, fmaf(x.x, w.x, sum))));
}

// The sum of no runs: added to it, a run's sum stays what it is, were it -0.
constexpr float kNothing = -0.0f;

__device__ __forceinline__ int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }

// ---- Few tokens -----------------------------------------------------------------------------------------------------------

// A warp takes two runs at a time, a lane one feature in one of them. 128 bytes of each lane's row of the weight are a stage of the
// warp's own ring, and beside them the inputs that they meet. After each round of all warps the runs' sums are added up in order.
//
// Chunk c of lane l's row stands at c ^ l % 8, so that eight lanes that read the same chunk of their rows meet no bank twice.
template <class Weight, int kTokens>
__global__ void __launch_bounds__(kExactWarps * 32, 2) ExactFewKernel(const ExactArgs args) {
  constexpr int32_t kInputs = 128 / Weight::kBytes;  // of a stage
  constexpr int32_t kStages = ExactFewStages(Weight::kBytes, kTokens);
  constexpr int32_t kRunStages = kExactRun / kInputs, kRuns = 32 / kExactFeatures;
  constexpr int32_t kXBytes = kRuns * kTokens * kInputs * 4, kStageBytes = 32 * 128 + kXBytes;
  static_assert(kStages * kStageBytes == ExactWarpBytes(Weight::kBytes, kTokens));
  static_assert(kExactFeatures * kTokens <= kExactWarps * 32);
  const int32_t thread = static_cast<int32_t>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int64_t feature = static_cast<int64_t>(blockIdx.x) * kExactFeatures, token = static_cast<int64_t>(blockIdx.y) * kTokens;
  const int64_t n = args.epilogue.n, m = args.epilogue.m, k = args.k;
  unsigned char* const ring = SharedMemory() + warp * ExactWarpBytes(Weight::kBytes, kTokens);
  float* const sums = reinterpret_cast<float*>(SharedMemory() + kExactWarps * ExactWarpBytes(Weight::kBytes, kTokens));

  const int64_t runs = (k + kExactRun - 1) / kExactRun, rounds = (runs + kExactWarps * kRuns - 1) / (kExactWarps * kRuns);
  // Stages are counted through all rounds; `first_run` is that of the warp's lanes 0 to 15.
  const auto first_run = [&](int64_t stage) { return (stage / kRunStages * kExactWarps + warp) * kRuns; };
  const auto copy_weight = [&](int64_t stage, int32_t slot) {
#pragma unroll
    for (int32_t i = 0; i < 8; ++i) {
      const int32_t row = lane / 8 + 4 * i, chunk = lane % 8;
      const int64_t run = first_run(stage) + row / kExactFeatures;
      const int64_t at = (run * kRunStages + stage % kRunStages) * 128 + chunk * 16;
      if (at < args.row_bytes) {
        CopyAsync16(ring + slot * kStageBytes + row * 128 + (chunk ^ row % 8) * 16,
                    args.weight + Least(feature + row % kExactFeatures, n - 1) * args.row_bytes + at);
      }
    }
  };
  const auto copy_x = [&](int64_t stage, int32_t slot) {
#pragma unroll
    for (int32_t chunk = lane; chunk < kXBytes / 16; chunk += 32) {
      const int32_t row = chunk / (kInputs / 4), col = chunk % (kInputs / 4) * 4;
      const int64_t run = first_run(stage) + row / kTokens;
      const int64_t at = run * kExactRun + stage % kRunStages * kInputs + col;
      if (at < k) {
        CopyAsync16(ring + slot * kStageBytes + 32 * 128 + chunk * 16, args.x + Least(token + row % kTokens, m - 1) * args.x_stride + at);
      }
    }
  };

  const int64_t stages = rounds * kRunStages;
#pragma unroll
  for (int32_t s = 0; s < kStages - 1; ++s) {
    if (s < stages) copy_weight(s, s);
  }
  DependencyWait();
#pragma unroll
  for (int32_t s = 0; s < kStages - 1; ++s) {
    if (s < stages) copy_x(s, s);
    CopyAsyncCommit();
  }
  DependencyLaunch();

  const unsigned char* const rows = ring + lane * 128;
  const float* const x_rows = reinterpret_cast<const float*>(ring + 32 * 128) + lane / kExactFeatures * kTokens * kInputs;
  float total = kNothing;
  int64_t stage = 0;
  int32_t slot = 0;
  for (int64_t round = 0; round < rounds; ++round) {
    const int64_t run = first_run(stage) + lane / kExactFeatures;
    float sum[kTokens] = {};
    for (int32_t s = 0; s < kRunStages; ++s, ++stage) {
      CopyAsyncWait<kStages - 2>();
      __syncwarp();
      const int32_t free_slot = slot > 0 ? slot - 1 : kStages - 1;
      if (stage + kStages - 1 < stages) {
        copy_weight(stage + kStages - 1, free_slot);
        copy_x(stage + kStages - 1, free_slot);
      }
      CopyAsyncCommit();
      const int64_t left = k - run * kExactRun - s * kInputs;
      const unsigned char* const row = rows + slot * kStageBytes;
      const float* const x = x_rows + slot * (kStageBytes / 4);
      const auto at = [&](int32_t col) {
        const int32_t byte = col * Weight::kBytes;
        return row + ((byte / 16) ^ lane % 8) * 16 + byte % 16;
      };
      if (left >= kInputs) {
#pragma unroll 4
        for (int32_t col = 0; col < kInputs; col += 4) {
          const float4 w = Weight::Four(at(col));
#pragma unroll
          for (int32_t t = 0; t < kTokens; ++t) sum[t] = AddFour(sum[t], w, *reinterpret_cast<const float4*>(x + t * kInputs + col));
        }
      } else {
#pragma unroll 1
        for (int32_t col = 0; col < left; ++col) {
          const float w = Weight::One(at(col));
#pragma unroll
          for (int32_t t = 0; t < kTokens; ++t) sum[t] = fmaf(x[t * kInputs + col], w, sum[t]);
        }
      }
      slot = slot + 1 < kStages ? slot + 1 : 0;
    }
    // [run of the round][token][feature]
    float* const mine = sums + ((warp * kRuns + lane / kExactFeatures) * kTokens) * kExactFeatures + lane % kExactFeatures;
#pragma unroll
    for (int32_t t = 0; t < kTokens; ++t) mine[t * kExactFeatures] = sum[t];
    __syncthreads();
    if (thread < kTokens * kExactFeatures) {
      const int64_t first = round * kExactWarps * kRuns, count = Least(runs - first, kExactWarps * kRuns);
      for (int32_t r = 0; r < count; ++r) total = total + sums[r * kTokens * kExactFeatures + thread];
    }
    __syncthreads();
  }
  CopyAsyncWait<0>();
  const int64_t row = token + thread / kExactFeatures, col = feature + thread % kExactFeatures;
  if (thread < kTokens * kExactFeatures && row < m && col < n) Finish<Scales::kNone>(args.epilogue, total, row, col);
}

// ---- Tiles ----------------------------------------------------------------------------------------------------------------

// kSide features by kSide tokens, 256 threads. A thread sums features feature_lane + 16 i by tokens token_lane + 16 j; in a warp these
// are eight neighbouring features by four tokens. A stage holds 128 bytes of each row of the weight and the inputs that they meet.
//
// Chunk c of row r stands at c ^ r % 8 within its 128 bytes: the eight rows that a warp reads at once meet no bank twice.
template <class Weight, int kSide>
__global__ void __launch_bounds__(256, kSide == 128 ? 1 : 2) ExactTileKernel(const ExactArgs args) {
  constexpr int32_t kInputs = 128 / Weight::kBytes, kStages = ExactTileStages(Weight::kBytes);
  constexpr int32_t kXRow = kInputs * 4, kStageBytes = kSide * (128 + kXRow);
  constexpr int32_t kMine = kSide / 16;
  constexpr int32_t kRunStages = kExactRun / kInputs;
  static_assert(kStages * kStageBytes == ExactTileSharedBytes(Weight::kBytes, kSide));
  unsigned char* const shared = SharedMemory();
  const int32_t thread = static_cast<int32_t>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int64_t n = args.epilogue.n, m = args.epilogue.m, k = args.k;
  const int64_t feature_tiles = (n + kSide - 1) / kSide;
  const int64_t feature = blockIdx.x % feature_tiles * kSide, token = blockIdx.x / feature_tiles * kSide;

  // Rows past the end repeat the last one, and their sums are not stored. Not unrolled: the sums need the registers that addresses
  // would take.
  const auto copy_weight = [&](int32_t stage, int32_t slot) {
#pragma unroll 1
    for (int32_t i = 0; i < kSide / 32; ++i) {
      const int32_t row = thread / 8 + 32 * i, chunk = thread % 8;
      const int64_t at = static_cast<int64_t>(stage) * 128 + chunk * 16;
      if (at < args.row_bytes) {
        CopyAsync16(shared + slot * kStageBytes + row * 128 + (chunk ^ row % 8) * 16,
                    args.weight + Least(feature + row, n - 1) * args.row_bytes + at);
      }
    }
  };
  const auto copy_x = [&](int32_t stage, int32_t slot) {
    constexpr int32_t kChunks = kXRow / 16, kRows = 256 / kChunks;
#pragma unroll 1
    for (int32_t i = 0; i < kSide / kRows; ++i) {
      const int32_t row = thread / kChunks + kRows * i, chunk = thread % kChunks;
      const int64_t at = static_cast<int64_t>(stage) * kInputs + chunk * 4;
      if (at < k) {
        CopyAsync16(shared + slot * kStageBytes + kSide * 128 + row * kXRow + (chunk ^ row % 8) * 16,
                    args.x + Least(token + row, m - 1) * args.x_stride + at);
      }
    }
  };
  const int32_t full_stages = static_cast<int32_t>(k / kInputs), tail = static_cast<int32_t>(k % kInputs);
  const int32_t stages = full_stages + (tail > 0 ? 1 : 0);
#pragma unroll
  for (int32_t s = 0; s < kStages - 1; ++s) {
    if (s < stages) copy_weight(s, s);
  }
  DependencyWait();
#pragma unroll
  for (int32_t s = 0; s < kStages - 1; ++s) {
    if (s < stages) copy_x(s, s);
    CopyAsyncCommit();
  }
  DependencyLaunch();

  const int32_t feature_lane = lane % 8 + warp % 2 * 8, token_lane = lane / 8 + warp / 2 * 4;
  float sum[kMine][kMine] = {}, total[kMine][kMine];
#pragma unroll
  for (int32_t i = 0; i < kMine; ++i) {
#pragma unroll
    for (int32_t j = 0; j < kMine; ++j) total[i][j] = kNothing;
  }
  const auto close_run = [&] {
#pragma unroll
    for (int32_t i = 0; i < kMine; ++i) {
#pragma unroll
      for (int32_t j = 0; j < kMine; ++j) {
        total[i][j] = total[i][j] + sum[i][j];
        sum[i][j] = 0.0f;
      }
    }
  };
  // Input col of this thread's first row of the weight, and of x, in the stage in `slot`.
  const auto row_at = [&](int32_t slot, int32_t col) {
    const int32_t byte = col * Weight::kBytes;
    return shared + slot * kStageBytes + feature_lane * 128 + ((byte / 16) ^ feature_lane % 8) * 16 + byte % 16;
  };
  const auto x_at = [&](int32_t slot, int32_t col) {
    return shared + slot * kStageBytes + (kSide * 128 + token_lane * kXRow) + ((col / 4) ^ token_lane % 8) * 16 + col % 4 * 4;
  };
  int32_t slot = 0;
  for (int32_t stage = 0; stage < stages; ++stage) {
    CopyAsyncWait<kStages - 2>();
    __syncthreads();
    const int32_t free_slot = slot > 0 ? slot - 1 : kStages - 1;
    if (stage + kStages - 1 < stages) {
      copy_weight(stage + kStages - 1, free_slot);
      copy_x(stage + kStages - 1, free_slot);
    }
    CopyAsyncCommit();
    if (stage < full_stages) {
      // Two inputs at a time: four would need more registers than there are.
#pragma unroll 2
      for (int32_t col = 0; col < kInputs; col += 2) {
        const unsigned char *const rows = row_at(slot, col), *const x_rows = x_at(slot, col);
        float2 x[kMine];
#pragma unroll
        for (int32_t j = 0; j < kMine; ++j) x[j] = *reinterpret_cast<const float2*>(x_rows + j * 16 * kXRow);
#pragma unroll
        for (int32_t i = 0; i < kMine; ++i) {
          const float2 w = Weight::Two(rows + i * 16 * 128);
#pragma unroll
          for (int32_t j = 0; j < kMine; ++j) sum[i][j] = fmaf(x[j].y, w.y, fmaf(x[j].x, w.x, sum[i][j]));
        }
      }
    } else {
#pragma unroll 1
      for (int32_t col = 0; col < tail; ++col) {
        const unsigned char *const rows = row_at(slot, col), *const x_rows = x_at(slot, col);
        float x[kMine];
#pragma unroll
        for (int32_t j = 0; j < kMine; ++j) x[j] = *reinterpret_cast<const float*>(x_rows + j * 16 * kXRow);
#pragma unroll
        for (int32_t i = 0; i < kMine; ++i) {
          const float w = Weight::One(rows + i * 16 * 128);
#pragma unroll
          for (int32_t j = 0; j < kMine; ++j) sum[i][j] = fmaf(x[j], w, sum[i][j]);
        }
      }
    }
    if ((stage + 1) % kRunStages == 0 || stage + 1 == stages) close_run();
    slot = slot + 1 < kStages ? slot + 1 : 0;
  }

  // Through shared memory, so that neighbouring threads store neighbouring features. Rows are eight floats longer than the tile: what a
  // warp writes at once meets no bank twice.
  constexpr int32_t kRow = kSide + 8, kFours = kSide / 4;
  static_assert(kSide * kRow * 4 <= kStages * kStageBytes);
  CopyAsyncWait<0>();
  __syncthreads();
  float* const sums = reinterpret_cast<float*>(shared);
#pragma unroll
  for (int32_t j = 0; j < kMine; ++j) {
#pragma unroll
    for (int32_t i = 0; i < kMine; ++i) sums[(token_lane + 16 * j) * kRow + feature_lane + 16 * i] = total[i][j];
  }
  __syncthreads();
#pragma unroll 2
  for (int32_t i = thread; i < kSide * kFours; i += 256) {
    FinishFour<Scales::kNone>(args.epilogue, sums + i / kFours * kRow + i % kFours * 4, token + i / kFours, feature + i % kFours * 4);
  }
}

// ---- Host -----------------------------------------------------------------------------------------------------------------

template <class Weight, int kTokens>
void LaunchFew(Device& device, const ExactArgs& args) {
  LaunchConfig config;
  config.grid = dim3(static_cast<uint32_t>(CeilDivide(args.epilogue.n, kExactFeatures)),
                     static_cast<uint32_t>(CeilDivide(args.epilogue.m, kTokens)));
  config.block = dim3(static_cast<uint32_t>(kExactWarps * 32));
  config.shared_bytes = static_cast<uint32_t>(ExactFewSharedBytes(Weight::kBytes, kTokens));
  device.Launch(config, ExactFewKernel<Weight, kTokens>, args);
}

template <class Weight, int kSide>
void LaunchTile(Device& device, const ExactArgs& args) {
  LaunchConfig config;
  config.grid = dim3(static_cast<uint32_t>(CeilDivide(args.epilogue.n, kSide) * CeilDivide(args.epilogue.m, kSide)));
  config.block = dim3(256);
  config.shared_bytes = static_cast<uint32_t>(ExactTileSharedBytes(Weight::kBytes, kSide));
  device.Launch(config, ExactTileKernel<Weight, kSide>, args);
}

template <class Weight>
void LaunchPlan(Device& device, const ExactArgs& args, const ExactPlan& plan) {
  if (plan.side == 128) {
    LaunchTile<Weight, 128>(device, args);
  } else if (plan.side == 64) {
    LaunchTile<Weight, 64>(device, args);
  } else if (plan.tokens == 1) {
    LaunchFew<Weight, 1>(device, args);
  } else if (plan.tokens == 2) {
    LaunchFew<Weight, 2>(device, args);
  } else if (plan.tokens == 4) {
    LaunchFew<Weight, 4>(device, args);
  } else {
    LaunchFew<Weight, 8>(device, args);
  }
}

}  // namespace

void LaunchExact(Device& device, const LinearArgs& args, const EpilogueArgs& epilogue) {
  const WeightView& weight = args.weight;
  ExactArgs exact = {};
  exact.weight = reinterpret_cast<const unsigned char*>(weight.data);
  exact.row_bytes = weight.padded_cols * weight.element_bytes;
  exact.k = weight.cols;
  exact.epilogue = epilogue;
  if (args.x != nullptr && reinterpret_cast<uintptr_t>(args.x) % 16 == 0 && args.x_stride % 4 == 0 && weight.cols % 4 == 0) {
    exact.x = args.x;
    exact.x_stride = args.x_stride;
  } else {
    exact.x_stride = RoundUpTo(weight.cols, 4);
    exact.x = CopyRows(device, args, exact.x_stride * 4);
  }
  const DeviceLimits& limits = device.limits();
  const ExactPlan plan = PlanExact(args.m, weight.rows, {limits.multiprocessors, limits.shared_bytes});
  if (weight.dtype == LANES_F32) {
    LaunchPlan<F32Weight>(device, exact, plan);
  } else if (weight.dtype == LANES_BF16) {
    LaunchPlan<Bf16Weight>(device, exact, plan);
  } else {
    LaunchPlan<F16Weight>(device, exact, plan);
  }
}

}  // namespace lanes::cuda
