// Grids and kernels of the CUDA ops that work on rows, sampling and packing: every element has a thread, whatever the shape.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "cuda/common/row_grid.h"
#include "cuda/gate/heuristics.h"
#include "cuda/norm/heuristics.h"
#include "cuda/sample/heuristics.h"
#include "cuda/weight/heuristics.h"

namespace lanes::cuda {
namespace {

TEST(CudaRowGrid, CoversRowsAndGroupsWithinTheLimits) {
  for (const int64_t rows : {int64_t{1}, int64_t{3}, int64_t{255}, int64_t{65536}, int64_t{1} << 40}) {
    for (const int64_t groups : {int64_t{1}, int64_t{2}, int64_t{3}, int64_t{64}, int64_t{257}, int64_t{4096}, int64_t{1} << 33}) {
      for (const int32_t threads : {64, 256}) {
        const RowGridSize size = PlanRowGrid(rows, groups, threads);
        EXPECT_EQ(size.block_x * size.block_y, static_cast<uint32_t>(threads));
        EXPECT_TRUE(size.block_x < 2 * groups);
        EXPECT_TRUE(size.grid_x == kMaxGridX || int64_t{size.grid_x} * size.block_y >= rows);
        EXPECT_TRUE(size.grid_y == kMaxGridY || int64_t{size.grid_y} * size.block_x >= groups);
        EXPECT_LE(size.grid_x, kMaxGridX);
        EXPECT_LE(size.grid_y, kMaxGridY);
        EXPECT_LT((int64_t{size.grid_x} - 1) * size.block_y, rows) << "blocks without rows";
      }
    }
  }
}

TEST(CudaRowGrid, FoursAreWholeAndAligned) {
  alignas(16) static const float floats[8] = {};
  EXPECT_TRUE(InFours(floats, 2, 4, 4));
  EXPECT_TRUE(InFours(nullptr, 2, 4, 4));
  EXPECT_FALSE(InFours(floats + 1, 1, 4, 4));
  EXPECT_FALSE(InFours(floats, 2, 4, 5));
  EXPECT_TRUE(InFours(floats, 1, 4, 5)) << "one row has no distance";
  EXPECT_FALSE(InFours(floats, 1, 3, 4));
  EXPECT_TRUE(InFours(floats + 1, 2, 4, 8, 1)) << "bytes in fours";
}

TEST(CudaRowGrid, PartsFollowEachOther) {
  for (const int64_t rows : {int64_t{1}, int64_t{10}, int64_t{1} << 33}) {
    int64_t next = 0;
    ForRowParts(rows, 4, [&](int64_t begin, int64_t count, uint32_t blocks) {
      EXPECT_EQ(begin, next);
      EXPECT_GE(int64_t{blocks} * 4, count);
      EXPECT_LT(int64_t{blocks} * 4, count + 4);
      EXPECT_LE(blocks, kMaxGridX);
      next += count;
    });
    EXPECT_EQ(next, rows);
  }
}

TEST(CudaNormPlan, HoldsARowWhereItFitsAndHasOneOrderOfSums) {
  for (int64_t cols = 1; cols < 70000; cols = cols < 40 ? cols + 1 : cols * 5 / 4) {
    const NormPlan fast = PlanNorm(cols, true), any = PlanNorm(cols, false);
    // Threads decide about the order of sums: aligned or not, they are the same.
    EXPECT_EQ(fast.threads, any.threads) << cols;
    EXPECT_EQ(fast.threads * fast.rows_per_block % 128, 0) << cols;
    EXPECT_FALSE(any.held);
    const int64_t held = int64_t{4} * fast.threads * fast.groups;
    EXPECT_EQ(fast.held, cols <= 8192) << cols;
    if (!fast.held) continue;
    EXPECT_GE(held, cols);
    EXPECT_TRUE(held < 2 * cols || held <= 512 * 4) << cols << ": most threads would have nothing";
    EXPECT_LE(fast.groups, fast.threads == 32 ? 8 : 16) << "registers";
  }
  EXPECT_EQ(PlanNorm(1024, true).threads, 32);
  EXPECT_EQ(PlanNorm(1028, true).threads, 128);
  EXPECT_EQ(PlanNorm(16384, true).threads, 128);
  EXPECT_EQ(PlanNorm(16388, true).threads, 256);
}

TEST(CudaGatePlan, HoldsWhatItSays) {
  for (int64_t cols = 1; cols < 70000; cols = cols < 40 ? cols + 1 : cols * 5 / 4) {
    const GatePlan plan = PlanQuantizedGate(cols, true);
    EXPECT_EQ(plan.held, cols <= 16384) << cols;
    EXPECT_TRUE(!plan.held || int64_t{4} * plan.threads * plan.groups >= cols) << cols;
    EXPECT_FALSE(PlanQuantizedGate(cols, false).held);
  }
}

TEST(CudaSamplePlan, DividesEveryVocabulary) {
  for (const int64_t vocabulary : {1, 2, 511, 512, 513, 4096, 4097, 32000, 128256, 262144, 1 << 24, INT32_MAX}) {
    for (const int64_t rows : {1, 7, 256, 100000}) {
      const SamplePlan plan = PlanSample(rows, vocabulary);
      EXPECT_GE(plan.segments * kSegment, vocabulary);
      EXPECT_LT((plan.segments - 1) * kSegment, vocabulary);
      EXPECT_GE(plan.stretches * kStretch, vocabulary);
      EXPECT_LT((plan.stretches - 1) * kStretch, vocabulary);
      // A segment has a warp for each of its stretches.
      EXPECT_EQ(plan.threads % 32, 0);
      EXPECT_LE(plan.threads, 256);
      EXPECT_GE(plan.threads / 32 * kStretch, std::min<int64_t>(vocabulary, kSegment));
      // Weights of 1 for all tokens: less than 2^63.
      EXPECT_LE(static_cast<double>(vocabulary) * static_cast<double>(INT64_C(1) << plan.mass_bits), 0x1p62);
      EXPECT_GT(static_cast<double>(vocabulary) * static_cast<double>(INT64_C(1) << plan.mass_bits), 0x1p60);
      EXPECT_GE(plan.rows, 1);
      EXPECT_LE(plan.rows, rows);
      EXPECT_LE(plan.rows * plan.segments, INT64_C(0x7FFFFFFF));
      EXPECT_TRUE(plan.rows == 1 || plan.rows * plan.row_bytes <= INT64_C(128) << 20) << "scratch memory";
    }
  }
}

WeightPackArgs PackOf(int32_t src, int32_t dst, bool transposed, int64_t rows, int64_t cols) {
  WeightPackArgs args = {};
  const int32_t bytes = dst == LANES_F32 ? 4 : dst == LANES_S8 ? 1 : 2;
  args.weight.rows = rows;
  args.weight.cols = cols;
  args.weight.dtype = dst;
  args.weight.padded_cols = (cols * bytes + 127) / 128 * 128 / bytes;
  args.src_dtype = src;
  args.transposed = transposed;
  args.row_count = rows;
  args.col_count = cols;
  return args;
}

TEST(CudaWeightPlan, CopiesOnlyWhatHasTheWeightsOrder) {
  EXPECT_TRUE(CopiesAsIs(PackOf(LANES_BF16, LANES_BF16, false, 100, 64)));
  EXPECT_TRUE(CopiesAsIs(PackOf(LANES_S8, LANES_S8, false, 100, 256)));
  EXPECT_TRUE(CopiesAsIs(PackOf(LANES_F32, LANES_F32, false, 1, 7))) << "one row has no gap";
  EXPECT_TRUE(CopiesAsIs(PackOf(LANES_F32, LANES_F32, true, 1, 7)));
  EXPECT_FALSE(CopiesAsIs(PackOf(LANES_BF16, LANES_BF16, false, 100, 65))) << "rows are padded";
  EXPECT_FALSE(CopiesAsIs(PackOf(LANES_BF16, LANES_F16, false, 100, 64)));
  EXPECT_FALSE(CopiesAsIs(PackOf(LANES_BF16, LANES_BF16, true, 100, 64)));
  EXPECT_FALSE(CopiesAsIs(PackOf(LANES_F32, LANES_F32, true, 7, 1))) << "a column has gaps";
  WeightPackArgs part = PackOf(LANES_BF16, LANES_BF16, false, 100, 64);
  part.row_begin = 10;
  part.row_count = 20;
  EXPECT_TRUE(CopiesAsIs(part));
  part.col_count = 32;
  EXPECT_FALSE(CopiesAsIs(part));
  part.row_count = 1;
  EXPECT_TRUE(CopiesAsIs(part));
}

TEST(CudaWeightPlan, PiecesFitTheScratchMemory) {
  for (const int64_t rows : {1, 100, 128256, 1 << 22}) {
    for (const int64_t cols : {1, 64, 8192, 1 << 23}) {
      for (const bool transposed : {false, true}) {
        const int64_t row_bytes = (transposed ? rows : cols) * 4, of = transposed ? cols : rows;
        const int64_t piece = PieceRows(PackOf(LANES_F32, LANES_BF16, transposed, rows, cols), 4);
        EXPECT_GE(piece, 1);
        EXPECT_LE(piece, of);
        EXPECT_TRUE(piece == 1 || piece * row_bytes <= kPackBytes);
      }
    }
  }
  // Rows of the weight that are looked through for NaN stay whole.
  EXPECT_EQ(PieceRows(PackOf(LANES_F32, LANES_S8, true, 1 << 14, 1 << 14), 4), 1 << 14);
  EXPECT_LT(PieceRows(PackOf(LANES_S8, LANES_S8, true, 1 << 14, 1 << 14), 1), 1 << 14);
}

}  // namespace
}  // namespace lanes::cuda
