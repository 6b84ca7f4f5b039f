// The SIMD layer on AVX-512 F, BW, DQ, VL: 16 float32 lanes. The functions are those of simd_avx2-inl.h, where each is
// described. Include it once in an ISA's translation unit, after defining LANES_ISA.
#include <immintrin.h>
#include <stdint.h>

namespace lanes {
namespace LANES_ISA {

constexpr int kLanes = 16;
constexpr int kRegisters = 32;

struct F32 {
  __m512 v;
};
struct I32 {
  __m512i v;
};
struct Mask {
  __mmask16 v;
};

static inline __mmask16 FirstN(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }

static inline F32 Zero() { return {_mm512_setzero_ps()}; }
static inline F32 Set(float x) { return {_mm512_set1_ps(x)}; }
static inline F32 Load(const float* p) { return {_mm512_loadu_ps(p)}; }
static inline F32 LoadN(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(FirstN(n), p)}; }
static inline void Store(float* p, F32 a) { _mm512_storeu_ps(p, a.v); }
static inline void StoreN(float* p, F32 a, int64_t n) { _mm512_mask_storeu_ps(p, FirstN(n), a.v); }

static inline F32 Add(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
static inline F32 Sub(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
static inline F32 Mul(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
static inline F32 Div(F32 a, F32 b) { return {_mm512_div_ps(a.v, b.v)}; }
static inline F32 Sqrt(F32 a) { return {_mm512_sqrt_ps(a.v)}; }
static inline F32 Fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
static inline F32 Fnma(F32 a, F32 b, F32 c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
static inline F32 Fms(F32 a, F32 b, F32 c) { return {_mm512_fmsub_ps(a.v, b.v, c.v)}; }
static inline F32 Max(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
static inline F32 Min(F32 a, F32 b) { return {_mm512_min_ps(a.v, b.v)}; }
static inline F32 Abs(F32 a) { return {_mm512_abs_ps(a.v)}; }
static inline F32 Neg(F32 a) { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))}; }
static inline F32 CopySign(F32 magnitude, F32 sign) {
  const __m512 bit = _mm512_set1_ps(-0.0f);
  return {_mm512_or_ps(_mm512_andnot_ps(bit, magnitude.v), _mm512_and_ps(bit, sign.v))};
}
static inline F32 Round(F32 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }

static inline Mask Less(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
static inline Mask Equal(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
static inline Mask IsNan(F32 a) { return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)}; }
static inline Mask And(Mask a, Mask b) { return {static_cast<__mmask16>(a.v & b.v)}; }
static inline Mask Or(Mask a, Mask b) { return {static_cast<__mmask16>(a.v | b.v)}; }
static inline Mask Not(Mask a) { return {static_cast<__mmask16>(~a.v)}; }
static inline Mask FirstLanes(int64_t n) { return {FirstN(n)}; }
static inline uint32_t MaskBits(Mask a) { return a.v; }
static inline F32 Select(Mask m, F32 yes, F32 no) { return {_mm512_mask_blend_ps(m.v, no.v, yes.v)}; }

static inline I32 SetI(int32_t x) { return {_mm512_set1_epi32(x)}; }
static inline I32 Iota(int32_t first) {
  return {_mm512_add_epi32(_mm512_set1_epi32(first), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))};
}
static inline I32 LoadI(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
static inline void StoreI(int32_t* p, I32 a) { _mm512_storeu_si512(p, a.v); }
static inline I32 AddI(I32 a, I32 b) { return {_mm512_add_epi32(a.v, b.v)}; }
static inline I32 SubI(I32 a, I32 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
static inline I32 AndI(I32 a, I32 b) { return {_mm512_and_si512(a.v, b.v)}; }
static inline I32 XorI(I32 a, I32 b) { return {_mm512_xor_si512(a.v, b.v)}; }
static inline I32 MaxI(I32 a, I32 b) { return {_mm512_max_epi32(a.v, b.v)}; }
static inline I32 MaxU(I32 a, I32 b) { return {_mm512_max_epu32(a.v, b.v)}; }
static inline Mask LessI(I32 a, I32 b) { return {_mm512_cmplt_epi32_mask(a.v, b.v)}; }
template <int kBits>
static inline I32 ShiftLeft(I32 a) { return {_mm512_slli_epi32(a.v, kBits)}; }
template <int kBits>
static inline I32 ShiftRightArithmetic(I32 a) { return {_mm512_srai_epi32(a.v, kBits)}; }
static inline I32 SelectI(Mask m, I32 yes, I32 no) { return {_mm512_mask_blend_epi32(m.v, no.v, yes.v)}; }
static inline I32 ToInt(F32 a) { return {_mm512_cvtps_epi32(a.v)}; }
static inline F32 ToFloat(I32 a) { return {_mm512_cvtepi32_ps(a.v)}; }
static inline F32 AsFloat(I32 a) { return {_mm512_castsi512_ps(a.v)}; }
static inline I32 AsInt(F32 a) { return {_mm512_castps_si512(a.v)}; }

static inline F32 SwapNeighbours(F32 a) { return {_mm512_permute_ps(a.v, 0xB1)}; }

static inline float First(F32 a) { return _mm512_cvtss_f32(a.v); }

static inline float ReduceAdd(F32 a) {
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}
static inline float ReduceMax(F32 a) {
  const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)));
}

static inline int32_t ReduceAddI(I32 a) {
  const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(a.v), _mm512_extracti32x8_epi32(a.v, 1));
  const __m128i quarter = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  const __m128i pair = _mm_add_epi32(quarter, _mm_unpackhi_epi64(quarter, quarter));
  return _mm_cvtsi128_si32(_mm_add_epi32(pair, _mm_srli_epi64(pair, 32)));
}
static inline uint32_t ReduceMaxU(I32 a) {
  const __m256i half = _mm256_max_epu32(_mm512_castsi512_si256(a.v), _mm512_extracti32x8_epi32(a.v, 1));
  const __m128i quarter = _mm_max_epu32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  const __m128i pair = _mm_max_epu32(quarter, _mm_unpackhi_epi64(quarter, quarter));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(_mm_max_epu32(pair, _mm_srli_epi64(pair, 32))));
}

