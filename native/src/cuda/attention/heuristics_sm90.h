// Decisions of the sm_90a attention kernel: shapes, shared memory, tiles of a block, and which thread block computes what. Plain C++;
// the kernel uses the shapes and the tiles, too.
#ifndef LANES_CUDA_ATTENTION_HEURISTICS_SM90_H_
#define LANES_CUDA_ATTENTION_HEURISTICS_SM90_H_

#include <stdint.h>

#include <algorithm>
#include <functional>
#include <queue>
#include <set>
#include <utility>
#include <vector>

#include "cuda/attention/rows.h"

namespace lanes::cuda {

// One warpgroup loads, the others compute 64 rows each. Shared memory: queries, `kStages` tiles of keys and of values, and what is summed
// of the splits before (float32, since registers are full of the split at hand).
template <int kDim>
struct AttentionShapeSm90 {
  static_assert(kDim == 64 || kDim == 128);
  static constexpr int kConsumers = kDim == 64 ? 3 : 2;
  static constexpr int kRows = 64 * kConsumers;
  static constexpr int kThreads = 128 * (kConsumers + 1);
  static constexpr int kStages = kDim == 64 ? 4 : 2;
  // Weights are rounded while the values of the tile before are multiplied. With 64 dimensions there are no registers for it, and two
  // other warpgroups whose products fill the time.
  static constexpr bool kRoundsEarly = kDim == 128;
  static constexpr int kProducerRegisters = kDim == 64 ? 32 : 40;
  static constexpr int kConsumerRegisters = kDim == 64 ? 160 : 232;
  static constexpr uint32_t kQueryBytes = 64 * kDim * 2;  // of a warpgroup
  static constexpr uint32_t kTileBytes = kTileKeys * kDim * 2;
  static constexpr uint32_t kTotalBytes = 64 * kDim * 4;  // of a warpgroup
  static constexpr uint32_t kSumBytes = 64 * 16;          // of a warpgroup
  static constexpr uint32_t kKeys = kConsumers * kQueryBytes;
  static constexpr uint32_t kValues = kKeys + kStages * kTileBytes;
  static constexpr uint32_t kTotals = kValues + kStages * kTileBytes;
  static constexpr uint32_t kSums = kTotals + kConsumers * kTotalBytes;
  static constexpr uint32_t kPowerBytes = 64 * 4;         // of a warpgroup; F16
  static constexpr uint32_t kPowers = kSums + kConsumers * kSumBytes;
  static constexpr uint32_t kBarriers = kPowers + kConsumers * kPowerBytes;
  static constexpr uint32_t kSharedBytes = kBarriers + 256;
  static_assert(kSharedBytes <= 227 * 1024);
  static_assert(128 * kProducerRegisters + 128 * kConsumers * kConsumerRegisters <= 65536);
};

// Tiles that a block visits, ascending: [sink_begin, sink_end), then [begin, end). In [whole_begin, whole_end) each row sees all keys.
struct AttentionTilesSm90 {
  int32_t sink_begin, sink_end, begin, end;
  int32_t whole_begin, whole_end;

