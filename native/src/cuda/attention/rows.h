// Rows of attention, and the keys that they see. Plain C++ for host and device.
#ifndef LANES_CUDA_ATTENTION_ROWS_H_
#define LANES_CUDA_ATTENTION_ROWS_H_

#include <stdint.h>

namespace lanes::cuda {

constexpr int kTileKeys = 128;
constexpr int kSplitKeys = 1024;
// What the tensor cores multiply: pages of bfloat16 or IEEE halves as they are, int8 ones widened to bfloat16.
enum class Elements { kBf16, kF16, kS8 };

constexpr int kStateBytes = 256;  // of shared memory, for what a thread block knows of its rows

// Rows of one sequence and its keys: a thread block's work, for each kv head. Lists of these are staged; their lengths are rounded up, with
// blocks of 0 rows, which return at once.
struct alignas(16) RowBlock {
  int64_t first_token;  // the sequence's, in q and out
  int64_t base;         // index among the keys of the sequence's first query: kv_len - queries
  int64_t kv_len;
  int64_t window;       // 0: none
  int64_t sinks;
  int64_t row_begin;    // of the sequence's rows
  int32_t rows;
  int32_t sequence;     // in the page table
  int32_t split_begin, split_end;
  int32_t partial;      // >= 0: one split's (m, l, O) go to this slot of `partials`; < 0: the block writes out
  int32_t reserved;
};

#ifdef __CUDACC__
#define LANES_HOST_DEVICE __host__ __device__
#else
#define LANES_HOST_DEVICE
#endif

// Keys [0, sink_end) and [begin, end); sink_end < begin, or sink_end = 0. Of two rows of a sequence the later one has each of the three
// numbers at least as large.
struct Visible {
  int64_t sink_end, begin, end;

  LANES_HOST_DEVICE bool Sees(int64_t key) const { return key < sink_end || (key >= begin && key < end); }
};

LANES_HOST_DEVICE inline Visible VisibleTo(const RowBlock& block, bool causal, int64_t token) {
  Visible visible = {0, 0, block.kv_len};
  if (!causal) return visible;
  visible.end = block.base + token + 1;
  if (block.window == 0 || block.window >= visible.end) return visible;
  visible.begin = visible.end - block.window;
  if (block.sinks >= visible.begin) {
    visible.begin = 0;
  } else {
    visible.sink_end = block.sinks;
  }
  return visible;
}

// What the rows of a block see together: `first` is its first row's, `last` its last row's.
struct BlockView {
  Visible first, last;

  // Some row sees the key, or it lies between keys that are seen: it may be loaded, and its page is there.
  LANES_HOST_DEVICE bool Loads(int64_t key) const { return key < last.sink_end || (key >= first.begin && key < last.end); }
  // Some row may see a key of [key, key + keys).
  LANES_HOST_DEVICE bool Touches(int64_t key, int64_t keys) const {
    return key < last.sink_end || (key < last.end && key + keys > first.begin);
  }
  // Every row sees every key of the tile.
  LANES_HOST_DEVICE bool Whole(int64_t key) const { return last.begin <= key && first.end >= key + kTileKeys; }
};

LANES_HOST_DEVICE inline BlockView ViewOf(const RowBlock& block, bool causal, int32_t group) {
  return {VisibleTo(block, causal, block.row_begin / group), VisibleTo(block, causal, (block.row_begin + block.rows - 1) / group)};
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_ROWS_H_
