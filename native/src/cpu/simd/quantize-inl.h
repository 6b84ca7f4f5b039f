// Rows as int8. Contract: "Quantized rows" in lanes.h. Include after the SIMD layer.
#include <string.h>

#include "ops/quantize.h"

namespace lanes {
namespace LANES_ISA {

// The largest |x| seen, as bits: in them NaN is larger than infinity, and infinity than any number.
struct Largest {
  I32 bits = SetI(0);
  void See(F32 x) { bits = MaxI(bits, AsInt(Abs(x))); }
  void Join(const Largest& other) { bits = MaxI(bits, other.bits); }
  int32_t Reduce() const {
    alignas(64) int32_t lanes[kLanes];
    StoreI(lanes, bits);
    int32_t most = lanes[0];
    for (int i = 1; i < kLanes; ++i) most = lanes[i] > most ? lanes[i] : most;
    return most;
  }
};

// Turns the elements of one row into int8, once all of them have been seen.
class RowQuantizer {
 public:
  RowQuantizer() = default;
  RowQuantizer(const Quantization& how, const Largest& largest) : lowest_(how.lowest) {
    constexpr int32_t kInfinity = 0x7F800000;
    const int32_t most = largest.Reduce();
    if (most > kInfinity || (how.measured && most == kInfinity)) {
      scale_ = __builtin_nanf("");
    } else {
      scale_ = how.measured ? __builtin_bit_cast(float, most) / 127.0f : how.scale;
    }
    // Outside the reciprocal has too few digits, or none: NaN is clear of nothing.
    reciprocal_ = scale_ > 1e-36f && scale_ < 1e36f ? 1.0f / scale_ : __builtin_nanf("");
  }

  float scale() const { return scale_; }
  // The row is all zeros: its scale is 0 or NaN. Convert must not be called.
  bool zero() const { return !(scale_ > 0); }
  // Where x times the reciprocal stays clear of the middle between two integers, the division rounds to the same one: up to 128
  // the product is within 2^-15 of it. So few vectors divide.
  I32 Convert(F32 x) const {
    F32 ratio = Mul(x, Set(reciprocal_));
    const Mask clear = Less(Abs(Sub(ratio, Round(ratio))), Set(0.4999f));
    if (MaskBits(Not(clear)) != 0) ratio = Div(x, Set(scale_));
    return ToInt(Min(Max(ratio, Set(lowest_)), Set(127.0f)));
  }
  // n elements of a row, which may be all zeros.
  void ConvertRow(const float* x, int64_t n, int8_t* q) const {
    if (zero()) {
      memset(q, 0, static_cast<size_t>(n));
      return;
    }
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) StoreS8(q + i, Convert(Load(x + i)));
    if (i < n) StoreS8N(q + i, Convert(LoadN(x + i, n - i)), n - i);
  }

 private:
  float scale_ = 0, reciprocal_ = 0, lowest_ = 0;
};

static inline Largest LargestOf(const float* x, int64_t n) {
  Largest largest[4];
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int s = 0; s < 4; ++s) largest[s].See(Load(x + i + s * kLanes));
  }
  for (; i < n; i += kLanes) largest[0].See(LoadN(x + i, n - i < kLanes ? n - i : kLanes));
  for (int s = 1; s < 4; ++s) largest[0].Join(largest[s]);
  return largest[0];
}

// A row of n floats; returns its scale.
static inline float QuantizeRow(const Quantization& how, const float* x, int64_t n, int8_t* q) {
  const RowQuantizer quantizer(how, LargestOf(x, n));
  quantizer.ConvertRow(x, n, q);
  return quantizer.scale();
}

}  // namespace LANES_ISA
}  // namespace lanes
