// Which kernel computes a linear layer, with which tile, grid and shared memory. Plain C++, tested without a GPU
// (tests/native/cuda_linear_heuristics_test.cc). No choice here changes a bit of the result.
#ifndef LANES_CUDA_LINEAR_HEURISTICS_H_
#define LANES_CUDA_LINEAR_HEURISTICS_H_

#include <stdint.h>

#if defined(__CUDACC__)
#define LANES_HOST_DEVICE __host__ __device__
#else
#define LANES_HOST_DEVICE
#endif

namespace lanes::cuda {

struct LinearLimits {
  int32_t multiprocessors;
  int32_t shared_bytes;  // that a block may have
};

enum class Products { kBf16, kF16, kS8 };

constexpr int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t RoundUpTo(int64_t a, int64_t multiple) { return CeilDivide(a, multiple) * multiple; }

// Sums of int8 products stay below 2^31 over this many, which a chain in 32 bits may take: 128 * 128 * 65,536 = 2^30.
inline constexpr int64_t kMostS8Sums = 65536;

// ---- Tiles of tensor-core products ---------------------------------------------------------------------------------------

// A block computes `features` by `tokens` sums, its warps cut that into equal parts. A step is 128 bytes of a row, `stages` steps
// are in shared memory.
struct GemmTile {
  int32_t features, tokens;
  int32_t feature_warps, token_warps;
  int32_t stages;
  LANES_HOST_DEVICE constexpr int32_t Threads() const { return feature_warps * token_warps * 32; }
  LANES_HOST_DEVICE constexpr int32_t StageBytes() const { return (features + tokens) * 128; }
  LANES_HOST_DEVICE constexpr int32_t SharedBytes() const { return stages * StageBytes(); }
};

// All fit the 99 KiB that the smallest GPUs give a block; those with more run two blocks side by side.
inline constexpr GemmTile kGemmTiles[] = {
    {128, 128, 2, 4, 3}, {128, 64, 4, 2, 4},  {64, 64, 2, 2, 6},  {64, 32, 2, 2, 8},
    {32, 64, 2, 2, 8},   {32, 32, 2, 2, 12}, {32, 16, 2, 1, 14},
};
inline constexpr int32_t kGemmTileCount = static_cast<int32_t>(sizeof kGemmTiles / sizeof kGemmTiles[0]);
// For sums of int8 that need 64 bits.
inline constexpr int32_t kDeepTile = kGemmTileCount - 1;

// Tiles in the order of blocks: groups of up to kGroup tiles of tokens, which pass the features together, so that the blocks that run
// at one time share rows of both sides in the L2 cache.
struct TileOrder {
  static constexpr int64_t kGroup = 8;
  int64_t feature_tiles, token_tiles;
  struct Tile {
    int64_t feature, token;
  };
  constexpr int64_t Count() const { return feature_tiles * token_tiles; }
  LANES_HOST_DEVICE Tile At(int64_t index) const {
    const int64_t group_tiles = kGroup * feature_tiles;
    const int64_t first = index / group_tiles * kGroup, within = index % group_tiles;
    const int64_t wide = token_tiles - first < kGroup ? token_tiles - first : kGroup;
    return {within / wide, first + within % wide};
  }
};

constexpr TileOrder OrderOf(const GemmTile& tile, int64_t m, int64_t n) {
  return {CeilDivide(n, tile.features), CeilDivide(m, tile.tokens)};
}

// An estimate of the cycles that `m` tokens by `n` features with rows of `row_bytes` take: the busiest multiprocessor's tensor cores,
// shared memory, and loads; the chain of dependent steps; the L2 cache of all.
constexpr double GemmCycles(const GemmTile& tile, int64_t m, int64_t n, int64_t row_bytes, const LinearLimits& limits) {
  const int64_t warps = tile.feature_warps * tile.token_warps;
  const double products = tile.features * tile.tokens / 16.0;  // 1,024 bf16 or 2,048 int8 a cycle
  const double shared_reads = static_cast<double>(warps * (tile.features / tile.feature_warps + tile.tokens / tile.token_warps));
  const double loads = tile.StageBytes() / 56.0, l2 = tile.StageBytes() / 36.0;
  constexpr double kStepLatency = 200, kBlockCycles = 2500;
  const double busy = products > shared_reads ? (products > loads ? products : loads) : shared_reads > loads ? shared_reads : loads;
  const int64_t blocks = OrderOf(tile, m, n).Count(), share = CeilDivide(blocks, limits.multiprocessors);
  const int64_t fit = limits.shared_bytes / tile.SharedBytes(), resident = fit > 1 ? fit : 1;
  const double waves = static_cast<double>(CeilDivide(share, resident));
  const double together = l2 * static_cast<double>(blocks) / limits.multiprocessors;
  double step = busy * static_cast<double>(share);
  if (step < kStepLatency * waves) step = kStepLatency * waves;
  if (step < together) step = together;
  return step * static_cast<double>(row_bytes / 128) + kBlockCycles * waves;
}

// Index in kGemmTiles.
constexpr int32_t ChooseGemmTile(int64_t m, int64_t n, int64_t row_bytes, const LinearLimits& limits) {
  int32_t best = 0;
  for (int32_t i = 1; i < kGemmTileCount; ++i) {
    if (GemmCycles(kGemmTiles[i], m, n, row_bytes, limits) < GemmCycles(kGemmTiles[best], m, n, row_bytes, limits)) best = i;
  }
  return best;
}

// ---- Few tokens: the weight streams past rows of x that stay in shared memory ---------------------------------------------------

inline constexpr int64_t kGemvTokens = 16;
inline constexpr int32_t kGemvThreads = 256, kGemvWarps = kGemvThreads / 32;
// A warp's stage: 256 bytes of 16 rows of the weight.
inline constexpr int32_t kGemvStageBytes = 16 * 256;
// Behind each row of x in shared memory, so that eight rows begin in different banks.
inline constexpr int32_t kGemvRowPadding = 16;
// Behind all of them: what the threads of a row of f16 have found largest, and the rows' scales.
inline constexpr int32_t kGemvScaleBytes = 2 * kGemvTokens * 4;

struct GemvPlan {
  bool taken;
  int32_t groups;  // of 16 features, of a block
  int32_t split;   // warps that share a group, each with a part of the rows: of int8 only
  int32_t stages;  // 4, 8 or 16
  int64_t blocks;
  int32_t row_threads;  // that fill a row of x: a power of two, for all rows at once
  int32_t scales_at;    // of f16, in shared memory
  int32_t x_bytes;      // of shared memory
  int32_t shared_bytes;
};

constexpr GemvPlan PlanGemv(int64_t m, int64_t n, int64_t row_bytes, Products products, const LinearLimits& limits) {
  GemvPlan plan = {};
  // Sums of int8 may be taken in any order.
  const bool exact = products == Products::kS8;
  if (m > kGemvTokens || row_bytes > limits.shared_bytes || (exact && row_bytes > kMostS8Sums)) return plan;
  const int64_t rows_bytes = m * (row_bytes + kGemvRowPadding);
  const int64_t x_bytes = RoundUpTo(rows_bytes + (products == Products::kF16 ? kGemvScaleBytes : 0), 128);
  // The smallest ring is four stages; three groups must fit, or rows of x would be read more often than they are worth.
  constexpr int64_t kSmallRing = 4 * kGemvStageBytes;
  int64_t most = x_bytes < limits.shared_bytes ? (limits.shared_bytes - x_bytes) / kSmallRing : 0;
  if (most > kGemvWarps) most = kGemvWarps;
  if (most < 3) return plan;
  const int64_t groups = CeilDivide(n, 16);
  // All at once where a block a multiprocessor can hold them; else small blocks, of which one loads while another begins.
  int64_t mine = CeilDivide(groups, limits.multiprocessors);
  const bool at_once = mine <= most;
  if (!at_once) mine = most < 4 ? most : 4;
  int64_t split = 1;
  if (exact && at_once) {
    const int64_t worth = row_bytes / (4 * 256);
    split = most / mine < worth ? most / mine : worth;
    if (split < 1) split = 1;
  }
  const int64_t warps = mine * split;
  plan.taken = true;
  plan.groups = static_cast<int32_t>(mine);
  plan.split = static_cast<int32_t>(split);
  // What is under way in all warps together covers the memory's latency.
  plan.stages = warps == 1 ? 16 : warps == 2 ? 8 : 4;
  while (plan.stages > 4 && x_bytes + warps * plan.stages * kGemvStageBytes > limits.shared_bytes) plan.stages /= 2;
  plan.blocks = CeilDivide(groups, mine);
  plan.row_threads = kGemvThreads;
  while (kGemvThreads / plan.row_threads < m) plan.row_threads /= 2;
  plan.scales_at = static_cast<int32_t>(rows_bytes);
  plan.x_bytes = static_cast<int32_t>(x_bytes);
  plan.shared_bytes = static_cast<int32_t>(x_bytes + warps * plan.stages * kGemvStageBytes);
  return plan;
}

// ---- float32 sums, as the CPU takes them ---------------------------------------------------------------------------------------

// Runs of 256 inputs, the contract of ops/linear.h.
inline constexpr int32_t kExactRun = 256;

// Few tokens: a block takes kExactFeatures features, each lane of its warps one feature in one run; the runs' sums meet in shared
// memory. A lane's part of a stage is 128 bytes of the weight.
inline constexpr int32_t kExactFeatures = 16, kExactWarps = 4;
inline constexpr int64_t kExactFewTokens = 16;
LANES_HOST_DEVICE constexpr int32_t ExactFewStages(int32_t element_bytes, int32_t tokens) {
  return element_bytes == 2 && tokens == 8 ? 2 : 3;
}
LANES_HOST_DEVICE constexpr int32_t ExactWarpBytes(int32_t element_bytes, int32_t tokens) {
  return ExactFewStages(element_bytes, tokens) * (32 * 128 + 32 / kExactFeatures * tokens * (128 / element_bytes) * 4);
}
LANES_HOST_DEVICE constexpr int32_t ExactFewSharedBytes(int32_t element_bytes, int32_t tokens) {
  return kExactWarps * (ExactWarpBytes(element_bytes, tokens) + 32 * tokens * 4);
}

// More: tiles of side * side, 16 by 16 threads with (side / 16)^2 sums each.
LANES_HOST_DEVICE constexpr int32_t ExactTileStages(int32_t element_bytes) { return element_bytes == 4 ? 3 : 2; }
LANES_HOST_DEVICE constexpr int32_t ExactTileSharedBytes(int32_t element_bytes, int32_t side) {
  return ExactTileStages(element_bytes) * side * (128 + 128 / element_bytes * 4);
}

struct ExactPlan {
  int32_t tokens;  // of a block with few tokens: 1, 2, 4 or 8; else 0
  int32_t side;    // of a tile: 128 or 64; else 0
};

constexpr ExactPlan PlanExact(int64_t m, int64_t n, const LinearLimits& limits) {
  if (m <= kExactFewTokens) return {m == 1 ? 1 : m == 2 ? 2 : m <= 4 ? 4 : 8, 0};
  const int64_t large = CeilDivide(m, 128) * CeilDivide(n, 128), small = CeilDivide(m, 64) * CeilDivide(n, 64);
  // A large tile takes four times a small one's work, and somewhat less than its time: two small ones share a multiprocessor.
  const int64_t large_time = 7 * CeilDivide(large, limits.multiprocessors), small_time = 2 * CeilDivide(small, limits.multiprocessors);
  return {0, large_time <= small_time ? 128 : 64};
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_LINEAR_HEURISTICS_H_
