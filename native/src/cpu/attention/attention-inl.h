// Fused attention over pages (Dao et al. 2022; Milakov and Gimelshein 2018): one item of the work list at a time, tile by
// tile. Rows are taken in strips of up to kRows, so that both products run on register tiles; a strip's scores stay in the
// first-level cache. Include after the SIMD layer.
#include "core/parallel.h"
#include "cpu/attention/mask.h"
#include "cpu/attention/format-inl.h"
#include "cpu/attention/tile-inl.h"
#include "cpu/attention/softmax-inl.h"
#include "ops/attention.h"

namespace lanes {
namespace LANES_ISA {

// What a worker keeps of the rows of its item. `maximum` and `sum` close a part; while it grows its sums are in `lane_sums`.
struct RowStates {
  float* maximum;    // [rows]
  float* sum;        // [rows]
  float* lane_sums;  // [rows, kLanes]
  float* output;     // [rows, value_cols]
};

// Queries as a format multiplies them: times scale * log2(e), padded with 0.
struct Queries {
  float* units;     // [rows, value_cols]
  RowScale* scale;  // [rows], for int8 pages
};

struct Workspace {
  Queries q;
  Queries q_sink;  // the same for the keys that are attention sinks
  VisibleKeys* visible;  // [rows]
  RowStates whole;  // parts merged so far
  RowStates part;   // the part that grows
  float* scores;        // [kRows][kTileKeys]
  float* sink_scores;   // [kRows][kTileKeys]
  RowScale* weight_scale;  // [kRows], for int8 pages
};

static inline int64_t AlignedFloats(int64_t floats) { return (floats + 15) / 16 * 16; }

// With a null base: how many floats a workspace takes.
static inline int64_t LayOut(float* base, const lanes_attention_params& p, int64_t rows, Workspace* w) {
  int64_t used = 0;
  const auto take = [&used, base](int64_t floats) {
    float* at = base + used;
    used += AlignedFloats(floats);
    return at;
  };
  const int64_t cols = p.pool->value_cols;
  const auto take_scales = [&take](int64_t count) {
    return reinterpret_cast<RowScale*>(take(count * static_cast<int64_t>(sizeof(RowScale) / sizeof(float))));
  };
  const int64_t sink_rows = p.q_sink ? rows : 0;
  w->q = {take(rows * cols), take_scales(rows)};
  w->q_sink = {take(sink_rows * cols), take_scales(sink_rows)};
  w->visible = reinterpret_cast<VisibleKeys*>(take(rows * static_cast<int64_t>(sizeof(VisibleKeys) / sizeof(float))));
  w->whole = {take(rows), take(rows), take(rows * kLanes), take(rows * cols)};
  w->part = {take(rows), take(rows), take(rows * kLanes), take(rows * cols)};
  w->scores = take(kRows * kTileKeys);
  w->sink_scores = take(kRows * kTileKeys);
  w->weight_scale = take_scales(kRows);
  return used;
}

template <class Format>
class ItemRunner {
 public:
  ItemRunner(const lanes_attention_params& params, const Workspace& workspace, const AttentionItem& work, float* partial_data)
      : p_(params),
        pool_(*params.pool),
        w_(workspace),
        item_(work),
        partials_(partial_data),
        group_(p_.heads / pool_.kv_heads),
        first_token_(p_.q_begin[item_.sequence]),
        strip_rows_((item_.rows + Strips(item_.rows) - 1) / Strips(item_.rows)),
        // With more rows a page is used long enough to come by itself.
        fetch_(item_.rows <= 2 * kRows),
        sinks_(p_.sinks != nullptr && p_.q_sink != nullptr ? p_.sinks[item_.sequence] : 0),
        pages_(p_.page_table + item_.sequence * p_.page_table_stride) {}

  void Run() {
    FindVisible();
    PackQueries(p_.q, w_.q);
    if (sinks_ > 0) PackQueries(p_.q_sink, w_.q_sink);
    bool begun = false;
    for (int64_t split = item_.split_begin; split < item_.split_end; ++split) {
      if (!RunSplit(split, begun ? w_.part : w_.whole)) continue;
      if (begun) Merge();
      begun = true;
    }
    if (item_.partial < 0) {
      WriteOutput(w_.whole);
    } else {
      WritePartial(w_.whole);
    }
  }

