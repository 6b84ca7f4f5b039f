// How the units of a page (ops/kv_pool.h) are multiplied: by queries in scores = q k^T, by weights in output += weights v. Both are
// the same step, sums[r][i] += a[r] * units[i], where a[r] is what row r has for this unit. Include after the SIMD layer.
//
// A format has
//   Sum            lanes of a sum: F32, or I32 where sums are exact
//   kUnitBytes     of a unit of the page
//   kPerUnit       elements in it
//   kRowUnits      units of 32 bits that a row has for each unit of the page
//   Add            the step, for R rows `stride` apart and N vectors of units
//   PackQuery      a query as a row of units
//   AddSeen        the same over a unit of keys of which bit r of seen[j] says whether row r sees key j: the others must leave no
//                  trace, and may be NaN
// A row's sums are one chain over the units, in ascending order, whatever the number of rows beside it.
#include "ops/kv_pool.h"

namespace lanes {
namespace LANES_ISA {

// Of the 64 keys of a tile, units of one dimension lie side by side.
constexpr int kTileKeys = LANES_PAGE_TOKENS;
constexpr int kTileVectors = kTileKeys / kLanes;

// Vectors of units of 32 bits.
template <int N>
static inline void LoadUnits(const unsigned char* units, I32 (&to)[N]) {
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) to[i] = LoadI(reinterpret_cast<const int32_t*>(units) + i * kLanes);
}

// 16-bit integers for a block of numbers: `up` brings the largest magnitude, given by its bits, into [2^14, 2^15); `down` undoes
// it. Both are powers of two; `down` is NaN when the largest is infinite or NaN.
struct BlockPower {
  float up, down;
};
static inline BlockPower PowerOf(uint32_t largest_bits) {
  const uint32_t field = largest_bits >> 23 & 0xFF, exponent = field < 15 ? 15 : field;
  const uint32_t up = (268 - exponent) << 23, down = field == 0xFF ? 0x7FC00000 : (exponent - 14) << 23;
  BlockPower power;
  __builtin_memcpy(&power.up, &up, sizeof up);
  __builtin_memcpy(&power.down, &down, sizeof down);
  return power;
}

// What a row of 16-bit integers has besides: what its unit stands for, and what sums begin with, so that bytes count as the elements
// they stand for.
struct RowScale {
  float power;
  int32_t start;
};

// A head's query, and what it is multiplied with; `cols` is the head dimension with its padding, which becomes 0.
struct QueryRow {
  const float* x;
  int64_t dims, cols;
  F32 factor;

  F32 Scaled(int64_t d) const {
    const int64_t left = dims - d;
    return Mul(left >= kLanes ? Load(x + d) : left > 0 ? LoadN(x + d, left) : Zero(), factor);
  }
};

static inline Mask AllIf(bool condition) { return FirstLanes(condition ? kLanes : 0); }

static inline F32 LoadWide(const float* p) { return Load(p); }
static inline F32 LoadWide(const uint16_t* p) { return LoadF16(p); }

// One number a unit: float32, or an IEEE half, which is widened as it is loaded.
template <class Unit>
struct FloatFormat {
  using Sum = F32;
  static constexpr int kUnitBytes = sizeof(Unit), kPerUnit = 1, kRowUnits = 1;

  static inline void PackQuery(const QueryRow& query, float* units, RowScale*) {
    for (int64_t d = 0; d < query.cols; d += kLanes) Store(units + d, query.Scaled(d));
  }

  template <int N>
  static inline void LoadVectors(const unsigned char* units, F32 (&to)[N]) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) to[i] = LoadWide(reinterpret_cast<const Unit*>(units) + i * kLanes);
  }
  template <int R, int N>
  static inline void Add(F32 (&sums)[R][N], const float* a, int64_t stride, const unsigned char* units) {
    F32 x[N];
    LoadVectors<N>(units, x);
    AddProducts<R, N>(sums, a, stride, x);
  }
  template <int R, int N>
  static inline void AddSeen(F32 (&sums)[R][N], const float* a, int64_t stride, const unsigned char* units, const uint8_t* seen) {
    F32 x[N];
    LoadVectors<N>(units, x);
    AddSeenProducts<R, N>(sums, a, stride, x, seen[0]);
  }

  template <int R, int N>
  static inline void AddProducts(F32 (&sums)[R][N], const float* a, int64_t stride, const F32 (&x)[N]) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const F32 factor = Set(a[r * stride]);
#pragma GCC unroll 8
      for (int i = 0; i < N; ++i) sums[r][i] = Fma(factor, x[i], sums[r][i]);
    }
  }
  template <int R, int N>
  static inline void AddSeenProducts(F32 (&sums)[R][N], const float* a, int64_t stride, const F32 (&x)[N], uint8_t seen) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Mask sees = AllIf((seen >> r & 1) != 0);
      const F32 factor = Set(a[r * stride]);
#pragma GCC unroll 8
      for (int i = 0; i < N; ++i) sums[r][i] = Select(sees, Fma(factor, x[i], sums[r][i]), sums[r][i]);
    }
  }
};

using F32Format = FloatFormat<float>;
using F16Format = FloatFormat<uint16_t>;

// bfloat16 pages in float32 arithmetic: the two elements of a unit one after the other.
struct Bf16Format {
  using Sum = F32;
  static constexpr int kUnitBytes = 4, kPerUnit = 2, kRowUnits = 2;

  static inline void PackQuery(const QueryRow& query, float* units, RowScale* scale) {
    F32Format::PackQuery(query, units, scale);
  }

