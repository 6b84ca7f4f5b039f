// Products by mma.sync: blocks of features by tokens, both sides copied to shared memory some steps ahead, 128 bytes of each row a
// step. The bytes of a fragment are the same for pairs of bf16 or f16 and for fours of int8, so one kernel serves all.
//
// Row r's 16-byte chunk c of a step stands at chunk c ^ r % 8 of its 128 bytes: eight rows' chunks, which ldmatrix reads at once, then
// lie in different banks, as do the eight chunks of a row that are written together.
#ifndef LANES_CUDA_LINEAR_GEMM_CUH_
#define LANES_CUDA_LINEAR_GEMM_CUH_

#include "cuda/common/ptx.cuh"
#include "cuda/linear/epilogue.cuh"
#include "cuda/linear/heuristics.h"
#include "cuda/linear/linear.h"

namespace lanes::cuda {

// What is multiplied. A product is 16 features by 8 tokens by 32 bytes of their rows.
struct Bf16Mma {
  using Sum = float;
  using Total = float;
  static constexpr Scales kScales = Scales::kNone;
  static constexpr bool kDeep = false;
  static __device__ __forceinline__ void Add(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { MmaBf16(sum, a, b); }
};
struct F16Mma {
  using Sum = float;
  using Total = float;
  static constexpr Scales kScales = Scales::kRows;
  static constexpr bool kDeep = false;
  static __device__ __forceinline__ void Add(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { MmaF16(sum, a, b); }
};
struct S8Mma {
  using Sum = int32_t;
  using Total = int32_t;
  static constexpr Scales kScales = Scales::kBoth;
  static constexpr bool kDeep = false;
  static __device__ __forceinline__ void Add(int32_t (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { MmaS8(sum, a, b); }
};
// Sums over more than kMostS8Sums.
struct DeepS8Mma : S8Mma {
  using Total = int64_t;
  static constexpr bool kDeep = true;
};

struct GemmArgs {
  const unsigned char* weight;
  const unsigned char* x;
  int64_t row_bytes, x_bytes, x_stride;
  TileOrder order;
  EpilogueArgs epilogue;
};

__device__ __forceinline__ int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }

template <class Math, int kTile>
__global__ void __launch_bounds__(kGemmTiles[kTile].Threads(), kGemmTiles[kTile].Threads() == 256 ? 1 : 2) GemmKernel(const GemmArgs args) {
  constexpr GemmTile kShape = kGemmTiles[kTile];
  constexpr int32_t kFeatures = kShape.features, kTokens = kShape.tokens, kStages = kShape.stages;
  constexpr int32_t kThreads = kShape.Threads(), kStageBytes = kShape.StageBytes();
  // Of a warp: fragments of 16 features, of 8 tokens.
  constexpr int32_t kHigh = kFeatures / kShape.feature_warps / 16, kWide = kTokens / kShape.token_warps / 8;
  constexpr int32_t kCopiedRows = kThreads / 8;  // by all threads at a time
  constexpr int32_t kFeatureCopies = kFeatures / kCopiedRows, kTokenCopies = kTokens / kCopiedRows;
  constexpr int32_t kParts = 4;  // products in the 128 bytes of a step
  static_assert(kFeatures % kCopiedRows == 0 && kTokens % kCopiedRows == 0 && kWide % 2 == 0 && kStages >= 3);
  static_assert(kThreads / 32 * kStagingFloats<kHigh> * 4 <= kShape.SharedBytes());

  unsigned char* const shared = SharedMemory();
  const int32_t thread = static_cast<int32_t>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const TileOrder::Tile tile = args.order.At(blockIdx.x);
  const int64_t feature = tile.feature * kFeatures, token = tile.token * kTokens;
  const int64_t n = args.epilogue.n, m = args.epilogue.m;
  const int64_t steps = args.row_bytes / 128;

  // This thread copies chunk `thread % 8` of rows thread / 8, thread / 8 + kCopiedRows, …; rows past the end repeat the last one, and
  // their sums are not stored.
  const int32_t copy_row = thread / 8, copy_byte = thread % 8 * 16;
  const unsigned char* weight_rows[kFeatureCopies];
  const unsigned char* x_rows[kTokenCopies];
#pragma unroll
  for (int32_t i = 0; i < kFeatureCopies; ++i) {
    weight_rows[i] = args.weight + Least(feature + copy_row + i * kCopiedRows, n - 1) * args.row_bytes + copy_byte;
  }
#pragma unroll
  for (int32_t i = 0; i < kTokenCopies; ++i) {
    x_rows[i] = args.x + Least(token + copy_row + i * kCopiedRows, m - 1) * args.x_stride + copy_byte;
  }
  // kCopiedRows is a multiple of 8, so the swizzle is the same for all of them.
  unsigned char* const copy_to = shared + copy_row * 128 + (copy_byte ^ copy_row % 8 * 16);
  const auto copy_weight = [&](int64_t step, int32_t slot) {
#pragma unroll
    for (int32_t i = 0; i < kFeatureCopies; ++i) {
      CopyAsync16(copy_to + slot * kStageBytes + i * kCopiedRows * 128, weight_rows[i] + step * 128);
    }
  };
  const auto copy_x = [&](int64_t step, int32_t slot) {
    const bool valid = step * 128 + copy_byte < args.x_bytes;
#pragma unroll
    for (int32_t i = 0; i < kTokenCopies; ++i) {
      CopyAsync16(copy_to + slot * kStageBytes + (kFeatures + i * kCopiedRows) * 128, valid ? x_rows[i] + step * 128 : x_rows[i], valid);
    }
  };

  // Fragments of part p of a step: chunks 2 p and 2 p + 1 of the rows. Lane l gives ldmatrix a row of matrix l / 8: of features these
  // are rows 0-7 and 8-15 of the first chunk, then of the second; of tokens both chunks of rows 0-7, then of 8-15.
  const int32_t warp_feature = warp / kShape.token_warps * 16 * kHigh, warp_token = warp % kShape.token_warps * 8 * kWide;
  const int32_t feature_row = warp_feature + lane % 16, feature_chunk = lane / 16;
  const int32_t token_row = warp_token + lane % 8 + lane / 16 * 8, token_chunk = lane / 8 % 2;
  const unsigned char* const feature_rows = shared + feature_row * 128;
  const unsigned char* const token_rows = shared + (kFeatures + token_row) * 128;
  uint32_t a[2][kHigh][4], b[2][kWide][2];
  const auto load = [&](int32_t slot, int32_t part, int32_t to) {
    const int32_t feature_at = slot * kStageBytes + ((2 * part + feature_chunk) ^ feature_row % 8) * 16;
    const int32_t token_at = slot * kStageBytes + ((2 * part + token_chunk) ^ token_row % 8) * 16;
#pragma unroll
    for (int32_t i = 0; i < kHigh; ++i) LoadMatrixX4(a[to][i], feature_rows + feature_at + i * 16 * 128);
#pragma unroll
    for (int32_t j = 0; j < kWide; j += 2) {
      uint32_t r[4];
      LoadMatrixX4(r, token_rows + token_at + j * 8 * 128);
      b[to][j][0] = r[0];
      b[to][j][1] = r[1];
      b[to][j + 1][0] = r[2];
      b[to][j + 1][1] = r[3];
    }
  };

  // The weight does not depend on the kernels before.
#pragma unroll
  for (int32_t s = 0; s < kStages - 1; ++s) {
    if (s < steps) copy_weight(s, s);
  }
  DependencyWait();
#pragma unroll
  for (int32_t s = 0; s < kStages - 1; ++s) {
    if (s < steps) copy_x(s, s);
    CopyAsyncCommit();
  }
  DependencyLaunch();

  typename Math::Sum sum[kWide][kHigh][4] = {};
  typename Math::Total total[Math::kDeep ? kWide : 1][Math::kDeep ? kHigh : 1][4] = {};
  CopyAsyncWait<kStages - 2>();
  __syncthreads();
  load(0, 0, 0);
  int32_t slot = 0, free_slot = kStages - 1;
  for (int64_t step = 0; step < steps; ++step) {
    const int32_t next_slot = slot + 1 < kStages ? slot + 1 : 0;
#pragma unroll
    for (int32_t part = 0; part < kParts; ++part) {
      if (part == kParts - 1) {
        // The next step has arrived, and all warps have taken what they need of this one, so that the copies of the coming round may
        // write over it.
        CopyAsyncWait<kStages - 2>();
        __syncthreads();
      }
      if (part < kParts - 1) {
        load(slot, part + 1, (part + 1) % 2);
      } else if (step + 1 < steps) {
        load(next_slot, 0, 0);
      }
      if (part == 0) {
        if (step + kStages - 1 < steps) {
          copy_weight(step + kStages - 1, free_slot);
          copy_x(step + kStages - 1, free_slot);
        }
        CopyAsyncCommit();
      }
#pragma unroll
      for (int32_t j = 0; j < kWide; ++j) {
#pragma unroll
        for (int32_t i = 0; i < kHigh; ++i) Math::Add(sum[j][i], a[part % 2][i], b[part % 2][j]);
      }
    }
    if constexpr (Math::kDeep) {
      if ((step + 1) % (kMostS8Sums / 128) == 0 || step + 1 == steps) {
#pragma unroll
        for (int32_t j = 0; j < kWide; ++j) {
#pragma unroll
          for (int32_t i = 0; i < kHigh; ++i) {
#pragma unroll
            for (int32_t r = 0; r < 4; ++r) {
              total[j][i][r] += sum[j][i][r];
              sum[j][i][r] = 0;
            }
          }
        }
      }
    }
    free_slot = slot;
    slot = next_slot;
  }

  // The last round's barrier stands behind all reads of shared memory, and no copy is under way that writes.
  CopyAsyncWait<0>();
  float* const staging = reinterpret_cast<float*>(shared) + warp * kStagingFloats<kHigh>;
#pragma unroll
  for (int32_t j = 0; j < kWide; ++j) {
    if constexpr (Math::kDeep) {
      FinishFragments<Math::kScales>(args.epilogue, total[j], token + warp_token + 8 * j, feature + warp_feature, staging);
    } else {
      FinishFragments<Math::kScales>(args.epilogue, sum[j], token + warp_token + 8 * j, feature + warp_feature, staging);
    }
  }
}

template <class Math, int kTile>
void LaunchTile(Device& device, const GemmProblem& problem) {
  constexpr GemmTile kShape = kGemmTiles[kTile];
  GemmArgs args;
  args.weight = problem.weight;
  args.x = problem.x;
  args.row_bytes = problem.row_bytes;
  args.x_bytes = problem.x_bytes;
  args.x_stride = problem.x_stride;
  args.order = OrderOf(kShape, problem.epilogue.m, problem.epilogue.n);
  args.epilogue = problem.epilogue;
  LaunchConfig config;
  config.grid = dim3(static_cast<uint32_t>(args.order.Count()));
  config.block = dim3(static_cast<uint32_t>(kShape.Threads()));
  config.shared_bytes = static_cast<uint32_t>(kShape.SharedBytes());
  device.Launch(config, GemmKernel<Math, kTile>, args);
}

// The tile of that index.
template <class Math, int kTile = 0>
void LaunchTileAt(Device& device, const GemmProblem& problem, int32_t tile) {
  if (tile == kTile) {
    LaunchTile<Math, kTile>(device, problem);
  } else if constexpr (kTile + 1 < kGemmTileCount) {
    LaunchTileAt<Math, kTile + 1>(device, problem, tile);
  }
}

// gemm_bf16.cu, gemm_f16.cu, gemm_s8.cu
void LaunchGemmBf16(Device& device, const GemmProblem& problem, int32_t tile);
void LaunchGemmF16(Device& device, const GemmProblem& problem, int32_t tile);
void LaunchGemmS8(Device& device, const GemmProblem& problem, int32_t tile);
void LaunchGemmDeepS8(Device& device, const GemmProblem& problem);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_LINEAR_GEMM_CUH_
