// Which kernels a GPU's linear layers take: plain host code, tested without a GPU.
#include "cuda/linear/heuristics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace lanes::cuda {
namespace {

struct Gpu {
  const char* name;
  LinearLimits limits;
};
// Multiprocessors, and shared memory that a block may have, of each generation.
constexpr Gpu kGpus[] = {{"sm_80", {108, 166912}}, {"sm_86", {84, 101376}},   {"sm_89", {128, 101376}},
                         {"sm_90", {132, 232448}}, {"sm_100", {148, 232448}}, {"sm_120", {170, 101376}},
                         {"small", {4, 101376}},   {"one", {1, 101376}}};

constexpr int64_t kTokens[] = {1, 2, 3, 5, 8, 9, 13, 16, 17, 24, 31, 32, 33, 64, 65, 100, 128, 129, 257, 512, 1000, 2048, 8192, 65537};
constexpr int64_t kFeatures[] = {1, 15, 16, 17, 33, 64, 100, 128, 129, 576, 1000, 2048, 4096, 5632, 8192, 28672, 32000, 128256};
constexpr int64_t kRowBytes[] = {128, 256, 384, 640, 1152, 2048, 4096, 4224, 8192, 16384, 28672, 65536, 65664, 131072, 1 << 20};

std::string Name(const Gpu& gpu, int64_t m, int64_t n, int64_t row_bytes) {
  return std::string(gpu.name) + ", m " + std::to_string(m) + ", n " + std::to_string(n) + ", rows of " + std::to_string(row_bytes);
}

TEST(CudaLinearHeuristics, TilesFitEveryGpu) {
  for (const GemmTile& tile : kGemmTiles) {
    EXPECT_LE(tile.SharedBytes(), 101376);
    EXPECT_LE(tile.Threads(), 1024);
    EXPECT_GE(tile.stages, 3);
    EXPECT_EQ(tile.features % (16 * tile.feature_warps), 0);
    EXPECT_EQ(tile.tokens % (16 * tile.token_warps), 0);
  }
  for (const int32_t element : {2, 4}) {
    for (const int32_t tokens : {1, 2, 4, 8}) EXPECT_LE(ExactFewSharedBytes(element, tokens), 101376);
    for (const int32_t side : {64, 128}) EXPECT_LE(ExactTileSharedBytes(element, side), 101376);
  }
}

TEST(CudaLinearHeuristics, TheOrderOfBlocksVisitsEachTileOnce) {
  for (const auto& [features, tokens] : {std::pair<int64_t, int64_t>{1, 1}, {1, 9}, {9, 1}, {7, 8}, {5, 17}, {40, 31}}) {
    const TileOrder order = {features, tokens};
    std::vector<int> visits(static_cast<size_t>(order.Count()));
    for (int64_t i = 0; i < order.Count(); ++i) {
      const TileOrder::Tile tile = order.At(i);
      ASSERT_TRUE(tile.feature >= 0 && tile.feature < features && tile.token >= 0 && tile.token < tokens);
      ++visits[static_cast<size_t>(tile.feature * tokens + tile.token)];
    }
    EXPECT_EQ(std::count(visits.begin(), visits.end(), 1), order.Count());
  }
}

// The blocks that run at one time read few rows: of 128 of them at most 8 + 16 tiles of both sides.
TEST(CudaLinearHeuristics, NeighbouringBlocksShareRows) {
  const TileOrder order = {64, 64};
  for (int64_t first = 0; first + 128 <= order.Count(); first += 128) {
    std::vector<int64_t> features, tokens;
    for (int64_t i = first; i < first + 128; ++i) {
      features.push_back(order.At(i).feature);
      tokens.push_back(order.At(i).token);
    }
    for (auto* list : {&features, &tokens}) {
      std::sort(list->begin(), list->end());
      list->erase(std::unique(list->begin(), list->end()), list->end());
    }
    EXPECT_LE(features.size() + tokens.size(), 24u);
  }
}

TEST(CudaLinearHeuristics, TilesCoverEveryShape) {
  for (const Gpu& gpu : kGpus) {
    for (const int64_t m : kTokens) {
      for (const int64_t n : kFeatures) {
        for (const int64_t row_bytes : kRowBytes) {
          const int32_t index = ChooseGemmTile(m, n, row_bytes, gpu.limits);
          ASSERT_TRUE(index >= 0 && index < kGemmTileCount);
          const GemmTile& tile = kGemmTiles[index];
          const TileOrder order = OrderOf(tile, m, n);
          ASSERT_GE(order.feature_tiles * tile.features, n);
          ASSERT_LT((order.feature_tiles - 1) * tile.features, n);
          ASSERT_GE(order.token_tiles * tile.tokens, m);
          ASSERT_LT((order.token_tiles - 1) * tile.tokens, m);
          ASSERT_LE(order.Count(), INT32_MAX);
          ASSERT_LE(tile.SharedBytes(), gpu.limits.shared_bytes);
          // No other tile is expected to be faster, whatever the order in which they are tried.
          const double cycles = GemmCycles(tile, m, n, row_bytes, gpu.limits);
          for (const GemmTile& other : kGemmTiles) {
            ASSERT_LE(cycles, GemmCycles(other, m, n, row_bytes, gpu.limits)) << Name(gpu, m, n, row_bytes);
          }
        }
      }
    }
  }
}

TEST(CudaLinearHeuristics, LargeProductsTakeLargeTilesAndSmallOnesSmall) {
  for (const Gpu& gpu : kGpus) {
    const GemmTile& large = kGemmTiles[ChooseGemmTile(8192, 8192, 16384, gpu.limits)];
    EXPECT_EQ(large.features * large.tokens, 128 * 128) << gpu.name;
    const GemmTile& small = kGemmTiles[ChooseGemmTile(17, 2048, 8192, gpu.limits)];
    if (gpu.limits.multiprocessors > 64) {
      EXPECT_LE(small.features * small.tokens, 32 * 64) << gpu.name;
    }
  }
}

TEST(CudaLinearHeuristics, GemvCoversEachFeatureAndEachByteOfARowOnce) {
  int64_t taken = 0;
  for (const Gpu& gpu : kGpus) {
    for (const int64_t m : kTokens) {
      for (const int64_t n : kFeatures) {
        for (const int64_t row_bytes : kRowBytes) {
          for (const Products products : {Products::kBf16, Products::kF16, Products::kS8}) {
            const bool exact = products == Products::kS8;
            const GemvPlan plan = PlanGemv(m, n, row_bytes, products, gpu.limits);
            const std::string what = Name(gpu, m, n, row_bytes) + ", products " + std::to_string(static_cast<int>(products));
            if (m > kGemvTokens || (exact && row_bytes > kMostS8Sums)) {
              ASSERT_FALSE(plan.taken) << what;
            }
            if (!plan.taken) continue;
            ++taken;
            ASSERT_GE(plan.blocks * plan.groups * 16, n) << what;
            ASSERT_LT((plan.blocks - 1) * plan.groups * 16, n) << what;
            ASSERT_TRUE(plan.groups >= 1 && plan.split >= 1 && plan.groups * plan.split <= kGemvWarps) << what;
            ASSERT_TRUE(exact || plan.split == 1) << what;
            ASSERT_TRUE(plan.stages == 4 || plan.stages == 8 || plan.stages == 16) << what;
            ASSERT_LE(plan.shared_bytes, gpu.limits.shared_bytes) << what;
            ASSERT_EQ(plan.scales_at, m * (row_bytes + kGemvRowPadding)) << what;
            ASSERT_GE(plan.x_bytes, plan.scales_at + (products == Products::kF16 ? kGemvScaleBytes : 0)) << what;
            // All rows are filled at once, each by threads of its own.
            ASSERT_EQ(kGemvThreads % plan.row_threads, 0) << what;
            ASSERT_GE(kGemvThreads / plan.row_threads, m) << what;
            ASSERT_LT(kGemvThreads / plan.row_threads, 2 * m) << what;
            ASSERT_LE(kGemvThreads / 32 * 32 / std::min(plan.row_threads, 32), kGemvTokens) << what;
            ASSERT_EQ(plan.x_bytes % 128, 0) << what;
            ASSERT_EQ(plan.shared_bytes, plan.x_bytes + plan.groups * plan.split * plan.stages * kGemvStageBytes) << what;
            ASSERT_LE(plan.blocks, INT32_MAX);
          }
        }
      }
    }
  }
  EXPECT_GT(taken, 1000);
}

// What a decode step of a model meets must be under way in one go, and enough of it to cover the memory's latency.
TEST(CudaLinearHeuristics, GemvKeepsAnH200Busy) {
  const LinearLimits limits = {132, 232448};
  for (const int64_t n : {2048, 4096, 5632, 8192, 14336, 16384}) {
    for (const int64_t k : {2048, 4096, 8192}) {
      for (const bool exact : {false, true}) {
        const GemvPlan plan = PlanGemv(1, n, exact ? k : 2 * k, exact ? Products::kS8 : Products::kBf16, limits);
        ASSERT_TRUE(plan.taken);
        EXPECT_LE(plan.blocks, 132) << n << " x " << k;
        EXPECT_GE(plan.blocks, 88) << n << " x " << k;
        // All stages but the one that is being multiplied.
        const int64_t under_way = plan.blocks * plan.groups * plan.split * (plan.stages - 1) * kGemvStageBytes;
        EXPECT_GE(under_way, 4'000'000) << n << " x " << k << (exact ? " int8" : " bf16");
      }
    }
  }
}

TEST(CudaLinearHeuristics, ExactPlans) {
  for (const Gpu& gpu : kGpus) {
    for (const int64_t m : kTokens) {
      for (const int64_t n : kFeatures) {
        const ExactPlan plan = PlanExact(m, n, gpu.limits);
        if (m <= kExactFewTokens) {
          EXPECT_EQ(plan.side, 0);
          EXPECT_TRUE(plan.tokens == 1 || plan.tokens == 2 || plan.tokens == 4 || plan.tokens == 8);
          EXPECT_GE(2 * plan.tokens, std::min<int64_t>(m, 16));
        } else {
          EXPECT_EQ(plan.tokens, 0);
          EXPECT_TRUE(plan.side == 64 || plan.side == 128);
        }
      }
    }
    EXPECT_EQ(PlanExact(8192, 8192, gpu.limits).side, 128) << gpu.name;
  }
  EXPECT_EQ(PlanExact(64, 2048, {132, 232448}).side, 64);
}

}  // namespace
}  // namespace lanes::cuda
