// Fused attention over paged keys and values: contract and work list.
//
// Shapes, masks and aliasing: lanes_attention_params. What holds besides:
//  - A row is one query of one head. Its keys are taken in tiles of LANES_PAGE_TOKENS, ascending; its (maximum, sum, output)
//    is closed after every LANES_SPLIT_TOKENS keys and the closed parts are merged in order. Nothing else enters a row's
//    arithmetic, so chunking, batch, page placement and threads do not change its bits.
//  - Keys and values that a row must not see are never multiplied with anything of that row that reaches its result.
//  - Error bound: docs/numerics.md.
#ifndef LANES_OPS_ATTENTION_H_
#define LANES_OPS_ATTENTION_H_

#include <stdint.h>

#include "core/parallel.h"
#include "lanes/lanes.h"
#include "ops/kv_pool.h"

namespace lanes {

// Query rows of one sequence that share a kv head, against its keys. Row r is token r / group, head
// kv_head * group + r % group, so that the heads of a group share each load of a key.
struct AttentionItem {
  int64_t row_begin;
  int32_t rows;
  int32_t sequence;
  int32_t kv_head;
  int64_t split_begin, split_end;  // in units of LANES_SPLIT_TOKENS keys
  int64_t partial;                 // < 0: the item is the whole and writes `out`; else where its part goes, in floats
};

// Parts of the same rows, to be merged in order: items [item_begin, item_end).
struct AttentionMerge {
  int64_t item_begin, item_end;
};

// A sequence and what it costs.
struct AttentionOrder {
  double cost;
  int32_t sequence;
};

struct AttentionPlan {
  AttentionItem* items;
  AttentionMerge* merges;
  AttentionOrder* order;  // [sequences], space to work in
  int64_t item_count, merge_count;
  int64_t partial_floats;
  int32_t max_rows;  // of an item
};

// Rows of an item: enough to use a tile of keys many times, few enough for its outputs to stay in the second-level cache.
constexpr int32_t kAttentionBlockRows = 96;

// Fills `plan`. With null `items` and `merges` it only counts.
void PlanAttention(const lanes_attention_params& params, int workers, AttentionPlan* plan);

// Floats of a row's partial result: output, maximum, sum.
static inline int64_t AttentionPartialFloats(const lanes_kv_pool* pool, int64_t rows) {
  return (rows * (pool->value_cols + 2) + 15) / 16 * 16;
}

struct AttentionKernel {
  void (*run)(OpContext& context, const lanes_attention_params& params);
};

}  // namespace lanes

#endif  // LANES_OPS_ATTENTION_H_
