// How attention is divided into thread blocks: which kernel takes which rows, where splits are divided, shared memory. Plain C++ without
// device code; tests/native/cuda_attention_heuristics_test.cc.
//
// Two lists of row blocks come out: `many`, for prompts and chunks of them, and `few`, for sequences of up to kFewRows rows, as decoding
// brings them. What a list's kernel is launched with must be the same from one decode step to the next, as device.h wants it: lengths are
// rounded up, and blocks of 0 rows fill them.
#ifndef LANES_CUDA_ATTENTION_HEURISTICS_H_
#define LANES_CUDA_ATTENTION_HEURISTICS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cuda/attention/rows.h"
#include "lanes/lanes.h"

namespace lanes::cuda {

constexpr int kPrefillRows = 64;  // of a block of the prefill kernel, a warp for each 16
constexpr int kTeamRows = 16;     // of a team of warps
constexpr int kDecodeRows = 16;   // of a block of the decode kernel, one team
constexpr int kDecodeWarps = 8;   // of that team
constexpr int kWideWarps = 2;     // of a team that takes rows of a prompt with wide heads
constexpr int kWideRows = 64;     // of such a block; of int8 half of them where shared memory is small
constexpr int kExactThreads = 256;
constexpr int kFewRows = 2 * kDecodeRows;  // more than these are worth reading the keys once for kPrefillRows
constexpr int64_t kMaxPartialFloats = int64_t{64} << 20;

// What the division depends on besides the sequences.
struct AttentionShape {
  int32_t multiprocessors;
  int32_t shared_bytes;  // that a block may have
  int32_t kv_heads, group;
  int32_t row, element_bytes;  // of the pool
  int32_t compute;             // lanes_compute
  bool q_sink;
  int32_t sm90_rows;  // of a block there; 0: that kernel does not serve these pages
};

// ---- Shared memory -----------------------------------------------------------------------------------------------

// Head dimensions that kernels are built for: the smallest that holds a row, or 0. A warp's registers hold no scores beside the output of
// wider ones: teams of two warps take their prompts, and the decode kernel those of the widest.
inline int32_t PrefillDim(int32_t row, bool s8) { return row <= 64 ? 64 : row <= 128 && !s8 ? 128 : 0; }
inline int32_t WideDim(int32_t row, bool s8) { return PrefillDim(row, s8) > 0 ? 0 : row <= 128 ? 128 : row <= 256 && !s8 ? 256 : 0; }
inline int32_t DecodeDim(int32_t row) { return row <= 64 ? 64 : row <= 128 ? 128 : row <= 256 ? 256 : 512; }
// Dimensions of a unit of keys or values in the decode kernel: two chains of products side by side where they fit.
constexpr int32_t DecodeUnitDims(int32_t dim, bool s8) { return dim == 64 || dim == 512 || s8 ? 64 : 128; }
constexpr int32_t TeamUnitDims(int32_t dim, bool s8, int32_t teams) { return teams == 1 ? DecodeUnitDims(dim, s8) : 64; }

constexpr int32_t kPrefillTotalsBytes = kPrefillRows * 8;  // (M, L) of each row
// With room for a power of two a row, which bfloat16 has not.
constexpr int32_t QueryBytes(int32_t rows, int32_t dim, bool s8) { return rows * (dim * (s8 ? 4 : 2) + 16); }
constexpr int32_t UnitBytes(int32_t unit_dims) { return kTileKeys * unit_dims * 2; }
constexpr int32_t StageBytes(int32_t unit_dims, bool s8) { return UnitBytes(unit_dims) / (s8 ? 2 : 1) + (s8 ? 8 * kTileKeys : 0); }
constexpr int32_t StreamFixedBytes(int32_t unit_dims, bool s8) { return s8 ? 2 * UnitBytes(unit_dims) + 8 * kTileKeys : 0; }
// Of a team: weights of a tile, maxima of two tiles, sums; see team.cuh.
constexpr int32_t ExchangeBytes(int32_t warps, bool s8) { return kTeamRows * ((s8 ? 4 : 2) * kTileKeys + 2 * warps * 4 + 8 * 16 + 4); }

constexpr int32_t kMinRing = 2, kMaxRing = 6;

struct SharedPlan {
  int32_t stages;  // 0: does not fit
  int32_t q_rows;
  int32_t bytes;
};

// As many stages as fit into `limit`, up to `most`.
inline SharedPlan FitRing(int32_t fixed, int32_t stage, int32_t most, int32_t limit, int32_t q_rows) {
  const int32_t stages = std::min(most, limit < fixed ? 0 : (limit - fixed) / stage);
  if (stages < kMinRing) return {0, 0, 0};
  return {stages, q_rows, fixed + stages * stage};
}

// What each of two blocks on a multiprocessor may have: its memory is 1 KB more than a block's limit, and each block takes 1 KB besides.
inline int32_t HalfShared(int32_t shared_bytes) { return (shared_bytes + 1024) / 2 - 1024; }

inline SharedPlan PrefillShared(const AttentionShape& shape) {
  const bool s8 = shape.element_bytes == 1;
  const int32_t dim = PrefillDim(shape.row, s8);
  if (dim == 0 || shape.element_bytes == 4) return {0, 0, 0};
  const int32_t fixed =
      kStateBytes + kPrefillTotalsBytes + (shape.q_sink ? 2 : 1) * QueryBytes(kPrefillRows, dim, s8) + StreamFixedBytes(64, s8);
  return FitRing(fixed, StageBytes(64, s8), 4, shape.shared_bytes, kPrefillRows);
}

// Prompts of wide heads.
inline SharedPlan WideShared(const AttentionShape& shape) {
  const bool s8 = shape.element_bytes == 1;
  const int32_t dim = WideDim(shape.row, s8);
  if (dim == 0 || shape.element_bytes == 4) return {0, 0, 0};
  for (int32_t rows = kWideRows; rows >= (s8 ? kWideRows / 2 : kWideRows); rows /= 2) {
    const int32_t fixed = kStateBytes + rows / kTeamRows * ExchangeBytes(kWideWarps, s8) +
                          (shape.q_sink ? 2 : 1) * QueryBytes(rows, dim, s8) + StreamFixedBytes(64, s8);
    const SharedPlan plan = FitRing(fixed, StageBytes(64, s8), 4, shape.shared_bytes, rows);
    if (plan.stages > 0) return plan;
  }
  return {0, 0, 0};
}

// What takes prompts, where it is not the kernel of sm90.h; rows of a block are its q_rows. 0 stages: the decode kernel does.
inline SharedPlan ManyShared(const AttentionShape& shape) {
  return PrefillDim(shape.row, shape.element_bytes == 1) > 0 ? PrefillShared(shape) : WideShared(shape);
}

// `blocks` that will run. While they have a multiprocessor each, one block must keep enough copies under way by itself; later two share.
inline SharedPlan DecodeShared(const AttentionShape& shape, int64_t blocks) {
  const bool s8 = shape.element_bytes == 1;
  const int32_t dim = DecodeDim(shape.row), unit = DecodeUnitDims(dim, s8), stage = StageBytes(unit, s8);
  for (const int32_t q_rows : {16, 8}) {
    const int32_t fixed =
        kStateBytes + (shape.q_sink ? 2 : 1) * QueryBytes(q_rows, dim, s8) + StreamFixedBytes(unit, s8) + ExchangeBytes(kDecodeWarps, s8);
    if (blocks > shape.multiprocessors) {
      const SharedPlan half = FitRing(fixed, stage, kMaxRing, HalfShared(shape.shared_bytes), q_rows);
      if (half.stages > 0) return half;
    }
    const SharedPlan whole = FitRing(fixed, stage, kMaxRing, shape.shared_bytes, q_rows);
    if (whole.stages > 0) return whole;
  }
  return {0, 0, 0};
}

// ---- EXACT -------------------------------------------------------------------------------------------------------

// Keys come in 32 dimensions at a time, values as many keys at a time as fit into the same buffer. There are two: one fills while the
// other is read.
constexpr int32_t kExactKeyDims = 32;
constexpr int32_t kExactScoreStride = kTileKeys + 4;
// Elements from one key to the next, 16 bytes more than they need: neighbouring keys lie in different banks.
LANES_HOST_DEVICE constexpr int32_t ExactKeyStride(int32_t element_bytes) { return kExactKeyDims + 16 / element_bytes; }
LANES_HOST_DEVICE constexpr int32_t ExactBufferBytes(int32_t element_bytes) {
  return kTileKeys * ExactKeyStride(element_bytes) * element_bytes;
}
// A power of two from 8 to 128.
LANES_HOST_DEVICE inline int32_t ExactValueKeys(int32_t row, int32_t element_bytes) {
  int32_t keys = kTileKeys;
  while (keys * row * element_bytes > ExactBufferBytes(element_bytes)) keys /= 2;
  return keys;
}
// Queries, scores, five numbers a row, buffers.
inline int32_t ExactBytes(int32_t rows, int32_t row, int32_t element_bytes, bool q_sink) {
  return kStateBytes + ((q_sink ? 2 : 1) * rows * row + rows * kExactScoreStride + 5 * rows) * 4 + 2 * ExactBufferBytes(element_bytes);
}
// Rows of a block for prompts, 0: those of the other list.
inline int32_t ExactManyRows(const AttentionShape& shape) {
  return shape.row <= 256 && ExactBytes(64, shape.row, shape.element_bytes, shape.q_sink) <= shape.shared_bytes ? 64 : 0;
}

// ---- Row blocks --------------------------------------------------------------------------------------------------

// Partial results [slot_begin, slot_begin + slots) of the same rows, ascending. `block` says which rows; slots = 0: none.
struct alignas(16) MergeBlock {
  RowBlock block;
  int32_t slot_begin, slots;
  int32_t reserved[2];
};

struct BlockList {
  std::vector<RowBlock> blocks;
  std::vector<MergeBlock> merges;
  int32_t rows = 0;       // of a block, at most
  int32_t slots = 0;      // partial results
  int32_t slot_rows = 0;  // rows of the largest of them
};

struct AttentionBlocks {
  BlockList many, few;
  bool sm90 = false;  // the kernel of sm90.h takes `many`
};

// Lengths of lists and grids: steps of at most a quarter.
inline int64_t RoundUpCount(int64_t count) {
  int64_t step = 1;
  while (step * 8 <= count) step *= 2;
  return (count + step - 1) / step * step;
}

class BlockPlanner {
 public:
  BlockPlanner(const AttentionShape& shape, const lanes_attention_params& params) : shape_(shape), p_(params) {}

