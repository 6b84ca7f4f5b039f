// Online softmax of one row (Milakov and Gimelshein 2018), to base 2: the queries carry the factor log2(e). Include after the
// SIMD layer and tile-inl.h.

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

// Turns a row's scores of one tile (-infinity where masked) into weights, adds them to `lane_sums`, raises `maximum`, and
// returns the factor that what was summed before is to be scaled with. Without a new maximum that is exactly 1.
static inline float SoftmaxTile(float* scores, float* maximum, float* lane_sums) {
  F32 x[kTileVectors];
  for (int i = 0; i < kTileVectors; ++i) x[i] = Load(scores + i * kLanes);
  F32 largest = x[0];
  for (int i = 1; i < kTileVectors; ++i) largest = Max(largest, x[i]);
  const float before = *maximum, tile_maximum = ReduceMax(largest);
  const float after = tile_maximum > before ? tile_maximum : before;
  // While every score was -infinity, any finite base gives the weights 0.
  const F32 base = Set(after == -__builtin_inff() ? 0.0f : after);
  F32 sums = Load(lane_sums);
  float alpha = 1.0f;
  if (after != before) {
    const F32 factor = Exp2(Sub(Set(before), base));
    sums = Mul(sums, factor);
    alpha = First(factor);
    *maximum = after;
  }
  for (int i = 0; i < kTileVectors; ++i) {
    x[i] = Exp2(Sub(x[i], base));
    Store(scores + i * kLanes, x[i]);
  }
  for (int step = 1; step < kTileVectors; step *= 2) {
    for (int i = 0; i + step < kTileVectors; i += 2 * step) x[i] = Add(x[i], x[i + step]);
  }
  Store(lane_sums, Add(sums, x[0]));
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