 private:
  // Strips of nearly equal height: 4 + 4 rows keep the multipliers busier than 6 + 2.
  static int32_t Strips(int32_t rows) { return (rows + kRows - 1) / kRows; }
  int StripRows(int64_t strip) const { return static_cast<int>(Lesser(strip_rows_, item_.rows - strip)); }

  int64_t Token(int64_t row) const { return (item_.row_begin + row) / group_; }
  const float* Input(const float* base, int64_t row) const {
    return base + (first_token_ + Token(row)) * p_.q_stride + HeadOffset(row);
  }
  int64_t HeadOffset(int64_t row) const {
    return (item_.kv_head * group_ + (item_.row_begin + row) % group_) * pool_.head_dim;
  }

  void FindVisible() const {
    const int64_t queries = p_.q_begin[item_.sequence + 1] - first_token_;
    const int64_t base = p_.kv_len[item_.sequence] - queries;
    for (int64_t r = 0; r < item_.rows; ++r) w_.visible[r] = VisibleTo(p_, item_.sequence, base + Token(r));
  }

  void PackQueries(const float* from, const Queries& to) const {
    const F32 factor = Set(static_cast<float>(p_.scale * 1.4426950408889634));
    for (int64_t r = 0; r < item_.rows; ++r) {
      const QueryRow row = {Input(from, r), pool_.head_dim, pool_.value_cols, factor};
      Format::PackQuery(row, to.units + r * pool_.value_cols, to.scale + r);
    }
  }

  // False when no row sees a key of this split.
  bool RunSplit(int64_t split, const RowStates& states) const {
    constexpr int64_t kTiles = LANES_SPLIT_TOKENS / kTileKeys;
    const VisibleKeys& earliest = w_.visible[0];
    const VisibleKeys& latest = w_.visible[item_.rows - 1];
    const int64_t begin = split * kTiles, end = begin + kTiles;
    const int64_t window_begin = earliest.begin / kTileKeys, window_end = (latest.end + kTileKeys - 1) / kTileKeys;
    const int64_t sink_end = Lesser((latest.sink_end + kTileKeys - 1) / kTileKeys, window_begin);
    const int64_t first = window_begin > begin ? window_begin : begin, last = Lesser(window_end, end);
    if (begin >= sink_end && first >= last) return false;
    for (int64_t r = 0; r < item_.rows; ++r) states.maximum[r] = -__builtin_inff();
    Clear(states.lane_sums, static_cast<int64_t>(item_.rows) * kLanes);
    Clear(states.output, static_cast<int64_t>(item_.rows) * pool_.value_cols);
    for (int64_t tile = begin; tile < Lesser(sink_end, end); ++tile) RunTile(tile, states, tile);
    for (int64_t tile = first; tile < last; ++tile) {
      RunTile(tile, states, tile + 1 < last ? tile + 1 : tile);
    }
    for (int64_t r = 0; r < item_.rows; ++r) states.sum[r] = ReduceAdd(Load(states.lane_sums + r * kLanes));
    return true;
  }

  static int64_t Lesser(int64_t a, int64_t b) { return a < b ? a : b; }
  static void Clear(float* data, int64_t floats) {
    for (int64_t i = 0; i < floats; i += kLanes) Store(data + i, Zero());
  }

  // A tile's page: its first key, and what it holds.
  struct Page {
    int64_t key;
    const unsigned char* keys;
    const float* scales;  // of keys, then of values: int8 pages
    const unsigned char* values;
    PageEnd end;
  };

  void RunTile(int64_t tile, const RowStates& states, int64_t next_tile) const {
    const unsigned char* block = KvBlock(&pool_, p_.layer, pages_[tile], item_.kv_head);
    const unsigned char* next = KvBlock(&pool_, p_.layer, pages_[next_tile], item_.kv_head);
    const unsigned char* block_end = block + pool_.block_bytes;
    const Page page = {tile * kTileKeys, block, reinterpret_cast<const float*>(block + ScaleOffset(&pool_)), block + pool_.key_bytes,
                       {block_end, next - block_end}};
    const int64_t key = page.key;
    for (int64_t strip = 0; strip < item_.rows; strip += strip_rows_) {
      const int rows = StripRows(strip);
      const VisibleKeys& earliest = w_.visible[strip];
      const VisibleKeys& latest = w_.visible[strip + rows - 1];
      const bool seen = key < latest.sink_end || (key < latest.end && key + kTileKeys > earliest.begin);
      if (!seen) continue;
      if (latest.begin <= key && earliest.end >= key + kTileKeys) {
        RunWholeStrip(page, strip, rows, states);
      } else {
        RunMaskedStrip(page, strip, rows, states);
      }
    }
  }