  AttentionBlocks Run() {
    ChooseRows();
    int64_t many_blocks = 0;
    int32_t most_rows = 0;
    for (int32_t s = 0; s < p_.sequences; ++s) {
      const int64_t rows = Rows(s);
      if (IsMany(rows)) {
        many_blocks += CeilDivide(rows, plan_.many.rows);
      } else {
        most_rows = static_cast<int32_t>(std::max<int64_t>(most_rows, std::min<int64_t>(rows, kDecodeRows)));
      }
    }
    // EXACT wastes less on 4 rows.
    plan_.few.rows = shape_.compute == LANES_COMPUTE_EXACT && most_rows <= 4 ? 4 : kDecodeRows;
    plan_.few.rows = std::min(plan_.few.rows, few_limit_);
    // Prompts fill the machine by themselves when there are enough blocks.
    const bool divide_many = many_blocks * shape_.kv_heads < shape_.multiprocessors;
    for (int32_t s = 0; s < p_.sequences; ++s) {
      const int64_t rows = Rows(s);
      if (rows == 0) continue;
      BlockList* list = IsMany(rows) ? &plan_.many : &plan_.few;
      const bool divide = IsMany(rows) ? divide_many : CeilDivide(rows, list->rows) * shape_.kv_heads < 2 * int64_t{shape_.multiprocessors};
      AddSequence(s, rows, divide, list);
    }
    // Longest first: what is left for the end is small.
    std::stable_sort(plan_.many.blocks.begin(), plan_.many.blocks.end(),
                     [this](const RowBlock& a, const RowBlock& b) { return Keys(a) > Keys(b); });
    for (BlockList* list : {&plan_.many, &plan_.few}) {
      list->blocks.resize(static_cast<size_t>(RoundUpCount(static_cast<int64_t>(list->blocks.size()))), RowBlock{});
      list->merges.resize(static_cast<size_t>(RoundUpCount(static_cast<int64_t>(list->merges.size()))), MergeBlock{});
      list->slots = static_cast<int32_t>(RoundUpCount(list->slots));
    }
    return std::move(plan_);
  }

