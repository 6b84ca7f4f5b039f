// What the wgmma kernels of linear are told to do, for any shape: host decisions, on any machine.
#include "cuda/linear/heuristics_sm90.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace lanes::cuda {
namespace {

constexpr int32_t kMultiprocessors = 132;

std::vector<Sm90Shape> Shapes() {
  std::vector<Sm90Shape> shapes;
  for (const int64_t m : {1, 7, 17, 33, 64, 100, 128, 200, 512, 1024, 2048, 5000, 16384}) {
    for (const int64_t n : {1, 64, 129, 576, 2048, 4096, 8192, 14336, 128256}) {
      for (const int64_t row_bytes : {128, 1152, 4096, 16384, 57344}) shapes.push_back({m, n, row_bytes});
    }
  }
  return shapes;
}

std::string Describe(const Sm90Shape& s) {
  return "m " + std::to_string(s.m) + ", n " + std::to_string(s.n) + ", row bytes " + std::to_string(s.row_bytes);
}

TEST(LinearSm90, EveryTileFitsABlock) {
  for (const Sm90Tile tile : kSm90Tiles) {
    SCOPED_TRACE(std::to_string(Sm90Features(tile)) + " features, " + std::to_string(tile.tokens) + " tokens");
    EXPECT_LE(Sm90SharedBytes(tile), 227 * 1024);
    EXPECT_GE(Sm90Stages(tile), 3) << "less does not hide a copy behind a product";
    // Swizzled tiles begin at multiples of 1,024 bytes, also those of the second half of the tokens.
    EXPECT_EQ(Sm90StageBytes(tile) % 1024, 0);
    EXPECT_EQ(Sm90Features(tile) * kSm90LineBytes % 1024, 0);
    EXPECT_EQ(tile.tokens / tile.consumers * kSm90LineBytes % 1024, 0);
    EXPECT_LE(tile.tokens, 256);
    EXPECT_EQ(tile.tokens % Sm90Chunk(tile), 0);
    // Barriers behind the staging are 8-byte aligned, staging rows 16.
    EXPECT_EQ(Sm90StagingBytes(tile) % 16, 0);
    EXPECT_EQ(kSm90StagingRow % 4, 0);
    // Registers of sums, of what a thread may have.
    EXPECT_LE(tile.tokens / 2, tile.consumers == 2 ? 232 - 64 : 255 - 64);
  }
}

TEST(LinearSm90, OrderGoesThroughEveryTileOnce) {
  for (const int32_t features : {1, 2, 5, 8, 32}) {
    for (const int32_t tokens : {1, 3, 8, 31}) {
      for (const int32_t band : {1, 2, 3, 8, 32}) {
        if (band > features) continue;
        const Sm90Order order = {features, tokens, band};
        std::vector<int> seen(static_cast<size_t>(features * tokens));
        for (int32_t i = 0; i < features * tokens; ++i) {
          const Sm90Position p = Sm90PositionOf(order, i);
          ASSERT_TRUE(p.feature_tile >= 0 && p.feature_tile < features && p.token_tile >= 0 && p.token_tile < tokens);
          ++seen[static_cast<size_t>(p.feature_tile * tokens + p.token_tile)];
        }
        for (const int count : seen) ASSERT_EQ(count, 1) << features << " by " << tokens << " in bands of " << band;
      }
    }
  }
}

TEST(LinearSm90, PlansCoverTheProductAndFitTheDevice) {
  for (const int32_t multiprocessors : {1, 2, 7, 114, 132}) {
    for (const Sm90Shape& shape : Shapes()) {
      SCOPED_TRACE(Describe(shape) + " on " + std::to_string(multiprocessors));
      Sm90Plan plan = {};
      ASSERT_TRUE(ChooseSm90(shape, multiprocessors, &plan));
      const Sm90Tile tile = kSm90Tiles[plan.tile];
      const int64_t features = static_cast<int64_t>(Sm90Features(tile)) * plan.cluster;
      ASSERT_GE(plan.order.feature_tiles * features, shape.n);
      ASSERT_LT((plan.order.feature_tiles - 1) * features, shape.n) << "a tile with nothing to do";
      ASSERT_GE(static_cast<int64_t>(plan.order.token_tiles) * tile.tokens, shape.m);
      ASSERT_LT(static_cast<int64_t>(plan.order.token_tiles - 1) * tile.tokens, shape.m) << "a tile with nothing to do";
      ASSERT_EQ(plan.tiles, plan.order.feature_tiles * plan.order.token_tiles);
      ASSERT_TRUE(plan.clusters >= 1 && plan.clusters <= plan.tiles && plan.clusters * plan.cluster <= multiprocessors);
      ASSERT_TRUE(plan.order.band >= 1 && plan.order.band <= plan.order.feature_tiles);
      ASSERT_TRUE(plan.cluster == 1 || (plan.cluster == 2 && tile.consumers == 2));
      ASSERT_EQ(plan.lines, (shape.row_bytes + 127) / 128);
    }
  }
}

TEST(LinearSm90, ChoiceIsNearTheBestOfTheModel) {
  for (const Sm90Shape& shape : Shapes()) {
    Sm90Plan plan = {};
    ASSERT_TRUE(ChooseSm90(shape, kMultiprocessors, &plan));
    double best = INFINITY;
    for (const Sm90Tile tile : kSm90Tiles) {
      if (Sm90TooWide(shape, tile)) continue;
      best = std::min(best, Sm90Cycles(shape, tile, 1, kMultiprocessors));
      if (Sm90Clusters(shape, tile, kMultiprocessors)) best = std::min(best, Sm90Cycles(shape, tile, 2, kMultiprocessors));
    }
    EXPECT_LE(0.97 * Sm90Cycles(shape, kSm90Tiles[plan.tile], plan.cluster, kMultiprocessors), best) << Describe(shape);
  }
}

struct Expected {
  Sm90Shape shape;
  int32_t features, tokens, cluster;
};

TEST(LinearSm90, LargeProductsTakeLargeTilesInPairs) {
  for (const auto& [shape, features, tokens, cluster] : {Expected{{8192, 8192, 16384}, 128, 256, 2}, Expected{{4096, 4096, 8192}, 128, 256, 2},
                                                         Expected{{8192, 8192, 8192}, 128, 256, 2}}) {
    Sm90Plan plan = {};
    ASSERT_TRUE(ChooseSm90(shape, kMultiprocessors, &plan));
    EXPECT_EQ(Sm90Features(kSm90Tiles[plan.tile]), features) << Describe(shape);
    EXPECT_EQ(kSm90Tiles[plan.tile].tokens, tokens) << Describe(shape);
    EXPECT_EQ(plan.cluster, cluster) << Describe(shape);
  }
}

TEST(LinearSm90, FewTokensTakeNarrowTilesOnManyBlocks) {
  for (const int64_t m : {17, 32, 50, 64}) {
    for (const int64_t n : {2048, 8192, 128256}) {
      for (const int64_t row_bytes : {2048, 4096, 16384}) {
        const Sm90Shape shape = {m, n, row_bytes};
        Sm90Plan plan = {};
        ASSERT_TRUE(ChooseSm90(shape, kMultiprocessors, &plan));
        EXPECT_LE(kSm90Tiles[plan.tile].tokens, 64) << Describe(shape);
        EXPECT_GE(plan.clusters * plan.cluster, n == 2048 ? 32 : 64) << Describe(shape);
      }
    }
  }
}

TEST(LinearSm90, ShapesBeyond32BitCoordinatesAreLeft) {
  Sm90Plan plan = {};
  EXPECT_FALSE(ChooseSm90({INT64_C(1) << 31, 64, 128}, kMultiprocessors, &plan));
  EXPECT_FALSE(ChooseSm90({64, INT64_C(1) << 31, 128}, kMultiprocessors, &plan));
  EXPECT_FALSE(ChooseSm90({1 << 29, 1 << 29, 128}, kMultiprocessors, &plan));
}

}  // namespace
}  // namespace lanes::cuda
