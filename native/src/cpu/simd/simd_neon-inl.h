// The SIMD layer on NEON (Advanced SIMD of ARMv8-A): 4 float32 lanes. The functions are those of simd_avx2-inl.h, where each is
// described. Include it once in an ISA's translation unit, after defining LANES_ISA.
#include <arm_neon.h>
#include <stdint.h>

namespace lanes {
namespace LANES_ISA {

constexpr int kLanes = 4;
constexpr int kRegisters = 32;

struct F32 {
  float32x4_t v;
};
struct I32 {
  int32x4_t v;
};
struct Mask {
  uint32x4_t v;  // all ones or all zeros in each lane
};

static inline F32 Zero() { return {vdupq_n_f32(0.0f)}; }
static inline F32 Set(float x) { return {vdupq_n_f32(x)}; }
static inline F32 Load(const float* p) { return {vld1q_f32(p)}; }
static inline F32 LoadN(const float* p, int64_t n) {
  if (n >= kLanes) return Load(p);
  float32x4_t v = vdupq_n_f32(0.0f);
  if (n >= 1) v = vld1q_lane_f32(p, v, 0);
  if (n >= 2) v = vld1q_lane_f32(p + 1, v, 1);
  if (n >= 3) v = vld1q_lane_f32(p + 2, v, 2);
  return {v};
}
static inline void Store(float* p, F32 a) { vst1q_f32(p, a.v); }
static inline void StoreN(float* p, F32 a, int64_t n) {
  if (n >= kLanes) {
    Store(p, a);
    return;
  }
  if (n >= 1) vst1q_lane_f32(p, a.v, 0);
  if (n >= 2) vst1q_lane_f32(p + 1, a.v, 1);
  if (n >= 3) vst1q_lane_f32(p + 2, a.v, 2);
}

static inline F32 Add(F32 a, F32 b) { return {vaddq_f32(a.v, b.v)}; }
static inline F32 Sub(F32 a, F32 b) { return {vsubq_f32(a.v, b.v)}; }
static inline F32 Mul(F32 a, F32 b) { return {vmulq_f32(a.v, b.v)}; }
static inline F32 Div(F32 a, F32 b) { return {vdivq_f32(a.v, b.v)}; }
static inline F32 Sqrt(F32 a) { return {vsqrtq_f32(a.v)}; }
static inline F32 Fma(F32 a, F32 b, F32 c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
static inline F32 Fnma(F32 a, F32 b, F32 c) { return {vfmsq_f32(c.v, a.v, b.v)}; }
static inline F32 Fms(F32 a, F32 b, F32 c) { return {vfmaq_f32(vnegq_f32(c.v), a.v, b.v)}; }
// FMAX would hand on a NaN of either operand, and prefer 0 to -0.
static inline F32 Max(F32 a, F32 b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
static inline F32 Min(F32 a, F32 b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
static inline F32 Abs(F32 a) { return {vabsq_f32(a.v)}; }
static inline F32 Neg(F32 a) { return {vnegq_f32(a.v)}; }
static inline F32 CopySign(F32 magnitude, F32 sign) { return {vbslq_f32(vdupq_n_u32(0x80000000u), sign.v, magnitude.v)}; }
static inline F32 Round(F32 a) { return {vrndnq_f32(a.v)}; }

static inline Mask Less(F32 a, F32 b) { return {vcltq_f32(a.v, b.v)}; }
static inline Mask Equal(F32 a, F32 b) { return {vceqq_f32(a.v, b.v)}; }
static inline Mask IsNan(F32 a) { return {vmvnq_u32(vceqq_f32(a.v, a.v))}; }
static inline Mask And(Mask a, Mask b) { return {vandq_u32(a.v, b.v)}; }
static inline Mask Or(Mask a, Mask b) { return {vorrq_u32(a.v, b.v)}; }
static inline Mask Not(Mask a) { return {vmvnq_u32(a.v)}; }
static inline int32x4_t Indices() {
  const int32x4_t indices = {0, 1, 2, 3};
  return indices;
}
static inline Mask FirstLanes(int64_t n) { return {vcgtq_s32(vdupq_n_s32(static_cast<int32_t>(n)), Indices())}; }
static inline uint32_t MaskBits(Mask a) {
  const uint32x4_t bits = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(a.v, bits));
}
static inline F32 Select(Mask m, F32 yes, F32 no) { return {vbslq_f32(m.v, yes.v, no.v)}; }

static inline I32 SetI(int32_t x) { return {vdupq_n_s32(x)}; }
static inline I32 Iota(int32_t first) { return {vaddq_s32(vdupq_n_s32(first), Indices())}; }
static inline I32 LoadI(const int32_t* p) { return {vld1q_s32(p)}; }
static inline void StoreI(int32_t* p, I32 a) { vst1q_s32(p, a.v); }
static inline I32 AddI(I32 a, I32 b) { return {vaddq_s32(a.v, b.v)}; }
static inline I32 SubI(I32 a, I32 b) { return {vsubq_s32(a.v, b.v)}; }
static inline I32 AndI(I32 a, I32 b) { return {vandq_s32(a.v, b.v)}; }
static inline I32 XorI(I32 a, I32 b) { return {veorq_s32(a.v, b.v)}; }
static inline I32 MaxI(I32 a, I32 b) { return {vmaxq_s32(a.v, b.v)}; }
static inline I32 MaxU(I32 a, I32 b) {
  return {vreinterpretq_s32_u32(vmaxq_u32(vreinterpretq_u32_s32(a.v), vreinterpretq_u32_s32(b.v)))};
}
static inline Mask LessI(I32 a, I32 b) { return {vcltq_s32(a.v, b.v)}; }
template <int kBits>
static inline I32 ShiftLeft(I32 a) { return {vshlq_n_s32(a.v, kBits)}; }
template <int kBits>
static inline I32 ShiftRightArithmetic(I32 a) { return {vshrq_n_s32(a.v, kBits)}; }
static inline I32 SelectI(Mask m, I32 yes, I32 no) { return {vbslq_s32(m.v, yes.v, no.v)}; }
static inline I32 ToInt(F32 a) { return {vcvtnq_s32_f32(a.v)}; }
static inline F32 ToFloat(I32 a) { return {vcvtq_f32_s32(a.v)}; }
static inline F32 AsFloat(I32 a) { return {vreinterpretq_f32_s32(a.v)}; }
static inline I32 AsInt(F32 a) { return {vreinterpretq_s32_f32(a.v)}; }

static inline F32 SwapNeighbours(F32 a) { return {vrev64q_f32(a.v)}; }

static inline float First(F32 a) { return vgetq_lane_f32(a.v, 0); }

static inline float ReduceAdd(F32 a) {
  const float32x2_t pair = vadd_f32(vget_low_f32(a.v), vget_high_f32(a.v));
  return vget_lane_f32(pair, 0) + vget_lane_f32(pair, 1);
}
static inline float ReduceMax(F32 a) {
  const F32 pair = Max(a, {vextq_f32(a.v, a.v, 2)});
  return First(Max(pair, SwapNeighbours(pair)));
}

static inline I32 LoadS8(const int8_t* p) {
  int32_t four;
  __builtin_memcpy(&four, p, sizeof four);
  return {vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)))))};
}
static inline void StoreS8N(int8_t* p, I32 a, int64_t n) {
  const int16x4_t halves = vmovn_s32(a.v);
  const int8x8_t bytes = vmovn_s16(vcombine_s16(halves, halves));
  __builtin_memcpy(p, &bytes, static_cast<uint64_t>(n));
}
static inline void StoreS8(int8_t* p, I32 a) { StoreS8N(p, a, kLanes); }
static inline I32 EvenS8(I32 a) { return {vreinterpretq_s32_s16(vshrq_n_s16(vshlq_n_s16(vreinterpretq_s16_s32(a.v), 8), 8))}; }
static inline I32 OddS8(I32 a) { return {vreinterpretq_s32_s16(vshrq_n_s16(vreinterpretq_s16_s32(a.v), 8))}; }
static inline int32_t ReduceAddI(I32 a) { return vaddvq_s32(a.v); }
static inline uint32_t ReduceMaxU(I32 a) { return vmaxvq_u32(vreinterpretq_u32_s32(a.v)); }