 private:
  static int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

  void ChooseRows() {
    if (shape_.compute == LANES_COMPUTE_EXACT) {
      plan_.many.rows = ExactManyRows(shape_);
      few_limit_ = ExactBytes(kDecodeRows, shape_.row, shape_.element_bytes, shape_.q_sink) <= shape_.shared_bytes ? kDecodeRows : 4;
      return;
    }
    few_limit_ = DecodeShared(shape_, 1).q_rows;
    plan_.sm90 = shape_.sm90_rows > 0;
    plan_.many.rows = plan_.sm90 ? shape_.sm90_rows : ManyShared(shape_).q_rows;
  }

  int64_t Rows(int32_t s) const { return (p_.q_begin[s + 1] - p_.q_begin[s]) * shape_.group; }
  bool IsMany(int64_t rows) const { return plan_.many.rows > 0 && rows > kFewRows; }

  void AddSequence(int32_t s, int64_t rows, bool divide, BlockList* list) {
    RowBlock block = {};
    block.first_token = p_.q_begin[s];
    block.kv_len = p_.kv_len[s];
    block.base = block.kv_len - (p_.q_begin[s + 1] - p_.q_begin[s]);
    block.window = p_.window ? p_.window[s] : 0;
    block.sinks = p_.sinks ? p_.sinks[s] : 0;
    block.sequence = s;
    for (int64_t begin = 0; begin < rows; begin += list->rows) {
      block.row_begin = begin;
      block.rows = static_cast<int32_t>(std::min<int64_t>(list->rows, rows - begin));
      AddBlock(block, divide, list);
    }
  }

