#include <algorithm>
#include <limits>

#include "core/numeric.h"
#include "cpu/attention/mask.h"
#include "ops/attention.h"

namespace lanes {
namespace {

// Partial results may take this much scratch; work beyond it is not divided by splits.
constexpr int64_t kMaxPartialFloats = int64_t{16} << 20;

int64_t VisibleCount(const lanes_attention_params& params, int64_t s, int64_t position) {
  const VisibleKeys visible = VisibleTo(params, s, position);
  return visible.sink_end + visible.end - visible.begin;
}

// Scores to compute for tokens [first, last] of a sequence of which `n` are queries, for one head.
double Cost(const lanes_attention_params& params, int64_t s, int64_t n, int64_t first, int64_t last) {
  const int64_t base = params.kv_len[s] - n;
  const double ends = static_cast<double>(VisibleCount(params, s, base + first)) +
                      static_cast<double>(VisibleCount(params, s, base + last));
  return 0.5 * ends * static_cast<double>(last - first + 1);
}

class Planner {
 public:
  Planner(const lanes_attention_params& params, int workers, AttentionPlan* plan)
      : params_(params), plan_(plan), group_(params.heads / params.pool->kv_heads), workers_(workers) {}

  void Run() {
    AttentionOrder* order = plan_->order;
    double total = 0;
    for (int32_t s = 0; s < params_.sequences; ++s) {
      order[s] = {SequenceCost(s), s};
      total += order[s].cost;
    }
    const auto costlier = [](const AttentionOrder& a, const AttentionOrder& b) {
      return a.cost > b.cost || (a.cost == b.cost && a.sequence < b.sequence);
    };
    if (!std::is_sorted(order, order + params_.sequences, costlier)) std::sort(order, order + params_.sequences, costlier);
    // Below this an item is small enough to even out the others; one worker has nothing to even out.
    large_ = workers_ == 1 ? std::numeric_limits<double>::infinity() : total / (16.0 * workers_);
    plan_->item_count = plan_->merge_count = plan_->partial_floats = 0;
    plan_->max_rows = 0;
    // Large sequences first, and of each the long rows first: what is left for the end is small.
    for (int32_t i = 0; i < params_.sequences; ++i) AddSequence(order[i].sequence);
  }

 private:
  int64_t Queries(int32_t s) const { return params_.q_begin[s + 1] - params_.q_begin[s]; }

  double SequenceCost(int32_t s) const {
    const int64_t n = Queries(s);
    return n == 0 ? 0 : Cost(params_, s, n, 0, n - 1) * params_.heads;
  }

  void AddSequence(int32_t s) {
    const int64_t rows = Queries(s) * group_;
    if (rows == 0) return;
    const int64_t blocks = CeilDiv(rows, kAttentionBlockRows);
    const int64_t block_rows = std::min(RoundUp(CeilDiv(rows, blocks), 6), int64_t{kAttentionBlockRows});
    for (int32_t kv_head = 0; kv_head < params_.pool->kv_heads; ++kv_head) {
      for (int64_t b = CeilDiv(rows, block_rows) - 1; b >= 0; --b) {
        const int64_t begin = b * block_rows;
        AddBlock(s, kv_head, begin, static_cast<int32_t>(std::min(block_rows, rows - begin)));
      }
    }
  }

  void AddBlock(int32_t s, int32_t kv_head, int64_t row_begin, int32_t rows) {
    plan_->max_rows = std::max(plan_->max_rows, rows);
    const int64_t n = Queries(s), base = params_.kv_len[s] - n;
    const int64_t first = row_begin / group_, last = (row_begin + rows - 1) / group_;
    AttentionItem item = {row_begin, rows, s, kv_head, 0, CeilDiv(params_.kv_len[s], LANES_SPLIT_TOKENS), -1};
    const int64_t partial = AttentionPartialFloats(params_.pool, rows);
    const bool divide = item.split_end > 1 && Cost(params_, s, n, first, last) * group_ > large_ &&
                        partial * item.split_end <= kMaxPartialFloats - plan_->partial_floats;
    if (!divide) {
      Add(item);
      return;
    }
    const VisibleKeys earliest = VisibleTo(params_, s, base + first), latest = VisibleTo(params_, s, base + last);
    const int64_t splits = item.split_end, item_begin = plan_->item_count;
    for (int64_t split = 0; split < splits; ++split) {
      const int64_t key = split * LANES_SPLIT_TOKENS;
      const bool seen = key < latest.sink_end || (key < latest.end && key + LANES_SPLIT_TOKENS > earliest.begin);
      if (!seen) continue;
      item.split_begin = split;
      item.split_end = split + 1;
      item.partial = plan_->partial_floats;
      plan_->partial_floats += partial;
      Add(item);
    }
    if (plan_->merges) plan_->merges[plan_->merge_count] = {item_begin, plan_->item_count};
    ++plan_->merge_count;
  }

  void Add(const AttentionItem& item) {
    if (plan_->items) plan_->items[plan_->item_count] = item;
    ++plan_->item_count;
  }

  const lanes_attention_params& params_;
  AttentionPlan* plan_;
  const int64_t group_;
  const int workers_;
  double large_ = 0;
};

}  // namespace

void PlanAttention(const lanes_attention_params& params, int workers, AttentionPlan* plan) {
  Planner(params, workers, plan).Run();
}

}  // namespace lanes
