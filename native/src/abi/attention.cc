#include "abi/check.h"
#include "cpu/attention/mask.h"
#include "ops/kv_pool.h"

using namespace lanes;

namespace {

using LongLong = long long;

void CheckCompute(int32_t compute, int32_t dtype) {
  CheckRange(compute, LANES_COMPUTE_EXACT, LANES_COMPUTE_F16, "compute");
  const bool fits = dtype == LANES_S8 ? compute == LANES_COMPUTE_INT8
                                      : compute == LANES_COMPUTE_EXACT || (compute == LANES_COMPUTE_BF16 && dtype == LANES_BF16) ||
                                            (compute == LANES_COMPUTE_F16 && dtype == LANES_F16);
  if (!fits) {
    ThrowInvalid("compute is %d for %s pages: expected EXACT (0) for f32, EXACT or BF16 (1) for bf16, EXACT or F16 (3) for f16, INT8 (2) "
                 "for s8",
                 compute, DtypeName(dtype));
  }
}

void CheckSequence(const lanes_attention_params& p, int32_t s) {
  const int64_t n = p.q_begin[s + 1] - p.q_begin[s];
  if (p.q_begin[s + 1] < p.q_begin[s] || p.q_begin[s + 1] > p.tokens) {
    ThrowInvalid("q_begin[%d] is %lld: expected %lld (the one before) to %lld (tokens)", s + 1,
                 static_cast<LongLong>(p.q_begin[s + 1]), static_cast<LongLong>(p.q_begin[s]), static_cast<LongLong>(p.tokens));
  }
  if (p.kv_len[s] < n) {
    ThrowInvalid("kv_len[%d] is %lld: expected at least the sequence's %lld queries", s, static_cast<LongLong>(p.kv_len[s]),
                 static_cast<LongLong>(n));
  }
  if (p.window != nullptr && (p.window[s] < 0 || (p.window[s] > 0 && p.causal == 0))) {
    ThrowInvalid("window[%d] is %lld: expected 0 (none)%s", s, static_cast<LongLong>(p.window[s]),
                 p.causal == 0 ? ", since a window needs causal" : " or more");
  }
  if (p.sinks != nullptr && p.sinks[s] < 0) {
    ThrowInvalid("sinks[%d] is %lld: expected 0 or more", s, static_cast<LongLong>(p.sinks[s]));
  }
}

// Pages [begin, end) of sequence `s`.
void CheckPages(const lanes_attention_params& p, int32_t s, int64_t begin, int64_t end) {
  const int32_t* pages = p.page_table + s * p.page_table_stride;
  for (int64_t i = begin; i < end; ++i) {
    if (pages[i] < 0 || pages[i] >= p.pool->pages) {
      ThrowInvalid("page_table[%d][%lld] is %d: expected 0 to %d, since a key of that page is visible", s,
                   static_cast<LongLong>(i), pages[i], p.pool->pages - 1);
    }
  }
}

void CheckSequences(const lanes_attention_params& p) {
  CheckRange(p.sequences, 0, INT32_MAX - 1, "sequences");
  CheckArray(p.q_begin, p.q_begin_len, static_cast<int64_t>(p.sequences) + 1, "q_begin");
  CheckArray(p.kv_len, p.kv_len_len, p.sequences, "kv_len");
  if (p.window != nullptr) CheckArray(p.window, p.window_len, p.sequences, "window");
  if (p.sinks != nullptr) CheckArray(p.sinks, p.sinks_len, p.sequences, "sinks");
  if (p.q_begin[0] != 0) ThrowInvalid("q_begin[0] is %lld: expected 0", static_cast<LongLong>(p.q_begin[0]));
  int64_t most_pages = 0;
  for (int32_t s = 0; s < p.sequences; ++s) {
    CheckSequence(p, s);
    if (p.q_begin[s + 1] == p.q_begin[s]) continue;
    const int64_t pages = CeilDiv(p.kv_len[s], LANES_PAGE_TOKENS);
    if (pages > most_pages) most_pages = pages;
  }
  if (p.q_begin[p.sequences] != p.tokens) {
    ThrowInvalid("q_begin[%d] is %lld: expected tokens, %lld", p.sequences, static_cast<LongLong>(p.q_begin[p.sequences]),
                 static_cast<LongLong>(p.tokens));
  }
  CheckMatrix(p.page_table, p.page_table_len, p.sequences, most_pages, p.page_table_stride, "page_table");
  for (int32_t s = 0; s < p.sequences; ++s) {
    const int64_t n = p.q_begin[s + 1] - p.q_begin[s];
    if (n == 0) continue;
    // What the first query sees begins first; what the last one sees reaches furthest.
    const VisibleKeys first = VisibleTo(p, s, p.kv_len[s] - n), last = VisibleTo(p, s, p.kv_len[s] - 1);
    CheckPages(p, s, 0, CeilDiv(last.sink_end, LANES_PAGE_TOKENS));
    CheckPages(p, s, first.begin / LANES_PAGE_TOKENS, CeilDiv(last.end, LANES_PAGE_TOKENS));
  }
}

Region OutputOf(const lanes_attention_params& p, int64_t width) {
  return p.out_bf16 != nullptr ? RegionOf(p.out_bf16, p.tokens, width, p.out_bf16_stride, "out_bf16")
                               : RegionOf(p.out, p.tokens, width, p.out_stride, "out");
}

void CheckOutput(const lanes_attention_params& p, int64_t width) {
  if (p.out_bf16 == nullptr) {
    CheckMatrix(p.out, p.out_len, p.tokens, width, p.out_stride, "out");
  } else {
    if (p.out != nullptr) ThrowInvalid("both out and out_bf16 are given: expected one of them");
    CheckMatrix(p.out_bf16, p.out_bf16_len, p.tokens, width, p.out_bf16_stride, "out_bf16");
  }
  const Region out = OutputOf(p, width);
  const Region q = RegionOf(p.q, p.tokens, width, p.q_stride, "q");
  if (p.q_sink == nullptr && p.out_bf16 == nullptr) {
    CheckDisjointOrSame(out, q);
  } else {
    CheckDisjoint(out, q);
    CheckDisjoint(out, RegionOf(p.q_sink, p.tokens, width, p.q_stride, "q_sink"));
  }
  // These are read while outputs are written.
  CheckDisjoint(out, RegionOf(p.q_begin, static_cast<int64_t>(p.sequences) + 1, "q_begin"));
  CheckDisjoint(out, RegionOf(p.kv_len, p.sequences, "kv_len"));
  CheckDisjoint(out, RegionOf(p.window, p.sequences, "window"));
  CheckDisjoint(out, RegionOf(p.sinks, p.sequences, "sinks"));
  CheckDisjoint(out, RegionOf(p.page_table, p.sequences, p.page_table_stride, p.page_table_stride, "page_table"));
}

}  // namespace

