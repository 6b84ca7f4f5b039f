// The two products of attention on register tiles: scores = q k^T and output += weights v, for up to kRows rows and one tile
// of LANES_PAGE_TOKENS keys. A row's arithmetic is one chain of fused multiply-adds for each output, in ascending order of the
// head dimension or of the keys, whatever the number of rows beside it. Include after the SIMD layer.

namespace lanes {
namespace LANES_ISA {

// Register tile: kRows x kColumns vectors of sums fill the registers but for the operands.
constexpr int kRows = 6;
constexpr int kColumns = kRegisters == 32 ? 4 : 2;
// With few rows the pages come from memory: fetched ahead, they come at its full speed.
constexpr int kFewRows = 4;
constexpr int64_t kPrefetchBytes = 4096;
constexpr int kTileKeys = LANES_PAGE_TOKENS;
constexpr int kTileVectors = kTileKeys / kLanes;

static inline void PrefetchAhead(const void* at, int64_t bytes) {
  Prefetch(static_cast<const char*>(at) + kPrefetchBytes + bytes);
}

// Adds the outer product of one dimension of R queries (`stride` apart) and N vectors of keys.
template <int R, int N>
static inline void AddOuter(F32 (&sums)[R][N], const float* q, int64_t stride, const F32 (&operand)[N]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const F32 broadcast = Set(q[r * stride]);
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) sums[r][i] = Fma(broadcast, operand[i], sums[r][i]);
  }
}

template <int R, int N>
static inline void SumScores(F32 (&sums)[R][N], const float* q, int64_t stride, const float* keys, int dims) {
  for (int d = 0; d < dims; ++d) {
    F32 k[N];
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
      if (R <= kFewRows) PrefetchAhead(keys + i * kLanes, 0);
      k[i] = Load(keys + i * kLanes);
    }
    AddOuter<R, N>(sums, q + d, stride, k);
    keys += kTileKeys;
  }
}

template <int R, int N>
static inline void SumScores(F32 (&sums)[R][N], const float* q, int64_t stride, const uint16_t* keys, int dims) {
  for (int d = 0; d < dims; d += 2) {
    F32 even[N], odd[N];
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
      if (R <= kFewRows) PrefetchAhead(keys + 2 * i * kLanes, 0);
      LoadBf16Pairs(keys + 2 * i * kLanes, &even[i], &odd[i]);
    }
    AddOuter<R, N>(sums, q + d, stride, even);
    AddOuter<R, N>(sums, q + d + 1, stride, odd);
    keys += 2 * kTileKeys;
  }
}

// scores[r][i] for R queries and N vectors of keys.
template <int R, int N, class T>
static inline void ScoreChunk(const float* q, int64_t stride, const T* keys, int dims, float* scores) {
  F32 sums[R][N];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) sums[r][i] = Zero();
  }
  SumScores<R, N>(sums, q, stride, keys, dims);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) Store(scores + r * kTileKeys + i * kLanes, sums[r][i]);
  }
}

// Keys of a tile lie side by side, in bf16 with their dimensions in pairs.
static inline const float* KeyVector(const float* keys, int vector) { return keys + vector * kLanes; }
static inline const uint16_t* KeyVector(const uint16_t* keys, int vector) { return keys + 2 * vector * kLanes; }

// scores [R][kTileKeys] for the key vectors [begin, end) of a tile.
template <int R, class T>
static void ScoreTile(const float* q, int64_t stride, const T* keys, int dims, int begin, int end, float* scores) {
  int i = begin;
  for (; i + kColumns <= end; i += kColumns) ScoreChunk<R, kColumns>(q, stride, KeyVector(keys, i), dims, scores + i * kLanes);
  switch (end - i) {
    case 3:
      ScoreChunk<R, kColumns == 4 ? 3 : 1>(q, stride, KeyVector(keys, i), dims, scores + i * kLanes);
      break;
    case 2:
      ScoreChunk<R, 2>(q, stride, KeyVector(keys, i), dims, scores + i * kLanes);
      break;
    case 1:
      ScoreChunk<R, 1>(q, stride, KeyVector(keys, i), dims, scores + i * kLanes);
      break;
    default:
      break;
  }
}

// Keys of a tile after whose values the prefetch distance leads beyond the page.
static inline int PrefetchedKeys(int cols, int64_t element_bytes) {
  return kTileKeys - static_cast<int>(kPrefetchBytes / (cols * element_bytes));
}

