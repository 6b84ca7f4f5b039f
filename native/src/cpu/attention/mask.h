// Which keys a query sees, as intervals. Kernels of every ISA include this header: static functions only.
#ifndef LANES_CPU_ATTENTION_MASK_H_
#define LANES_CPU_ATTENTION_MASK_H_

#include <stdint.h>

#include "lanes/lanes.h"

namespace lanes {

// Keys [0, sink_end) and [begin, end); sink_end < begin, or sink_end = 0. Of two queries of a sequence the later one has
// each of the three numbers at least as large.
struct VisibleKeys {
  int64_t sink_end, begin, end;
};

// Part of a tile, in keys of the tile.
struct KeySpan {
  int32_t begin, end;
};

// Of sequence `s`, for the query at index `position`.
static inline VisibleKeys VisibleTo(const lanes_attention_params& params, int64_t s, int64_t position) {
  VisibleKeys visible = {0, 0, params.kv_len[s]};
  if (!params.causal) return visible;
  visible.end = position + 1;
  const int64_t window = params.window ? params.window[s] : 0;
  if (window == 0 || window >= visible.end) return visible;
  visible.begin = visible.end - window;
  const int64_t sinks = params.sinks ? params.sinks[s] : 0;
  if (sinks >= visible.begin) {
    visible.begin = 0;
  } else {
    visible.sink_end = sinks;
  }
  return visible;
}

// The tile's keys [first, first + LANES_PAGE_TOKENS) that lie in [begin, end).
static inline KeySpan SpanOf(int64_t first, int64_t begin, int64_t end) {
  const int64_t b = begin - first, e = end - first;
  KeySpan span;
  span.begin = static_cast<int32_t>(b < 0 ? 0 : b > LANES_PAGE_TOKENS ? LANES_PAGE_TOKENS : b);
  span.end = static_cast<int32_t>(e < span.begin ? span.begin : e > LANES_PAGE_TOKENS ? LANES_PAGE_TOKENS : e);
  return span;
}

}  // namespace lanes

#endif  // LANES_CPU_ATTENTION_MASK_H_