  LANES_HOST_DEVICE int32_t Count() const { return sink_end - sink_begin + end - begin; }
  LANES_HOST_DEVICE int32_t First() const { return sink_begin < sink_end ? sink_begin : begin; }
  LANES_HOST_DEVICE int32_t After(int32_t tile) const { return tile + 1 == sink_end ? begin : tile + 1; }
  LANES_HOST_DEVICE bool Whole(int32_t tile) const { return tile >= whole_begin && tile < whole_end; }
};

LANES_HOST_DEVICE inline AttentionTilesSm90 AttentionTilesOf(const RowBlock& block, const BlockView& view) {
  constexpr int32_t kTiles = kSplitKeys / kTileKeys;
  const int32_t from = block.split_begin * kTiles, to = block.split_end * kTiles;
  const auto up = [](int64_t keys) { return static_cast<int32_t>((keys + kTileKeys - 1) / kTileKeys); };
  const auto least = [](int32_t a, int32_t b) { return a < b ? a : b; };
  const auto most = [](int32_t a, int32_t b) { return a > b ? a : b; };
  const auto begin = static_cast<int32_t>(view.first.begin / kTileKeys);
  const int32_t sinks = least(up(view.last.sink_end), begin);
  AttentionTilesSm90 tiles;
  tiles.sink_begin = least(from, sinks);
  tiles.sink_end = most(tiles.sink_begin, least(to, sinks));
  tiles.begin = most(from, begin);
  tiles.end = most(tiles.begin, least(to, up(view.last.end)));
  tiles.whole_begin = up(view.last.begin);
  tiles.whole_end = static_cast<int32_t>(view.first.end / kTileKeys);
  return tiles;
}

// A row block of one kv head.
struct AttentionItemSm90 {
  int32_t block, kv_head;
};

// Thread block b computes items [begin[b], begin[b + 1]), in this order. No items: some block visits nothing, and its rows are not for
// this kernel.
struct AttentionScheduleSm90 {
  std::vector<AttentionItemSm90> items;
  std::vector<int32_t> begin;
};

struct AttentionWorkSm90 {
  const RowBlock* blocks;
  int32_t count;
  bool causal;
  int32_t group, kv_heads;
  int64_t key_bytes;    // of a key; its value has as many
  int64_t cache_bytes;  // of the second level
  int32_t multiprocessors;
};

// In tiles: what an item costs besides those that it visits (its queries, its outputs, and the wait for its first tile).
constexpr int64_t kItemCostSm90 = 2;

// Heads are taken in groups whose keys and values fit half of the second-level cache together, and within a group the longest blocks
// first; each item goes to the thread block that would be free first.
inline AttentionScheduleSm90 PlanAttentionSm90(const AttentionWorkSm90& work) {
  std::vector<int64_t> cost(static_cast<size_t>(work.count), 0);
  std::vector<int32_t> order;
  std::set<int32_t> sequences;
  int64_t keys = 0;
  for (int32_t i = 0; i < work.count; ++i) {
    const RowBlock& block = work.blocks[i];
    if (block.rows == 0) continue;
    const int32_t tiles = AttentionTilesOf(block, ViewOf(block, work.causal, work.group)).Count();
    if (tiles == 0) return {};
    cost[static_cast<size_t>(i)] = tiles + kItemCostSm90;
    order.push_back(i);
    if (sequences.insert(block.sequence).second) keys += block.kv_len;
  }
  const auto cost_of = [&](int32_t i) { return cost[static_cast<size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return cost_of(a) > cost_of(b); });
  const auto grid = static_cast<int32_t>(std::min<int64_t>(static_cast<int64_t>(order.size()) * work.kv_heads, work.multiprocessors));
  const int64_t most_heads = std::max<int64_t>(1, work.cache_bytes / 2 / std::max<int64_t>(1, 2 * keys * work.key_bytes));
  // Of nearly equal size, the last not the smallest: what ends last must be much shorter than what is left to share out then.
  const int64_t groups = (work.kv_heads + most_heads - 1) / most_heads;

  std::vector<std::vector<AttentionItemSm90>> lists(static_cast<size_t>(grid));
  using Load = std::pair<int64_t, int32_t>;  // cost so far, thread block
  std::priority_queue<Load, std::vector<Load>, std::greater<Load>> loads;
  for (int32_t b = 0; b < grid; ++b) loads.emplace(0, b);
  for (int64_t g = 0; g < groups; ++g) {
    for (const int32_t i : order) {
      for (int64_t head = work.kv_heads * g / groups; head < work.kv_heads * (g + 1) / groups; ++head) {
        const Load least = loads.top();
        loads.pop();
        lists[static_cast<size_t>(least.second)].push_back({i, static_cast<int32_t>(head)});
        loads.emplace(least.first + cost_of(i), least.second);
      }
    }
  }
  AttentionScheduleSm90 schedule;
  schedule.begin.push_back(0);
  for (const std::vector<AttentionItemSm90>& list : lists) {
    schedule.items.insert(schedule.items.end(), list.begin(), list.end());
    schedule.begin.push_back(static_cast<int32_t>(schedule.items.size()));
  }
  return schedule;
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_HEURISTICS_SM90_H_