  // Every row sees every key.
  void RunWholeStrip(const Page& page, int64_t strip, int rows, const RowStates& states) const {
    float alpha[kRows];
    Scores(page, strip, rows, 0, kTileKeys);
    for (int r = 0; r < rows; ++r) alpha[r] = SoftmaxOf(page, strip, r, states);
    ValueArgs values = ValuesOf(page, strip, alpha, states);
    values.end = values.common_end = kTileKeys;
    TileFunctions<Format>::kValue[rows - 1](values);
  }

  // Each row sees its own part of the tile: before a window's begin, behind its last key, or between sinks and window it
  // must not even meet a zero weight times a value.
  void RunMaskedStrip(const Page& page, int64_t strip, int rows, const RowStates& states) const {
    KeySpan sink[kRows], window[kRows];
    float alpha[kRows];
    int lowest = kTileKeys, highest = 0;           // of all keys that a row sees
    int common_begin = 0, common_end = kTileKeys;  // keys that all rows see
    for (int r = 0; r < rows; ++r) {
      const VisibleKeys& visible = w_.visible[strip + r];
      sink[r] = SpanOf(page.key, 0, visible.sink_end);
      window[r] = SpanOf(page.key, visible.begin, visible.end);
      Cover(sink[r], &lowest, &highest);
      Cover(window[r], &lowest, &highest);
      if (window[r].begin > common_begin) common_begin = window[r].begin;
      if (window[r].end < common_end) common_end = window[r].end;
    }
    if (common_begin >= common_end) common_begin = common_end = lowest;
    Scores(page, strip, rows, lowest, highest);
    alignas(64) uint8_t seen[kTileKeys] = {};
    for (int j = common_begin; j < common_end; ++j) seen[j] = 0xFF;
    for (int r = 0; r < rows; ++r) {
      if (sink[r].begin == sink[r].end && window[r].begin == window[r].end) {
        alpha[r] = 1.0f;
        ClearWeights(r);
        continue;
      }
      MaskScores(w_.scores + r * kTileKeys, sink[r], window[r]);
      alpha[r] = SoftmaxOf(page, strip, r, states);
      See(r, sink[r].begin, sink[r].end, seen);
      See(r, window[r].begin, window[r].end < common_begin ? window[r].end : common_begin, seen);
      See(r, window[r].begin > common_end ? window[r].begin : common_end, window[r].end, seen);
    }
    ValueArgs values = ValuesOf(page, strip, alpha, states);
    values.begin = lowest;
    values.end = highest;
    values.common_begin = common_begin;
    values.common_end = common_end;
    values.seen = seen;
    TileFunctions<Format>::kValue[rows - 1](values);
  }

  static void Cover(const KeySpan& span, int* lowest, int* highest) {
    if (span.begin == span.end) return;
    if (span.begin < *lowest) *lowest = span.begin;
    if (span.end > *highest) *highest = span.end;
  }

  static void See(int r, int begin, int end, uint8_t* seen) {
    for (int j = begin; j < end; ++j) seen[j] = static_cast<uint8_t>(seen[j] | 1 << r);
  }

  // Of a row that sees nothing here: formats that multiply keys that are not seen count on weights of 0.
  void ClearWeights(int r) const {
    Clear(w_.scores + r * kTileKeys, kTileKeys);
    w_.weight_scale[r] = {0.0f, 0};
  }

  bool Fetches(int64_t strip) const { return fetch_ && strip == 0; }

  ValueArgs ValuesOf(const Page& page, int64_t strip, const float* alpha, const RowStates& states) const {
    ValueArgs values = {};
    values.weights = w_.scores;
    values.weight_scale = w_.weight_scale;
    values.alpha = alpha;
    values.values = page.values;
    values.pool = &pool_;
    values.output = states.output + strip * pool_.value_cols;
    values.fetch = Fetches(strip);
    values.page = page.end;
    return values;
  }

