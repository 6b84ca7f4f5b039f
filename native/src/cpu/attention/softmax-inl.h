// Online softmax of one row (Milakov and Gimelshein 2018), to base 2: the queries carry the factor log2(e). Include after the
// SIMD layer and format-inl.h.

namespace lanes {
namespace LANES_ISA {

// 2^x for x <= 0, 0 below 2^-127, NaN for NaN. Minimax polynomial, relative error 2e-9 before rounding.
static inline F32 Exp2(F32 x) {
  // Adding this rounds to an integer, and leaves that integer plus the exponent's bias in the lowest bits.
  const F32 magic = Set(12582912.0f + 127.0f);
  x = Max(Set(-127.0f), x);
  const F32 shifted = Add(x, magic);
  const F32 f = Sub(x, Sub(shifted, magic));
  F32 p = Set(1.535331248e-4f);
  p = Fma(p, f, Set(1.339886105e-3f));
  p = Fma(p, f, Set(9.618437849e-3f));
  p = Fma(p, f, Set(5.550332367e-2f));
  p = Fma(p, f, Set(2.402264774e-1f));
  p = Fma(p, f, Set(6.931471825e-1f));
  p = Fma(p, f, Set(1.0f));
  return Mul(p, AsFloat(ShiftLeft<23>(AsInt(shifted))));
}

// Raises `maximum` to a tile's largest score; returns the factor that what was summed before is to be scaled with, which is
// exactly 1 without a new maximum, and scales `sums` with it. `base` is what the weights' exponents count from.
static inline float RaiseMaximum(const F32 (&x)[kTileVectors], float* maximum, F32* sums, F32* base) {
  F32 largest = x[0];
  for (int i = 1; i < kTileVectors; ++i) largest = Max(largest, x[i]);
  float after = *maximum, alpha = 1.0f;
  // Only a few tiles raise it. Asking for that first lets the exponentials begin before the answer is there.
  if (MaskBits(Less(Set(after), largest)) != 0) {
    const float before = after, tile_maximum = ReduceMax(largest);
    if (tile_maximum > before) after = tile_maximum;
    const F32 factor = Exp2(Sub(Set(before), Set(after)));
    *sums = Mul(*sums, factor);
    *maximum = after;
    alpha = First(factor);
  }
  // While every score was -infinity, any finite base gives the weights 0.
  *base = Set(after == -__builtin_inff() ? 0.0f : after);
  return alpha;
}

// A row of one tile: scores, which become weights.
struct SoftmaxRow {
  float* scores;             // [kTileKeys], -infinity where masked; the weights, as the format multiplies them
  float* maximum;
  float* lane_sums;          // [kLanes]
  const float* value_scales;  // s8: [kTileKeys]
  RowScale* weight_scale;     // s8
};

// Adds the weights of a row to its lane sums.
static inline void AddWeights(F32 (&x)[kTileVectors], F32 sums, float* lane_sums) {
  for (int step = 1; step < kTileVectors; step *= 2) {
    for (int i = 0; i + step < kTileVectors; i += 2 * step) x[i] = Add(x[i], x[i + step]);
  }
  Store(lane_sums, Add(sums, x[0]));
}

// Turns scores into weights, adds them up, and returns what RaiseMaximum does.
template <class Format>
static inline float Softmax(const SoftmaxRow& row) {
  F32 x[kTileVectors], base, sums = Load(row.lane_sums);
  for (int i = 0; i < kTileVectors; ++i) x[i] = Load(row.scores + i * kLanes);
  const float alpha = RaiseMaximum(x, row.maximum, &sums, &base);
  for (int i = 0; i < kTileVectors; ++i) {
    x[i] = Exp2(Sub(x[i], base));
    Store(row.scores + i * kLanes, x[i]);
  }
  AddWeights(x, sums, row.lane_sums);
  return alpha;
}

#if LANES_HAS_BF16_DOT
// Weights are rounded to pairs of bfloat16, and summed as rounded.
template <>
inline float Softmax<Bf16DotFormat>(const SoftmaxRow& row) {
  F32 x[kTileVectors], base, sums = Load(row.lane_sums);
  for (int i = 0; i < kTileVectors; ++i) x[i] = Load(row.scores + i * kLanes);
  const float alpha = RaiseMaximum(x, row.maximum, &sums, &base);
  const I32 ones = SetI(0x3F803F80);
  for (int i = 0; i < kTileVectors; i += 2) {
    const I32 pairs = NarrowBf16(Exp2(Sub(x[i], base)), Exp2(Sub(x[i + 1], base)));
    StoreI(reinterpret_cast<int32_t*>(row.scores + i / 2 * kLanes), pairs);
    sums = DotBf16(pairs, ones, sums);
  }
  Store(row.lane_sums, sums);
  return alpha;
}
#endif

// Weights times the values' scales become 16-bit integers times a power of two.
template <>
inline float Softmax<S8Format>(const SoftmaxRow& row) {
  F32 x[kTileVectors], base, sums = Load(row.lane_sums);
  for (int i = 0; i < kTileVectors; ++i) x[i] = Load(row.scores + i * kLanes);
  const float alpha = RaiseMaximum(x, row.maximum, &sums, &base);
  F32 scaled[kTileVectors];
  I32 largest = SetI(0);
  for (int i = 0; i < kTileVectors; ++i) {
    x[i] = Exp2(Sub(x[i], base));
    // The scale of a key that is not seen may be NaN.
    scaled[i] = Select(Equal(x[i], Zero()), Zero(), Mul(x[i], Load(row.value_scales + i * kLanes)));
    largest = MaxU(largest, AsInt(scaled[i]));
  }
  const BlockPower power = PowerOf(ReduceMaxU(largest));
  int16_t* weights = reinterpret_cast<int16_t*>(row.scores);
  for (int i = 0; i < kTileVectors; ++i) StoreS16(weights + i * kLanes, ToInt(Mul(scaled[i], Set(power.up))));
  *row.weight_scale = {power.down, S8Format::Start(row.scores, kTileKeys)};
  AddWeights(x, sums, row.lane_sums);
  return alpha;
}

// Merges the part (maximum, sum, output) of later keys into that of earlier ones. A part without weight leaves no trace.
static inline void MergeRow(float* maximum, float* sum, float* output, float later_maximum, float later_sum,
                            const float* later_output, int cols) {
  if (later_sum == 0.0f) return;
  if (*sum == 0.0f) {
    *maximum = later_maximum;
    *sum = later_sum;
    for (int c = 0; c < cols; c += kLanes) Store(output + c, Load(later_output + c));
    return;
  }
  const float after = later_maximum > *maximum ? later_maximum : *maximum;
  const F32 factor = Exp2(Sub(Set(*maximum), Set(after))), later_factor = Exp2(Sub(Set(later_maximum), Set(after)));
  *maximum = after;
  *sum = First(Fma(Set(later_sum), later_factor, Mul(Set(*sum), factor)));
  for (int c = 0; c < cols; c += kLanes) {
    Store(output + c, Fma(Load(later_output + c), later_factor, Mul(Load(output + c), factor)));
  }
}

}  // namespace LANES_ISA
}  // namespace lanes