static inline I32 EvenBytes(I32 a) { return AndI(a, SetI(0x00FF00FF)); }
static inline I32 OddBytes(I32 a) { return {_mm512_srli_epi16(a.v, 8)}; }
static inline I32 DotS16(I32 a, I32 b, I32 sum) {
#if defined(__AVX512VNNI__)
  return {_mm512_dpwssd_epi32(sum.v, a.v, b.v)};
#else
  return {_mm512_add_epi32(sum.v, _mm512_madd_epi16(a.v, b.v))};
#endif
}
static inline void StoreS16(int16_t* p, I32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtsepi32_epi16(a.v));
}

static inline F32 WidenBf16(__m256i halves) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
}
static inline F32 LoadBf16(const uint16_t* p) {
  return WidenBf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
static inline F32 LoadBf16N(const uint16_t* p, int64_t n) { return WidenBf16(_mm256_maskz_loadu_epi16(FirstN(n), p)); }
static inline float WidenF16(uint16_t half) { return _cvtsh_ss(half); }
static inline F32 LoadF16(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
static inline F32 LoadF16N(const uint16_t* p, int64_t n) { return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(FirstN(n), p))}; }
static inline F32 LoadBf16Even(const uint16_t* p) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16))};
}
static inline F32 LoadBf16Odd(const uint16_t* p) {
  const __m512i high = _mm512_set1_epi32(static_cast<int32_t>(0xFFFF0000));
  return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), high))};
}
static inline void LoadBf16Pairs(const uint16_t* p, F32* even, F32* odd) {
  *even = LoadBf16Even(p);
  *odd = LoadBf16Odd(p);
}
static inline I32 RoundToBf16(F32 a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i lsb = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), lsb), 16);
  const __m512i quiet = _mm512_or_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
  return {_mm512_mask_blend_epi32(IsNan(a).v, rounded, quiet)};
}
static inline void StoreBf16(uint16_t* p, F32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(RoundToBf16(a).v));
}
static inline void StoreBf16N(uint16_t* p, F32 a, int64_t n) {
  _mm256_mask_storeu_epi16(p, FirstN(n), _mm512_cvtepi32_epi16(RoundToBf16(a).v));
}
static inline void StoreF16(uint16_t* p, F32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline void StoreF16N(uint16_t* p, F32 a, int64_t n) {
  _mm256_mask_storeu_epi16(p, FirstN(n), _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

static inline I32 LoadS8(const int8_t* p) {
  return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
static inline void StoreS8(int8_t* p, I32 a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v)); }
static inline void StoreS8N(int8_t* p, I32 a, int64_t n) {
  _mm_mask_storeu_epi8(p, FirstN(n), _mm512_cvtepi32_epi8(a.v));
}
static inline I32 EvenS8(I32 a) { return {_mm512_srai_epi16(_mm512_slli_epi16(a.v, 8), 8)}; }
static inline I32 OddS8(I32 a) { return {_mm512_srai_epi16(a.v, 8)}; }

#if defined(__AVX512VNNI__)
#define LANES_HAS_S8_DOT 1
#define LANES_S8_DOT_BIAS 128
static inline I32 DotS8(I32 a, I32 b, I32 sum) { return {_mm512_dpbusd_epi32(sum.v, a.v, b.v)}; }
#else
#define LANES_HAS_S8_DOT 0
#endif
#define LANES_HAS_S8_MATRIX 0

#if defined(__AVX512BF16__)
#define LANES_HAS_BF16_DOT 1
// 2 * kLanes elements in order, rounded half to even; subnormal ones become zero.
static inline I32 NarrowBf16(F32 first, F32 second) {
  return {reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second.v, first.v))};
}
static inline F32 DotBf16(I32 a, I32 b, F32 sum) {
  return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(a.v), reinterpret_cast<__m512bh>(b.v))};
}
static inline void StoreBf16ForDot(uint16_t* p, F32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a.v)));
}
#else
#define LANES_HAS_BF16_DOT 0
#endif

static inline void Prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
static inline void PrefetchL2(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }

}  // namespace LANES_ISA
}  // namespace lanes