  void AddBlock(RowBlock block, bool divide, BlockList* list) {
    block.partial = -1;
    block.split_begin = 0;
    block.split_end = static_cast<int32_t>(CeilDivide(block.kv_len, kSplitKeys));
    const BlockView view = ViewOf(block, p_.causal != 0, shape_.group);
    int32_t seen = 0, only = 0;
    for (int32_t split = 0; split < block.split_end; ++split) {
      if (!view.Touches(split * int64_t{kSplitKeys}, kSplitKeys)) continue;
      only = split;
      ++seen;
    }
    const int64_t floats = int64_t{list->rows} * (shape_.row + 2) * shape_.kv_heads;
    if (!divide || seen < 2 || (list->slots + int64_t{seen}) * floats > kMaxPartialFloats) {
      if (seen == 1) block.split_begin = only;
      list->blocks.push_back(block);
      return;
    }
    MergeBlock merge = {block, list->slots, seen, {}};
    list->merges.push_back(merge);
    list->slot_rows = std::max(list->slot_rows, block.rows);
    const int32_t splits = block.split_end;
    for (int32_t split = 0; split < splits; ++split) {
      if (!view.Touches(split * int64_t{kSplitKeys}, kSplitKeys)) continue;
      block.split_begin = split;
      block.split_end = split + 1;
      block.partial = list->slots++;
      list->blocks.push_back(block);
    }
  }

  // That a block reads, about.
  int64_t Keys(const RowBlock& block) const {
    const BlockView view = ViewOf(block, p_.causal != 0, shape_.group);
    const int64_t begin = std::max(view.first.begin, block.split_begin * int64_t{kSplitKeys});
    const int64_t end = std::min(view.last.end, block.split_end * int64_t{kSplitKeys});
    return std::max<int64_t>(end - begin, 0) + std::min(view.last.sink_end, block.split_end * int64_t{kSplitKeys});
  }

  const AttentionShape shape_;
  const lanes_attention_params& p_;
  AttentionBlocks plan_;
  int32_t few_limit_ = 0;  // rows that shared memory has room for
};

// The division of a batch into blocks.
inline AttentionBlocks PlanBlocks(const AttentionShape& shape, const lanes_attention_params& params) {
  return BlockPlanner(shape, params).Run();
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_HEURISTICS_H_
