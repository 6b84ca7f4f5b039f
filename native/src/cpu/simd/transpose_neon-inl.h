// Transposition of 8 x 8 32-bit elements on NEON, with the functions of transpose-inl.h. Include after the SIMD layer.
#include <arm_neon.h>
#include <stdint.h>

namespace lanes {
namespace LANES_ISA {

constexpr int kOctet = 8;

struct Octet {
  float32x4_t low, high;
};

static inline Octet LoadOctet(const float* from) { return {vld1q_f32(from), vld1q_f32(from + 4)}; }
static inline void StoreOctet(float* to, Octet a) {
  vst1q_f32(to, a.low);
  vst1q_f32(to + 4, a.high);
}
static inline void StoreOctetN(float* to, Octet a, int64_t n) {
  StoreN(to, {a.low}, n < 4 ? n : 4);
  if (n > 4) StoreN(to + 4, {a.high}, n - 4);
}

static inline void TransposeQuarter(float32x4_t& a, float32x4_t& b, float32x4_t& c, float32x4_t& d) {
  const float64x2_t ab_even = vreinterpretq_f64_f32(vtrn1q_f32(a, b)), ab_odd = vreinterpretq_f64_f32(vtrn2q_f32(a, b));
  const float64x2_t cd_even = vreinterpretq_f64_f32(vtrn1q_f32(c, d)), cd_odd = vreinterpretq_f64_f32(vtrn2q_f32(c, d));
  a = vreinterpretq_f32_f64(vtrn1q_f64(ab_even, cd_even));
  b = vreinterpretq_f32_f64(vtrn1q_f64(ab_odd, cd_odd));
  c = vreinterpretq_f32_f64(vtrn2q_f64(ab_even, cd_even));
  d = vreinterpretq_f32_f64(vtrn2q_f64(ab_odd, cd_odd));
}

// rows[i][j] becomes rows[j][i].
static inline void Transpose(Octet (&rows)[kOctet]) {
  TransposeQuarter(rows[0].low, rows[1].low, rows[2].low, rows[3].low);
  TransposeQuarter(rows[0].high, rows[1].high, rows[2].high, rows[3].high);
  TransposeQuarter(rows[4].low, rows[5].low, rows[6].low, rows[7].low);
  TransposeQuarter(rows[4].high, rows[5].high, rows[6].high, rows[7].high);
  for (int i = 0; i < 4; ++i) {
    const float32x4_t upper_right = rows[i].high;
    rows[i].high = rows[4 + i].low;
    rows[4 + i].low = upper_right;
  }
}

}  // namespace LANES_ISA
}  // namespace lanes
