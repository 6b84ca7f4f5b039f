// How CUDA attention is divided into blocks, and what they take of shared memory.
#include "cuda/attention/heuristics.h"

#include <map>
#include <set>

#include "support/lanes_test.h"

namespace lanes_test {
namespace {

using namespace lanes::cuda;

struct Batch {
  std::vector<int64_t> q_begin = {0}, kv_len, window, sinks;
  int32_t causal = 1;

  void Add(int64_t n, int64_t kv, int64_t w = 0, int64_t sink = 0) {
    q_begin.push_back(q_begin.back() + n);
    kv_len.push_back(kv);
    window.push_back(w);
    sinks.push_back(sink);
  }
  lanes_attention_params Params(const AttentionShape& shape) const {
    lanes_attention_params params = {};
    params.heads = shape.kv_heads * shape.group;
    params.sequences = static_cast<int32_t>(kv_len.size());
    params.causal = causal;
    params.tokens = q_begin.back();
    params.q_begin = q_begin.data();
    params.kv_len = kv_len.data();
    params.window = window.data();
    params.sinks = sinks.data();
    params.compute = shape.compute;
    return params;
  }
};

AttentionShape Shape(int32_t row, int32_t compute = LANES_COMPUTE_BF16) {
  AttentionShape shape = {};
  shape.multiprocessors = 132;
  shape.shared_bytes = 227 * 1024;
  shape.kv_heads = 8;
  shape.group = 4;
  shape.row = row;
  shape.element_bytes = compute == LANES_COMPUTE_INT8 ? 1 : 2;
  shape.compute = compute;
  return shape;
}

// Shared memory of a block on each architecture: compute capability 8.0, 8.6 and 8.9 and 12.0, 9.0 and 10.0.
constexpr int32_t kSharedLimits[] = {163 * 1024, 99 * 1024, 227 * 1024};
constexpr int32_t kRowsOfPools[] = {16, 32, 48, 64, 80, 96, 112, 128, 192, 240, 256, 320, 512};

// Every row once, every split that one of its block's rows sees once, nothing else.
void CheckList(const BlockList& list, const lanes_attention_params& p, int32_t group, std::map<std::pair<int32_t, int64_t>, int>* rows) {
  ASSERT_EQ(static_cast<int64_t>(list.blocks.size()), RoundUpCount(static_cast<int64_t>(list.blocks.size())));
  std::map<int32_t, const RowBlock*> by_slot;
  for (const RowBlock& block : list.blocks) {
    if (block.rows == 0) continue;
    ASSERT_LE(block.rows, list.rows);
    ASSERT_EQ(block.first_token, p.q_begin[block.sequence]);
    ASSERT_EQ(block.base, p.kv_len[block.sequence] - (p.q_begin[block.sequence + 1] - p.q_begin[block.sequence]));
    if (block.partial >= 0) {
      ASSERT_LT(block.partial, list.slots);
      ASSERT_LE(block.rows, list.slot_rows);
      ASSERT_EQ(block.split_end, block.split_begin + 1);
      ASSERT_TRUE(by_slot.emplace(block.partial, &block).second);
      continue;
    }
    for (int32_t r = 0; r < block.rows; ++r) ++(*rows)[{block.sequence, block.row_begin + r}];
    const BlockView view = ViewOf(block, p.causal != 0, group);
    for (int64_t split = 0; split * kSplitKeys < block.kv_len; ++split) {
      if (view.Touches(split * kSplitKeys, kSplitKeys)) {
        ASSERT_TRUE(split >= block.split_begin && split < block.split_end);
      }
    }
  }
  size_t merged = 0;
  for (const MergeBlock& merge : list.merges) {
    if (merge.slots == 0) continue;
    ASSERT_GE(merge.slots, 2);
    for (int32_t r = 0; r < merge.block.rows; ++r) ++(*rows)[{merge.block.sequence, merge.block.row_begin + r}];
    const BlockView view = ViewOf(merge.block, p.causal != 0, group);
    int32_t slot = merge.slot_begin;
    for (int32_t split = 0; split * int64_t{kSplitKeys} < merge.block.kv_len; ++split) {
      if (!view.Touches(split * int64_t{kSplitKeys}, kSplitKeys)) continue;
      ASSERT_EQ(by_slot.count(slot), 1u);
      const RowBlock& part = *by_slot[slot++];
      ASSERT_EQ(part.split_begin, split);
      ASSERT_EQ(part.sequence, merge.block.sequence);
      ASSERT_EQ(part.row_begin, merge.block.row_begin);
      ASSERT_EQ(part.rows, merge.block.rows);
      ++merged;
    }
    ASSERT_EQ(slot, merge.slot_begin + merge.slots);
  }
  ASSERT_EQ(merged, by_slot.size());
}

void CheckPlan(const AttentionShape& shape, const Batch& batch) {
  const lanes_attention_params p = batch.Params(shape);
  const AttentionBlocks plan = PlanBlocks(shape, p);
  std::map<std::pair<int32_t, int64_t>, int> rows;
  CheckList(plan.many, p, shape.group, &rows);
  CheckList(plan.few, p, shape.group, &rows);
  int64_t expected = 0;
  for (int32_t s = 0; s < p.sequences; ++s) {
    for (int64_t r = 0; r < (p.q_begin[s + 1] - p.q_begin[s]) * shape.group; ++r, ++expected) {
      const int count = rows[{s, r}];
      ASSERT_EQ(count, 1) << "sequence " << s << " row " << r;
    }
  }
  ASSERT_EQ(static_cast<int64_t>(rows.size()), expected);
}

TEST(CudaAttentionHeuristicsTest, EveryRowAndSplitIsTakenOnce) {
  Random random(1);
  for (int i = 0; i < 300; ++i) {
    AttentionShape shape = Shape(kRowsOfPools[random.Integer(0, std::size(kRowsOfPools) - 1)]);
    shape.compute = static_cast<int32_t>(random.Integer(0, 2));
    shape.element_bytes = shape.compute == LANES_COMPUTE_INT8 ? 1 : shape.compute == LANES_COMPUTE_BF16 || i % 2 ? 2 : 4;
    shape.kv_heads = static_cast<int32_t>(random.Integer(1, 9));
    shape.group = static_cast<int32_t>(random.Integer(1, 20));
    shape.multiprocessors = i % 5 == 0 ? 1 : static_cast<int32_t>(random.Integer(1, 200));
    shape.shared_bytes = kSharedLimits[i % 3];
    shape.q_sink = i % 4 == 0;
    shape.sm90_rows = shape.compute == LANES_COMPUTE_BF16 && i % 3 == 0 ? 128 : 0;
    Batch batch;
    batch.causal = i % 7 != 0;
    for (int64_t s = random.Integer(1, 6); s > 0; --s) {
      const int64_t n = random.Integer(0, 3) == 0 ? random.Integer(0, 200) : random.Integer(0, 4);
      const int64_t kv = n + (random.Integer(0, 1) ? random.Integer(0, 5000) : 0);
      batch.Add(n, kv, batch.causal ? random.Integer(0, 1) * random.Integer(0, 3000) : 0, random.Integer(0, 2) * random.Integer(0, 100));
    }
    ASSERT_NO_FATAL_FAILURE(CheckPlan(shape, batch)) << "case " << i;
  }
}

TEST(CudaAttentionHeuristicsTest, SharedMemoryFitsEveryDevice) {
  for (const int32_t limit : kSharedLimits) {
    for (const int32_t row : kRowsOfPools) {
      for (const bool q_sink : {false, true}) {
        for (const int32_t compute : {LANES_COMPUTE_BF16, LANES_COMPUTE_INT8}) {
          AttentionShape shape = Shape(row, compute);
          shape.shared_bytes = limit;
          shape.q_sink = q_sink;
          for (const int64_t blocks : {1, 132, 133, 5000}) {
            const SharedPlan decode = DecodeShared(shape, blocks);
            EXPECT_GE(decode.stages, kMinRing) << row << " in " << limit;
            EXPECT_LE(decode.stages, kMaxRing);
            EXPECT_LE(decode.bytes, limit);
            EXPECT_TRUE(decode.q_rows == 16 || decode.q_rows == 8);
          }
          const SharedPlan many = ManyShared(shape);
          EXPECT_LE(many.bytes, limit);
          EXPECT_EQ(many.stages > 0, many.q_rows > 0);
          // Without queries of sinks every device has room for the kernels that there are.
          const int32_t widest = compute == LANES_COMPUTE_BF16 ? 256 : 128;
          if (row > widest) {
            EXPECT_EQ(many.stages, 0);
          } else if (!q_sink || limit > 128 * 1024 || PrefillDim(row, compute == LANES_COMPUTE_INT8) > 0) {
            EXPECT_GE(many.stages, kMinRing) << row << " in " << limit;
            EXPECT_TRUE(many.q_rows == 64 || many.q_rows == 32);
          }
        }
        for (const int32_t bytes : {2, 4}) {
          AttentionShape shape = Shape(row, LANES_COMPUTE_EXACT);
          shape.element_bytes = bytes;
          shape.shared_bytes = limit;
          shape.q_sink = q_sink;
          EXPECT_LE(ExactBytes(4, row, bytes, q_sink), limit);
          EXPECT_LE(ExactBytes(std::max(4, ExactManyRows(shape)), row, bytes, q_sink), limit);
          EXPECT_GE(ExactValueKeys(row, bytes), 8);
          EXPECT_LE(ExactValueKeys(row, bytes) * row * bytes, ExactBufferBytes(bytes));
        }
      }
    }
  }
}

// Two blocks of the usual heads share a multiprocessor of sm_90, so that one copies while the other computes.
TEST(CudaAttentionHeuristicsTest, TwoBlocksShareAMultiprocessor) {
  for (const int32_t row : {64, 128}) {
    for (const int32_t compute : {LANES_COMPUTE_BF16, LANES_COMPUTE_INT8}) {
      const AttentionShape shape = Shape(row, compute);
      EXPECT_LE(DecodeShared(shape, 1000).bytes, HalfShared(shape.shared_bytes));
      EXPECT_LE(PrefillShared(shape).bytes, HalfShared(shape.shared_bytes));
    }
  }
  // Alone, a block of head dimension 128 keeps 87 KB under way, what a multiprocessor takes in 800 ns.
  const SharedPlan alone = DecodeShared(Shape(128), 8);
  EXPECT_GE((alone.stages - 1) * StageBytes(128, false), 87 * 1024);
}

// From one decode step to the next only what is staged changes: lengths of lists stay, but for a few steps.
TEST(CudaAttentionHeuristicsTest, DecodeStepsRepeat) {
  const AttentionShape shape = Shape(128);
  std::set<std::vector<int64_t>> kinds;
  const int64_t steps = 1000;
  for (int64_t step = 0; step < steps; ++step) {
    Batch batch;
    for (int64_t s = 0; s < 32; ++s) batch.Add(1, 1 + 97 * s + step);
    const AttentionBlocks plan = PlanBlocks(shape, batch.Params(shape));
    EXPECT_TRUE(plan.many.blocks.empty());
    kinds.insert({static_cast<int64_t>(plan.few.blocks.size()), static_cast<int64_t>(plan.few.merges.size()), plan.few.slots,
                  plan.few.slot_rows, plan.few.rows, DecodeShared(shape, static_cast<int64_t>(plan.few.blocks.size()) * 8).bytes});
  }
  EXPECT_LE(kinds.size(), 24u);
  // One sequence within a split: one block for each kv head, and no merge.
  Batch one;
  one.Add(1, 1024);
  const AttentionBlocks plan = PlanBlocks(shape, one.Params(shape));
  EXPECT_EQ(plan.few.blocks.size(), 1u);
  EXPECT_TRUE(plan.few.merges.empty());
  EXPECT_EQ(plan.few.slots, 0);
}

TEST(CudaAttentionHeuristicsTest, LongestBlocksComeFirst) {
  const AttentionShape shape = Shape(64);
  Batch batch;
  batch.Add(3000, 3000);
  batch.Add(500, 9000);
  const AttentionBlocks plan = PlanBlocks(shape, batch.Params(shape));
  int64_t before = INT64_MAX;
  for (const RowBlock& block : plan.many.blocks) {
    if (block.rows == 0) continue;
    EXPECT_LT(block.partial, 0) << "enough blocks to fill the machine";
    const int64_t keys = ViewOf(block, true, shape.group).last.end;
    EXPECT_LE(keys, before);
    before = keys;
  }
}

// A long context is divided when its rows are few, and partial results stay within their bound.
TEST(CudaAttentionHeuristicsTest, FewRowsOfLongContextsAreDivided) {
  const AttentionShape shape = Shape(128);
  Batch batch;
  batch.Add(1, 131072);
  const AttentionBlocks plan = PlanBlocks(shape, batch.Params(shape));
  EXPECT_EQ(plan.few.slots, 128);
  EXPECT_EQ(plan.few.merges.size(), 1u);
  Batch huge;
  huge.Add(16, int64_t{1} << 26);
  const AttentionBlocks whole = PlanBlocks(shape, huge.Params(shape));
  EXPECT_LE(int64_t{whole.many.slots} * whole.many.slot_rows * (shape.row + 2) * shape.kv_heads, kMaxPartialFloats * 5 / 4);
}

}  // namespace
}  // namespace lanes_test