  // Scores of a strip with keys [begin, end) of the tile, and with whatever shares their vectors.
  void Scores(const Page& page, int64_t strip, int rows, int begin, int end) const {
    if (page.key >= sinks_) {
      ScoresFrom(w_.q, page, strip, rows, begin, end, w_.scores);
      return;
    }
    ScoresFrom(w_.q_sink, page, strip, rows, begin, end, w_.scores);
    if (page.key + end <= sinks_) return;
    ScoresFrom(w_.q, page, strip, rows, begin, end, w_.sink_scores);
    for (int r = 0; r < rows; ++r) {
      for (int64_t j = sinks_ - page.key; j < end; ++j) w_.scores[r * kTileKeys + j] = w_.sink_scores[r * kTileKeys + j];
    }
  }

  void ScoresFrom(const Queries& q, const Page& page, int64_t strip, int rows, int begin, int end, float* scores) const {
    ScoreArgs args = {};
    args.q = q.units + strip * pool_.value_cols;
    args.q_stride = pool_.value_cols;
    args.q_scale = q.scale + strip;
    args.keys = page.keys;
    args.key_scales = page.scales;
    args.units = pool_.key_units;
    args.begin = begin / kLanes;
    args.end = (end + kLanes - 1) / kLanes;
    args.scores = scores;
    args.fetch = Fetches(strip);
    args.page = page.end;
    TileFunctions<Format>::kScore[rows - 1](args);
  }

  static void MaskScores(float* scores, const KeySpan& sink, const KeySpan& window) {
    const F32 lowest = Set(-__builtin_inff());
    for (int v = 0; v < kTileKeys; v += kLanes) {
      const I32 key = Iota(v);
      const Mask seen = Or(InSpan(key, sink), InSpan(key, window));
      Store(scores + v, Select(seen, Load(scores + v), lowest));
    }
  }
  static Mask InSpan(I32 key, const KeySpan& span) { return And(LessI(SetI(span.begin - 1), key), LessI(key, SetI(span.end))); }

  float SoftmaxOf(const Page& page, int64_t strip, int r, const RowStates& states) const {
    return Softmax<Format>({w_.scores + r * kTileKeys, states.maximum + strip + r, states.lane_sums + (strip + r) * kLanes,
                            page.scales + kTileKeys, w_.weight_scale + r});
  }

  void Merge() const {
    const int64_t cols = pool_.value_cols;
    for (int64_t r = 0; r < item_.rows; ++r) {
      MergeRow(w_.whole.maximum + r, w_.whole.sum + r, w_.whole.output + r * cols, w_.part.maximum[r], w_.part.sum[r],
               w_.part.output + r * cols, pool_.value_cols);
    }
  }

  void WritePartial(const RowStates& states) const {
    const int64_t cols = pool_.value_cols;
    float* to = partials_ + item_.partial;
    for (int64_t i = 0; i < item_.rows * cols; i += kLanes) Store(to + i, Load(states.output + i));
    to += item_.rows * cols;
    for (int64_t r = 0; r < item_.rows; ++r) {
      to[r] = states.maximum[r];
      to[item_.rows + r] = states.sum[r];
    }
  }

  void WriteOutput(const RowStates& states) const {
    for (int64_t r = 0; r < item_.rows; ++r) WriteRow(r, states.output + r * pool_.value_cols, states.sum[r]);
  }

 public:
  void WriteRow(int64_t row, const float* output, float sum) const {
    const int64_t token = first_token_ + Token(row), head = HeadOffset(row), dim = pool_.head_dim;
    const F32 divisor = Set(sum);
    int64_t d = 0;
    if (p_.out_bf16 != nullptr) {
      uint16_t* out = p_.out_bf16 + token * p_.out_bf16_stride + head;
      for (; d + kLanes <= dim; d += kLanes) StoreBf16(out + d, Div(Load(output + d), divisor));
      if (d < dim) StoreBf16N(out + d, Div(Load(output + d), divisor), dim - d);
      return;
    }
    float* out = p_.out + token * p_.out_stride + head;
    for (; d + kLanes <= dim; d += kLanes) Store(out + d, Div(Load(output + d), divisor));
    if (d < dim) StoreN(out + d, Div(Load(output + d), divisor), dim - d);
  }