static inline I32 EvenBytes(I32 a) { return AndI(a, SetI(0x00FF00FF)); }
static inline I32 OddBytes(I32 a) { return {vreinterpretq_s32_u16(vshrq_n_u16(vreinterpretq_u16_s32(a.v), 8))}; }
static inline I32 DotS16(I32 a, I32 b, I32 sum) {
  const int16x8_t x = vreinterpretq_s16_s32(a.v), y = vreinterpretq_s16_s32(b.v);
  return {vaddq_s32(sum.v, vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y)))};
}
static inline void StoreS16(int16_t* p, I32 a) { vst1_s16(p, vqmovn_s32(a.v)); }
#if defined(__ARM_FEATURE_DOTPROD)
#define LANES_HAS_S8_DOT 1
#define LANES_S8_DOT_BIAS 0
static inline I32 DotS8(I32 a, I32 b, I32 sum) {
  return {vdotq_s32(sum.v, vreinterpretq_s8_s32(a.v), vreinterpretq_s8_s32(b.v))};
}
#else
#define LANES_HAS_S8_DOT 0
#endif

#if defined(__ARM_FEATURE_MATMUL_INT8)
#define LANES_HAS_S8_MATRIX 1
// Lanes 0 and 1 of two rows, which hold four int8 each.
static inline I32 LoadRowPair(const int32_t* first, const int32_t* second) {
  return {vcombine_s32(vld1_s32(first), vld1_s32(second))};
}
// Of two steps of kLanes outputs: both steps of the first two outputs, and of the last two.
static inline void PairOutputs(I32 step, I32 next, I32* low, I32* high) {
  *low = {vzip1q_s32(step.v, next.v)};
  *high = {vzip2q_s32(step.v, next.v)};
}
// A block of two rows by two outputs: sum + 8 products each.
static inline I32 MatrixS8(I32 rows, I32 outputs, I32 sum) {
  return {vmmlaq_s32(sum.v, vreinterpretq_s8_s32(rows.v), vreinterpretq_s8_s32(outputs.v))};
}
// The blocks of the first and of the last two outputs become the rows of four outputs, and the other way round.
static inline void SwapBlocksAndRows(I32* a, I32* b) {
  const int64x2_t first = vreinterpretq_s64_s32(a->v), second = vreinterpretq_s64_s32(b->v);
  *a = {vreinterpretq_s32_s64(vtrn1q_s64(first, second))};
  *b = {vreinterpretq_s32_s64(vtrn2q_s64(first, second))};
}
#else
#define LANES_HAS_S8_MATRIX 0
#endif

