// The two products of attention on register tiles: scores = q k^T and output += weights v, for up to kRows rows and one tile
// of LANES_PAGE_TOKENS keys. A row's arithmetic is one chain for each output, in ascending order of the head dimension or of
// the keys, whatever the number of rows beside it. Include after the SIMD layer and format-inl.h.
#include "ops/kv_pool.h"

namespace lanes {
namespace LANES_ISA {

// Register tile: kRows x kColumns vectors of sums fill the registers but for the operands.
constexpr int kRows = 6;
constexpr int kColumns = kRegisters == 32 ? 4 : 2;

// With few rows pages come from memory, and are fetched ahead into the second-level cache, across the end of a page.
constexpr int64_t kFetchAhead = 8192;

// Where a page ends, and how far behind its end the page read next begins.
struct PageEnd {
  const unsigned char* end;
  int64_t next;
};

// The cache lines of `bytes` at `at`, which begin at a multiple of a line or share one.
static inline void FetchLines(const unsigned char* at, int64_t bytes, const PageEnd& page) {
  const unsigned char* ahead = at + kFetchAhead;
  if (ahead >= page.end) ahead += page.next;
  for (int64_t i = 0; i < bytes; i += 64) PrefetchL2(ahead + i);
}

struct ScoreArgs {
  const float* q;  // units of the rows
  int64_t q_stride;
  const RowScale* q_scale;  // s8: [rows]
  const unsigned char* keys;
  const float* key_scales;  // s8: [kTileKeys]
  int units;                // of a key
  int begin, end;           // vectors of keys
  float* scores;            // [rows][kTileKeys]
  bool fetch;
  PageEnd page;
};

static inline void StoreScores(float* scores, F32 sum, const ScoreArgs&, int, int) { Store(scores, sum); }
static inline void StoreScores(float* scores, I32 sum, const ScoreArgs& a, int row, int vector) {
  Store(scores, Mul(Mul(ToFloat(sum), Set(a.q_scale[row].power)), Load(a.key_scales + vector * kLanes)));
}

static inline void BeginScore(F32* sum, const ScoreArgs&, int) { *sum = Zero(); }
static inline void BeginScore(I32* sum, const ScoreArgs& a, int row) { *sum = SetI(a.q_scale[row].start); }

template <class Format, int R, int N>
static inline void ScoreChunk(const ScoreArgs& a, int vector) {
  typename Format::Sum sums[R][N];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) BeginScore(&sums[r][i], a, r);
  }
  constexpr int64_t kVectorBytes = Format::kUnitBytes * kLanes;
  const unsigned char* keys = a.keys + vector * kVectorBytes;
  const float* q = a.q;
  for (int u = 0; u < a.units; ++u) {
    if (a.fetch) FetchLines(keys, N * kVectorBytes, a.page);
    Format::template Add<R, N>(sums, q, a.q_stride, keys);
    q += Format::kRowUnits;
    keys += kTileKeys * Format::kUnitBytes;
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) StoreScores(a.scores + r * kTileKeys + (vector + i) * kLanes, sums[r][i], a, r, vector + i);
  }
}

template <class Format, int R>
static void ScoreTile(const ScoreArgs& a) {
  int i = a.begin;
  for (; i + kColumns <= a.end; i += kColumns) ScoreChunk<Format, R, kColumns>(a, i);
  switch (a.end - i) {
    case 3:
      ScoreChunk<Format, R, kColumns == 4 ? 3 : 1>(a, i);
      break;
    case 2:
      ScoreChunk<Format, R, 2>(a, i);
      break;
    case 1:
      ScoreChunk<Format, R, 1>(a, i);
      break;
    default:
      break;
  }
}

struct ValueArgs {
  const float* weights;       // units, [rows][kTileKeys]
  const RowScale* weight_scale;  // s8: [rows]
  const float* alpha;         // [rows]: what output is scaled with first
  const unsigned char* values;
  const lanes_kv_pool* pool;
  float* output;               // [rows][value_cols]
  int begin, end;              // keys that any row sees
  int common_begin, common_end;  // keys that all rows see
  const uint8_t* seen;         // [kTileKeys]: bit r, does row r see the key; for keys that not all of them see
  bool fetch;
  PageEnd page;
};