int32_t lanes_attention(lanes_runtime* runtime, const lanes_attention_params* params) {
  return Guard("lanes_attention", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const lanes_attention_params p = ReadParams(params);
    const Pinned<const lanes_kv_pool> pool(p.pool, "pool");
    CheckRange(p.layer, 0, pool->layers - 1, "layer");
    CheckRange(p.heads, 1, INT32_MAX, "heads");
    if (p.heads % pool->kv_heads != 0) {
      ThrowInvalid("heads is %d: expected a multiple of the pool's %d kv heads", p.heads, pool->kv_heads);
    }
    CheckFinite(p.scale, "scale");
    CheckCompute(p.compute, pool->dtype);
    CheckRange(p.tokens, 0, INT64_MAX, "tokens");
    const int64_t width = static_cast<int64_t>(p.heads) * pool->head_dim;
    CheckMatrix(p.q, p.q_len, p.tokens, width, p.q_stride, "q");
    if (p.q_sink != nullptr) CheckMatrix(p.q_sink, p.q_sink_len, p.tokens, width, p.q_stride, "q_sink");
    CheckSequences(p);
    CheckOutput(p, width);
    if (p.tokens == 0) return;
    CheckSameDevice(*pinned, pool->device, "pool");
    CheckReachable(*pinned, {RegionOf(p.q, p.tokens, width, p.q_stride, "q"), RegionOf(p.q_sink, p.tokens, width, p.q_stride, "q_sink"),
                             OutputOf(p, width)});
    Turn turn(*pinned, OpId::attention);
    turn.kernels().attention->run(turn.context(), p);
    turn.End();
  });
}