static inline uint16x4_t LoadHalvesN(const uint16_t* p, int64_t n) {
  if (n >= kLanes) return vld1_u16(p);
  uint16x4_t v = vdup_n_u16(0);
  if (n >= 1) v = vld1_lane_u16(p, v, 0);
  if (n >= 2) v = vld1_lane_u16(p + 1, v, 1);
  if (n >= 3) v = vld1_lane_u16(p + 2, v, 2);
  return v;
}
static inline void StoreHalvesN(uint16_t* p, uint16x4_t a, int64_t n) {
  if (n >= kLanes) {
    vst1_u16(p, a);
    return;
  }
  if (n >= 1) vst1_lane_u16(p, a, 0);
  if (n >= 2) vst1_lane_u16(p + 1, a, 1);
  if (n >= 3) vst1_lane_u16(p + 2, a, 2);
}
static inline F32 WidenBf16(uint16x4_t halves) { return {vreinterpretq_f32_u32(vshll_n_u16(halves, 16))}; }
static inline F32 LoadBf16(const uint16_t* p) { return WidenBf16(vld1_u16(p)); }
static inline F32 LoadBf16N(const uint16_t* p, int64_t n) { return WidenBf16(LoadHalvesN(p, n)); }
static inline F32 WidenF16(uint16x4_t halves) { return {vcvt_f32_f16(vreinterpret_f16_u16(halves))}; }
static inline float WidenF16(uint16_t half) { return First(WidenF16(vdup_n_u16(half))); }
static inline F32 LoadF16(const uint16_t* p) { return WidenF16(vld1_u16(p)); }
static inline F32 LoadF16N(const uint16_t* p, int64_t n) { return WidenF16(LoadHalvesN(p, n)); }
static inline uint32x4_t LoadBf16Words(const uint16_t* p) { return vreinterpretq_u32_u16(vld1q_u16(p)); }
static inline F32 LoadBf16Even(const uint16_t* p) { return {vreinterpretq_f32_u32(vshlq_n_u32(LoadBf16Words(p), 16))}; }
static inline F32 LoadBf16Odd(const uint16_t* p) {
  return {vreinterpretq_f32_u32(vandq_u32(LoadBf16Words(p), vdupq_n_u32(0xFFFF0000u)))};
}
static inline void LoadBf16Pairs(const uint16_t* p, F32* even, F32* odd) {
  *even = LoadBf16Even(p);
  *odd = LoadBf16Odd(p);
}
static inline uint16x4_t NarrowBf16(F32 a) {
  const uint32x4_t bits = vreinterpretq_u32_f32(a.v);
  const uint32x4_t lsb = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7FFF)), lsb);
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
  return vshrn_n_u32(vbslq_u32(IsNan(a).v, quiet, rounded), 16);
}
static inline void StoreBf16(uint16_t* p, F32 a) { vst1_u16(p, NarrowBf16(a)); }
static inline void StoreBf16N(uint16_t* p, F32 a, int64_t n) { StoreHalvesN(p, NarrowBf16(a), n); }
static inline uint16x4_t NarrowF16(F32 a) { return vreinterpret_u16_f16(vcvt_f16_f32(a.v)); }
static inline void StoreF16(uint16_t* p, F32 a) { vst1_u16(p, NarrowF16(a)); }
static inline void StoreF16N(uint16_t* p, F32 a, int64_t n) { StoreHalvesN(p, NarrowF16(a), n); }

#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#define LANES_HAS_BF16_DOT 1
static inline I32 NarrowBf16(F32 first, F32 second) {
  return {vreinterpretq_s32_u16(vcombine_u16(NarrowBf16(first), NarrowBf16(second)))};
}
static inline F32 DotBf16(I32 a, I32 b, F32 sum) {
#if defined(__GNUC__) && !defined(__clang__)
  // GCC 12 writes a constant b of ones as float16 ones, which are other bits.
  asm("" : "+w"(b.v));
#endif
  return {vbfdotq_f32(sum.v, vreinterpretq_bf16_s32(a.v), vreinterpretq_bf16_s32(b.v))};
}
static inline void StoreBf16ForDot(uint16_t* p, F32 a) { StoreBf16(p, a); }
#else
#define LANES_HAS_BF16_DOT 0
#endif

static inline void Prefetch(const void* p) { __builtin_prefetch(p, 0, 3); }
static inline void PrefetchL2(const void* p) { __builtin_prefetch(p, 0, 2); }

}  // namespace LANES_ISA
}  // namespace lanes