static inline void BeginOutput(F32* sum, const float* output, const ValueArgs& a, int row) {
  *sum = Mul(Load(output), Set(a.alpha[row]));
}
static inline void BeginOutput(I32* sum, const float*, const ValueArgs& a, int row) { *sum = SetI(a.weight_scale[row].start); }
static inline void EndOutput(float* output, F32 sum, const ValueArgs&, int) { Store(output, sum); }
static inline void EndOutput(float* output, I32 sum, const ValueArgs& a, int row) {
  Store(output, Fma(ToFloat(sum), Set(a.weight_scale[row].power), Mul(Load(output), Set(a.alpha[row]))));
}

// Keys as units: those of [begin, end) that all rows see, and those around them.
struct UnitRange {
  int begin, common_begin, common_end, end;
};
template <class Format>
static inline UnitRange UnitsOf(const ValueArgs& a) {
  constexpr int kPer = Format::kPerUnit;
  UnitRange range = {a.begin / kPer, (a.common_begin + kPer - 1) / kPer, a.common_end / kPer, (a.end + kPer - 1) / kPer};
  if (range.common_begin >= range.common_end) range.common_begin = range.common_end = range.begin;
  return range;
}

// Vectors [vector, vector + N) of a panel.
template <class Format, int R, int N>
static inline void ValueChunk(const ValueArgs& a, const UnitRange& range, const ValuePanel& panel, int vector) {
  constexpr int64_t kVectorBytes = Format::kUnitBytes * kLanes;
  const int64_t cols = a.pool->value_cols, row_bytes = Format::kUnitBytes * static_cast<int64_t>(panel.width);
  float* output = a.output + panel.column + vector * kLanes;
  typename Format::Sum sums[R][N];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) BeginOutput(&sums[r][i], output + r * cols + i * kLanes, a, r);
  }
  const unsigned char* units = a.values + panel.column * static_cast<int64_t>(kTileKeys) * Format::kUnitBytes / Format::kPerUnit +
                               vector * kVectorBytes + range.begin * row_bytes;
  const float* weights = a.weights + range.begin * Format::kRowUnits;
  int u = range.begin;
  const auto add_seen = [&](int end) {
    for (; u < end; ++u) {
      Format::template AddSeen<R, N>(sums, weights, kTileKeys, units, a.seen + u * Format::kPerUnit);
      weights += Format::kRowUnits;
      units += row_bytes;
    }
  };
  add_seen(range.common_begin);
  for (; u < range.common_end; ++u) {
    if (a.fetch) FetchLines(units, N * kVectorBytes, a.page);
    Format::template Add<R, N>(sums, weights, kTileKeys, units);
    weights += Format::kRowUnits;
    units += row_bytes;
  }
  add_seen(range.end);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) EndOutput(output + r * cols + i * kLanes, sums[r][i], a, r);
  }
}

// output[r] = alpha[r] * output[r] + the sum over the keys that row r sees of weight times value.
template <class Format, int R>
static void ValueTile(const ValueArgs& a) {
  const UnitRange range = UnitsOf<Format>(a);
  for (int32_t p = 0; p < ValuePanels(a.pool); ++p) {
    const ValuePanel panel = ValuePanelAt(a.pool, p);
    const int vectors = panel.width / kLanes;
    // Chunks of nearly equal width: a single leftover vector would leave the multipliers waiting.
    for (int done = 0, chunks = (vectors + kColumns - 1) / kColumns; chunks > 0; --chunks) {
      const int width = (vectors - done + chunks - 1) / chunks;
      switch (width) {
        case 4:
          ValueChunk<Format, R, kColumns>(a, range, panel, done);
          break;
        case 3:
          ValueChunk<Format, R, kColumns == 4 ? 3 : 1>(a, range, panel, done);
          break;
        case 2:
          ValueChunk<Format, R, 2>(a, range, panel, done);
          break;
        default:
          ValueChunk<Format, R, 1>(a, range, panel, done);
          break;
      }
      done += width;
    }
  }
}

template <class Format>
struct TileFunctions {
  // By number of rows, less one.
  static constexpr void (*kScore[kRows])(const ScoreArgs&) = {ScoreTile<Format, 1>, ScoreTile<Format, 2>, ScoreTile<Format, 3>,
                                                              ScoreTile<Format, 4>, ScoreTile<Format, 5>, ScoreTile<Format, 6>};
  static constexpr void (*kValue[kRows])(const ValueArgs&) = {ValueTile<Format, 1>, ValueTile<Format, 2>, ValueTile<Format, 3>,
                                                              ValueTile<Format, 4>, ValueTile<Format, 5>, ValueTile<Format, 6>};
};

}  // namespace LANES_ISA
}  // namespace lanes