// sums[r][i] += weights[r][j] * values[j] for keys [begin, end).
template <int R, int N>
static inline void SumValues(F32 (&sums)[R][N], const float* weights, const float* values, int cols, int begin, int end,
                             int64_t next) {
  const int fetch_end = PrefetchedKeys(cols, sizeof(float));
  for (int j = begin; j < end; ++j) {
    F32 v[N];
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
      const float* at = values + static_cast<int64_t>(j) * cols + i * kLanes;
      if (R <= kFewRows) PrefetchAhead(at, j < fetch_end ? 0 : next);
      v[i] = Load(at);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const F32 weight = Set(weights[r * kTileKeys + j]);
#pragma GCC unroll 8
      for (int i = 0; i < N; ++i) sums[r][i] = Fma(weight, v[i], sums[r][i]);
    }
  }
}

template <int R, int N>
static inline void AddValue(F32 (&sums)[R][N], const float* weights, const F32 (&v)[N]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const F32 weight = Set(weights[r * kTileKeys]);
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) sums[r][i] = Fma(weight, v[i], sums[r][i]);
  }
}

// Values of two keys are interleaved; a range may begin or end inside a pair.
template <int R, int N>
static inline void SumValues(F32 (&sums)[R][N], const float* weights, const uint16_t* values, int cols, int begin, int end,
                             int64_t next) {
  const int fetch_end = PrefetchedKeys(cols, sizeof(uint16_t));
  for (int j = begin & ~1; j < end; j += 2) {
    F32 even[N], odd[N];
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
      const uint16_t* at = values + static_cast<int64_t>(j) * cols + 2 * i * kLanes;
      if (R <= kFewRows) PrefetchAhead(at, j < fetch_end ? 0 : next);
      LoadBf16Pairs(at, &even[i], &odd[i]);
    }
    if (j >= begin) AddValue<R, N>(sums, weights + j, even);
    if (j + 1 < end) AddValue<R, N>(sums, weights + j + 1, odd);
  }
}

template <int R, int N, class T>
static inline void ValueChunk(const float* weights, const T* values, int cols, int begin, int end, const float* alpha,
                              float* output, int64_t next) {
  F32 sums[R][N];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const F32 scale = Set(alpha[r]);
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) sums[r][i] = Mul(Load(output + r * cols + i * kLanes), scale);
  }
  SumValues<R, N>(sums, weights, values, cols, begin, end, next);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) Store(output + r * cols + i * kLanes, sums[r][i]);
  }
}

static inline const float* ValueColumn(const float* values, int column) { return values + column; }
static inline const uint16_t* ValueColumn(const uint16_t* values, int column) { return values + 2 * column; }

// output[r] = alpha[r] * output[r] + sum over keys [begin, end) of weights[r][j] * values[j]; `cols` is a multiple of 16. The
// page read next begins `next` bytes behind the end of this one.
template <int R, class T>
static void ValueTile(const float* weights, const T* values, int cols, int begin, int end, const float* alpha, float* output,
                      int64_t next) {
  const int vectors = cols / kLanes;
  // Chunks of nearly equal width: a single leftover vector would leave the multipliers waiting.
  int chunks = (vectors + kColumns - 1) / kColumns, done = 0;
  for (; chunks > 0; --chunks) {
    const int width = (vectors - done + chunks - 1) / chunks, column = done * kLanes;
    const T* v = ValueColumn(values, column);
    switch (width) {
      case 4:
        ValueChunk<R, kColumns>(weights, v, cols, begin, end, alpha, output + column, next);
        break;
      case 3:
        ValueChunk<R, kColumns == 4 ? 3 : 1>(weights, v, cols, begin, end, alpha, output + column, next);
        break;
      case 2:
        ValueChunk<R, 2>(weights, v, cols, begin, end, alpha, output + column, next);
        break;
      default:
        ValueChunk<R, 1>(weights, v, cols, begin, end, alpha, output + column, next);
        break;
    }
    done += width;
  }
}

template <class T>
struct TileFunctions {
  using Score = void (*)(const float* q, int64_t stride, const T* keys, int dims, int begin, int end, float* scores);
  using Value = void (*)(const float* weights, const T* values, int cols, int begin, int end, const float* alpha, float* output,
                         int64_t next);
  // By number of rows, less one.
  static constexpr Score kScore[kRows] = {ScoreTile<1, T>, ScoreTile<2, T>, ScoreTile<3, T>,
                                          ScoreTile<4, T>, ScoreTile<5, T>, ScoreTile<6, T>};
  static constexpr Value kValue[kRows] = {ValueTile<1, T>, ValueTile<2, T>, ValueTile<3, T>,
                                          ValueTile<4, T>, ValueTile<5, T>, ValueTile<6, T>};
};

}  // namespace LANES_ISA
}  // namespace lanes
