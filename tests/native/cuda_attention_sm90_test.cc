// What the wgmma attention kernel is told to do: host decisions, on any machine.
#include "cuda/attention/heuristics_sm90.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace lanes::cuda {
namespace {

RowBlock BlockOf(int64_t queries, int64_t kv, int64_t window, int64_t sinks, int64_t row_begin, int32_t rows) {
  RowBlock block = {};
  block.kv_len = kv;
  block.base = kv - queries;
  block.window = window;
  block.sinks = sinks;
  block.row_begin = row_begin;
  block.rows = rows;
  block.split_end = static_cast<int32_t>((kv + kSplitKeys - 1) / kSplitKeys);
  block.partial = -1;
  return block;
}

template <int kDim>
void ExpectFits() {
  using Shape = AttentionShapeSm90<kDim>;
  EXPECT_LE(Shape::kSharedBytes, 227u * 1024);
  // Swizzled tiles begin at multiples of 1,024 bytes, those of the second page of keys, and of the second 64 dimensions, too.
  for (const uint32_t offset : {Shape::kQueryBytes, Shape::kKeys, Shape::kValues, Shape::kTileBytes}) EXPECT_EQ(offset % 1024, 0u);
  for (const uint32_t offset : {Shape::kTotals, Shape::kTotalBytes, Shape::kSums, Shape::kSumBytes, Shape::kBarriers}) {
    EXPECT_EQ(offset % 16, 0u);
  }
  // A multiprocessor's registers, and what setmaxnreg takes.
  EXPECT_LE(128 * (Shape::kProducerRegisters + Shape::kConsumers * Shape::kConsumerRegisters), 65536);
  EXPECT_EQ(Shape::kProducerRegisters % 8 + Shape::kConsumerRegisters % 8, 0);
  // Before the warpgroups say what they need, all have the same.
  EXPECT_GE(65536 / Shape::kThreads / 8 * 8, Shape::kProducerRegisters);
}

TEST(AttentionSm90, ShapesFitABlock) {
  ExpectFits<64>();
  ExpectFits<128>();
}

// Every tile with a key that some row sees is visited, once, in order; others need not be. Whole tiles are whole.
TEST(AttentionSm90, TilesAreThoseThatRowsSee) {
  const std::pair<int64_t, int64_t> lengths[] = {{1, 1}, {1, 129}, {128, 128}, {300, 300}, {77, 2100}, {1000, 3100}};
  const std::pair<int64_t, int64_t> windows[] = {{0, 0}, {1, 0}, {100, 0}, {128, 128}, {700, 5}, {700, 300}, {1500, 1200}};
  for (const bool causal : {true, false}) {
    for (const auto& [queries, kv] : lengths) {
      for (const auto& [window, sinks] : windows) {
        if (!causal && window > 0) continue;
        for (const int32_t group : {1, 3, 8}) {
          for (int64_t row = 0; row < queries * group; row += 192) {
            const auto rows = static_cast<int32_t>(std::min<int64_t>(192, queries * group - row));
            const RowBlock whole = BlockOf(queries, kv, window, sinks, row, rows);
            std::set<int32_t> visited;
            for (int32_t split = 0; split < whole.split_end; ++split) {
              RowBlock block = whole;
              block.split_begin = split;
              block.split_end = split + 1;
              const AttentionTilesSm90 tiles = AttentionTilesOf(block, ViewOf(block, causal, group));
              int32_t tile = tiles.First();
              for (int32_t left = tiles.Count(); left > 0; --left, tile = tiles.After(tile)) {
                ASSERT_EQ(tile / (kSplitKeys / kTileKeys), split);
                ASSERT_TRUE(visited.empty() || tile > *visited.rbegin());
                visited.insert(tile);
              }
            }
            // All splits in one go are the same tiles.
            const AttentionTilesSm90 tiles = AttentionTilesOf(whole, ViewOf(whole, causal, group));
            std::set<int32_t> at_once;
            int32_t tile = tiles.First();
            for (int32_t left = tiles.Count(); left > 0; --left, tile = tiles.After(tile)) at_once.insert(tile);
            ASSERT_EQ(at_once, visited);
            for (int32_t t = 0; t * kTileKeys < kv; ++t) {
              bool any = false, all = true;
              for (int32_t r = 0; r < rows; ++r) {
                const Visible visible = VisibleTo(whole, causal, (row + r) / group);
                for (int64_t key = t * kTileKeys; key < (t + 1) * kTileKeys; ++key) {
                  const bool sees = visible.Sees(key);
                  any = any || sees;
                  all = all && sees;
                }
              }
              ASSERT_TRUE(!any || visited.count(t) == 1) << "tile " << t;
              ASSERT_TRUE(!tiles.Whole(t) || all) << "tile " << t;
            }
          }
        }
      }
    }
  }
}

AttentionWorkSm90 WorkOf(const std::vector<RowBlock>& blocks, int32_t kv_heads) {
  return {blocks.data(), static_cast<int32_t>(blocks.size()), true, 1, kv_heads, 256, 50 << 20, 132};
}

std::vector<RowBlock> Prompt(int64_t tokens, int32_t rows) {
  std::vector<RowBlock> blocks;
  for (int64_t row = 0; row < tokens; row += rows) {
    blocks.push_back(BlockOf(tokens, tokens, 0, 0, row, static_cast<int32_t>(std::min<int64_t>(rows, tokens - row))));
  }
  return blocks;
}

int64_t Tiles(const RowBlock& block) { return AttentionTilesOf(block, ViewOf(block, true, 1)).Count(); }

TEST(AttentionSm90, ScheduleHasEachItemOnce) {
  for (const int64_t tokens : {1, 128, 1000, 16384}) {
    for (const int32_t kv_heads : {1, 3, 8, 32}) {
      std::vector<RowBlock> blocks = Prompt(tokens, 128);
      blocks.push_back({});  // of no rows, as lists that are rounded up have
      const AttentionScheduleSm90 schedule = PlanAttentionSm90(WorkOf(blocks, kv_heads));
      std::map<std::pair<int32_t, int32_t>, int> seen;
      for (const AttentionItemSm90& item : schedule.items) ++seen[{item.block, item.kv_head}];
      EXPECT_EQ(seen.size(), (blocks.size() - 1) * static_cast<size_t>(kv_heads));
      for (const auto& [item, times] : seen) {
        EXPECT_EQ(times, 1);
        EXPECT_GT(blocks[static_cast<size_t>(item.first)].rows, 0);
      }
      // Every thread block has work, and the lists are all of it.
      EXPECT_EQ(schedule.begin.size() - 1, std::min<size_t>(132, seen.size()));
      EXPECT_EQ(schedule.begin.front(), 0);
      EXPECT_EQ(schedule.begin.back(), static_cast<int32_t>(schedule.items.size()));
      for (size_t b = 1; b < schedule.begin.size(); ++b) EXPECT_GT(schedule.begin[b], schedule.begin[b - 1]);
    }
  }
}

void ExpectEven(const std::vector<RowBlock>& blocks, const AttentionScheduleSm90& schedule) {
  int64_t sum = 0, most = 0;
  for (size_t b = 0; b + 1 < schedule.begin.size(); ++b) {
    int64_t load = 0;
    for (int32_t i = schedule.begin[b]; i < schedule.begin[b + 1]; ++i) {
      load += Tiles(blocks[static_cast<size_t>(schedule.items[static_cast<size_t>(i)].block)]);
    }
    sum += load;
    most = std::max(most, load);
  }
  EXPECT_LE(static_cast<double>(most), 1.015 * static_cast<double>(sum) / 132);
}

TEST(AttentionSm90, LongPromptsAreSharedOutEvenly) {
  const std::vector<RowBlock> blocks = Prompt(16384, 128);
  for (const int32_t kv_heads : {8, 16, 32}) ExpectEven(blocks, PlanAttentionSm90(WorkOf(blocks, kv_heads)));
}

// Heads are taken in groups that fit half of the cache: 16k keys and values of 256 bytes are 8 MB, so two or three heads of them. Within a
// group the longest items come first.
TEST(AttentionSm90, HeadsOfAGroupFitTheCache) {
  const std::vector<RowBlock> blocks = Prompt(16384, 128);
  AttentionWorkSm90 work = WorkOf(blocks, 8);
  work.multiprocessors = 1;
  const AttentionScheduleSm90 schedule = PlanAttentionSm90(work);
  const int32_t group_of[8] = {0, 0, 1, 1, 1, 2, 2, 2};
  for (size_t i = 1; i < schedule.items.size(); ++i) {
    const AttentionItemSm90 &before = schedule.items[i - 1], &item = schedule.items[i];
    const int32_t group = group_of[item.kv_head];
    ASSERT_TRUE(group == group_of[before.kv_head] || group == group_of[before.kv_head] + 1) << "item " << i;
    if (group != group_of[before.kv_head]) continue;
    ASSERT_LE(Tiles(blocks[static_cast<size_t>(item.block)]), Tiles(blocks[static_cast<size_t>(before.block)])) << "item " << i;
  }
}

TEST(AttentionSm90, RowsThatSeeNothingAreRefused) {
  std::vector<RowBlock> blocks = Prompt(300, 128);
  blocks[1].split_begin = 1;
  blocks[1].split_end = 2;
  EXPECT_TRUE(PlanAttentionSm90(WorkOf(blocks, 2)).items.empty());
}

}  // namespace
}  // namespace lanes::cuda