 private:
  const lanes_attention_params& p_;
  const lanes_kv_pool& pool_;
  const Workspace& w_;
  const AttentionItem& item_;
  float* const partials_;
  const int64_t group_;
  const int64_t first_token_;
  const int64_t strip_rows_;
  const bool fetch_;
  const int64_t sinks_;  // keys below this are scored with q_sink
  const int32_t* const pages_;
};

// Parts of the same rows, in order; the first one takes the others in.
template <class Format>
static void RunMerge(const lanes_attention_params& p, const Workspace& w, const AttentionItem* items, const AttentionMerge& merge,
                     float* partials) {
  const AttentionItem& first = items[merge.item_begin];
  const int64_t cols = p.pool->value_cols;
  const ItemRunner<Format> writer(p, w, first, partials);
  float* output = partials + first.partial;
  float* maximum = output + first.rows * cols;
  float* sum = maximum + first.rows;
  for (int64_t i = merge.item_begin + 1; i < merge.item_end; ++i) {
    const float* later = partials + items[i].partial;
    const float* later_maximum = later + first.rows * cols;
    for (int64_t r = 0; r < first.rows; ++r) {
      MergeRow(maximum + r, sum + r, output + r * cols, later_maximum[r], later_maximum[first.rows + r], later + r * cols,
               p.pool->value_cols);
    }
  }
  for (int64_t r = 0; r < first.rows; ++r) writer.WriteRow(r, output + r * cols, sum[r]);
}

template <class Format>
static void RunFormat(OpContext& context, const lanes_attention_params& p) {
  const int workers = Workers(context);
  AttentionPlan plan = {};
  const auto bytes = [](int64_t count, int64_t size) { return (count * size + 63) / 64 * 64; };
  const int64_t order_bytes = bytes(p.sequences, sizeof(AttentionOrder));
  plan.order = static_cast<AttentionOrder*>(Scratch(context, order_bytes));
  PlanAttention(p, workers, &plan);
  Workspace sizes;
  const int64_t workspace = LayOut(nullptr, p, plan.max_rows, &sizes);
  const int64_t item_bytes = bytes(plan.item_count, sizeof(AttentionItem));
  const int64_t merge_bytes = bytes(plan.merge_count, sizeof(AttentionMerge));
  const int64_t partial_bytes = bytes(plan.partial_floats, sizeof(float));
  char* scratch = static_cast<char*>(
      Scratch(context, order_bytes + item_bytes + merge_bytes + partial_bytes + workers * bytes(workspace, sizeof(float))));
  plan.order = reinterpret_cast<AttentionOrder*>(scratch);
  plan.items = reinterpret_cast<AttentionItem*>(scratch + order_bytes);
  plan.merges = reinterpret_cast<AttentionMerge*>(scratch + order_bytes + item_bytes);
  float* partials = reinterpret_cast<float*>(scratch + order_bytes + item_bytes + merge_bytes);
  float* workspaces = reinterpret_cast<float*>(scratch + order_bytes + item_bytes + merge_bytes + partial_bytes);
  PlanAttention(p, workers, &plan);
  int64_t next = 0;
  ParallelFor(context, workers, 1, [&](int64_t, int64_t, int worker) {
    Workspace w;
    LayOut(workspaces + worker * AlignedFloats(workspace), p, plan.max_rows, &w);
    // Largest first, whoever is free: in the order of the list.
    while (true) {
      const int64_t i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
      if (i >= plan.item_count) break;
      ItemRunner<Format>(p, w, plan.items[i], partials).Run();
    }
  });
  ParallelFor(context, plan.merge_count, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) RunMerge<Format>(p, sizes, plan.items, plan.merges[i], partials);
  });
}

// What this ISA does by itself; BF16 is EXACT without bfloat16 dot products, and F16 always is.
static void AttentionRun(OpContext& context, const lanes_attention_params& p) {
  switch (p.pool->dtype) {
    case LANES_F32:
      RunFormat<F32Format>(context, p);
      break;
    case LANES_BF16:
      RunFormat<Bf16Format>(context, p);
      break;
    case LANES_F16:
      RunFormat<F16Format>(context, p);
      break;
    default:
      RunFormat<S8Format>(context, p);
      break;
  }
}

}  // namespace LANES_ISA
}  // namespace lanes