  template <int N>
  static inline void LoadHalf(const unsigned char* units, int half, F32 (&to)[N]) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
      const uint16_t* at = reinterpret_cast<const uint16_t*>(units) + 2 * i * kLanes;
      to[i] = half == 0 ? LoadBf16Even(at) : LoadBf16Odd(at);
    }
  }
  template <int R, int N>
  static inline void Add(F32 (&sums)[R][N], const float* a, int64_t stride, const unsigned char* units) {
    F32 x[N];
    LoadHalf<N>(units, 0, x);
    F32Format::AddProducts<R, N>(sums, a, stride, x);
    LoadHalf<N>(units, 1, x);
    F32Format::AddProducts<R, N>(sums, a + 1, stride, x);
  }
  template <int R, int N>
  static inline void AddSeen(F32 (&sums)[R][N], const float* a, int64_t stride, const unsigned char* units, const uint8_t* seen) {
    F32 x[N];
    LoadHalf<N>(units, 0, x);
    F32Format::AddSeenProducts<R, N>(sums, a, stride, x, seen[0]);
    LoadHalf<N>(units, 1, x);
    F32Format::AddSeenProducts<R, N>(sums, a + 1, stride, x, seen[1]);
  }
};

#if LANES_HAS_BF16_DOT
// bfloat16 pages in bfloat16 dot products: rows are pairs of bfloat16 too.
struct Bf16DotFormat {
  using Sum = F32;
  static constexpr int kUnitBytes = 4, kPerUnit = 2, kRowUnits = 1;

  static inline void PackQuery(const QueryRow& query, float* units, RowScale*) {
    for (int64_t d = 0; d < query.cols; d += kLanes) StoreBf16ForDot(reinterpret_cast<uint16_t*>(units) + d, query.Scaled(d));
  }

  template <int R, int N>
  static inline void Add(F32 (&sums)[R][N], const float* a, int64_t stride, const unsigned char* units) {
    I32 x[N];
    LoadUnits<N>(units, x);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const I32 pair = AsInt(Set(a[r * stride]));
#pragma GCC unroll 8
      for (int i = 0; i < N; ++i) sums[r][i] = DotBf16(pair, x[i], sums[r][i]);
    }
  }
  template <int R, int N>
  static inline void AddSeen(F32 (&sums)[R][N], const float* a, int64_t stride, const unsigned char* units, const uint8_t* seen) {
    I32 x[N];
    LoadUnits<N>(units, x);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const bool first = (seen[0] >> r & 1) != 0, second = (seen[1] >> r & 1) != 0;
      const Mask sees = AllIf(first || second);
      const I32 pair = AsInt(Set(a[r * stride]));
      // The weight of a key that is not seen is 0 already; its value need not be a number.
      const I32 halves = SetI((first ? 0xFFFF : 0) | (second ? static_cast<int32_t>(0xFFFF0000) : 0));
#pragma GCC unroll 8
      for (int i = 0; i < N; ++i) sums[r][i] = Select(sees, DotBf16(pair, AndI(x[i], halves), sums[r][i]), sums[r][i]);
    }
  }
};
#endif

// int8 pages: rows are 16-bit integers, sums are exact. Keys that are not seen have the weight 0.
struct S8Format {
  using Sum = I32;
  static constexpr int kUnitBytes = 4, kPerUnit = 4, kRowUnits = 2;

  static inline void PackQuery(const QueryRow& query, float* units, RowScale* scale) {
    I32 largest = SetI(0);
    for (int64_t d = 0; d < query.cols; d += kLanes) largest = MaxU(largest, AsInt(Abs(query.Scaled(d))));
    const BlockPower block = PowerOf(ReduceMaxU(largest));
    int16_t* to = reinterpret_cast<int16_t*>(units);
    for (int64_t d = 0; d < query.cols; d += kLanes) StoreS16(to + d, ToInt(Mul(query.Scaled(d), Set(block.up))));
    for (int64_t d = query.cols; d % (2 * kLanes) != 0; d += kLanes) StoreS16(to + d, SetI(0));
    *scale = {block.down, Start(units, query.cols)};
  }

  // Of `count` integers, with 0 behind them up to a whole vector.
  static inline int32_t Start(const float* units, int64_t count) {
    I32 sum = SetI(0);
    const int32_t* pairs = reinterpret_cast<const int32_t*>(units);
    for (int64_t i = 0; i < count / 2; i += kLanes) sum = DotS16(LoadI(pairs + i), SetI(0x00010001), sum);
    return -kS8Offset * ReduceAddI(sum);
  }

  template <int R, int N>
  static inline void AddPairs(I32 (&sums)[R][N], const float* a, int64_t stride, const I32 (&x)[N]) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const I32 pair = AsInt(Set(a[r * stride]));
#pragma GCC unroll 8
      for (int i = 0; i < N; ++i) sums[r][i] = DotS16(pair, x[i], sums[r][i]);
    }
  }
  template <int R, int N>
  static inline void Add(I32 (&sums)[R][N], const float* a, int64_t stride, const unsigned char* units) {
    I32 x[N];
    LoadUnits<N>(units, x);
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) x[i] = EvenBytes(x[i]);
    AddPairs<R, N>(sums, a, stride, x);
    LoadUnits<N>(units, x);
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) x[i] = OddBytes(x[i]);
    AddPairs<R, N>(sums, a + 1, stride, x);
  }
  template <int R, int N>
  static inline void AddSeen(I32 (&sums)[R][N], const float* a, int64_t stride, const unsigned char* units, const uint8_t*) {
    Add<R, N>(sums, a, stride, units);
  }
};

}  // namespace LANES_ISA
}  // namespace lanes
