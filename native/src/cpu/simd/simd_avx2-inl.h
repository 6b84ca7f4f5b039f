// The SIMD layer on AVX2, FMA and F16C: 8 float32 lanes. simd_avx512-inl.h has the same functions. Include it once in an ISA's
// translation unit, after defining LANES_ISA. Everything lives in the ISA's own namespace and is static: nothing compiled
// with these flags can be picked by the linker for code that runs on other CPUs.
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

namespace lanes {
namespace LANES_ISA {

constexpr int kLanes = 8;
// Vector registers.
constexpr int kRegisters = 16;

struct F32 {
  __m256 v;
};
struct I32 {
  __m256i v;
};
struct Mask {
  __m256 v;  // all ones or all zeros in each lane
};

// 0 <= n <= kLanes everywhere: the first n lanes are loaded or stored, memory behind them is not touched; loads fill with 0.
static inline __m256i FirstN(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int32_t>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline F32 Zero() { return {_mm256_setzero_ps()}; }
static inline F32 Set(float x) { return {_mm256_set1_ps(x)}; }
static inline F32 Load(const float* p) { return {_mm256_loadu_ps(p)}; }
static inline F32 LoadN(const float* p, int64_t n) { return {_mm256_maskload_ps(p, FirstN(n))}; }
static inline void Store(float* p, F32 a) { _mm256_storeu_ps(p, a.v); }
static inline void StoreN(float* p, F32 a, int64_t n) { _mm256_maskstore_ps(p, FirstN(n), a.v); }

static inline F32 Add(F32 a, F32 b) { return {_mm256_add_ps(a.v, b.v)}; }
static inline F32 Sub(F32 a, F32 b) { return {_mm256_sub_ps(a.v, b.v)}; }
static inline F32 Mul(F32 a, F32 b) { return {_mm256_mul_ps(a.v, b.v)}; }
static inline F32 Div(F32 a, F32 b) { return {_mm256_div_ps(a.v, b.v)}; }
static inline F32 Sqrt(F32 a) { return {_mm256_sqrt_ps(a.v)}; }
// a * b + c, c - a * b, a * b - c, each with one rounding.
static inline F32 Fma(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
static inline F32 Fnma(F32 a, F32 b, F32 c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
static inline F32 Fms(F32 a, F32 b, F32 c) { return {_mm256_fmsub_ps(a.v, b.v, c.v)}; }
// When either is NaN the result is b.
static inline F32 Max(F32 a, F32 b) { return {_mm256_max_ps(a.v, b.v)}; }
static inline F32 Min(F32 a, F32 b) { return {_mm256_min_ps(a.v, b.v)}; }
static inline F32 Abs(F32 a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
static inline F32 Neg(F32 a) { return {_mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f))}; }
static inline F32 CopySign(F32 magnitude, F32 sign) {
  const __m256 bit = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(_mm256_andnot_ps(bit, magnitude.v), _mm256_and_ps(bit, sign.v))};
}
// To the nearest integer, half to even.
static inline F32 Round(F32 a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }

// Comparisons with NaN are false.
static inline Mask Less(F32 a, F32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
static inline Mask Equal(F32 a, F32 b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
static inline Mask IsNan(F32 a) { return {_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q)}; }
static inline Mask And(Mask a, Mask b) { return {_mm256_and_ps(a.v, b.v)}; }
static inline Mask Or(Mask a, Mask b) { return {_mm256_or_ps(a.v, b.v)}; }
static inline Mask Not(Mask a) { return {_mm256_xor_ps(a.v, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))}; }
static inline Mask FirstLanes(int64_t n) { return {_mm256_castsi256_ps(FirstN(n))}; }
// Bit i is lane i.
static inline uint32_t MaskBits(Mask a) { return static_cast<uint32_t>(_mm256_movemask_ps(a.v)); }
static inline F32 Select(Mask m, F32 yes, F32 no) { return {_mm256_blendv_ps(no.v, yes.v, m.v)}; }

static inline I32 SetI(int32_t x) { return {_mm256_set1_epi32(x)}; }
// first, first + 1, …
static inline I32 Iota(int32_t first) {
  return {_mm256_add_epi32(_mm256_set1_epi32(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))};
}
static inline I32 LoadI(const int32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
static inline void StoreI(int32_t* p, I32 a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v); }
static inline I32 AddI(I32 a, I32 b) { return {_mm256_add_epi32(a.v, b.v)}; }
static inline I32 SubI(I32 a, I32 b) { return {_mm256_sub_epi32(a.v, b.v)}; }
static inline I32 AndI(I32 a, I32 b) { return {_mm256_and_si256(a.v, b.v)}; }
static inline I32 XorI(I32 a, I32 b) { return {_mm256_xor_si256(a.v, b.v)}; }
static inline I32 MaxI(I32 a, I32 b) { return {_mm256_max_epi32(a.v, b.v)}; }
// Of unsigned lanes.
static inline I32 MaxU(I32 a, I32 b) { return {_mm256_max_epu32(a.v, b.v)}; }
static inline Mask LessI(I32 a, I32 b) { return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(b.v, a.v))}; }
template <int kBits>
static inline I32 ShiftLeft(I32 a) { return {_mm256_slli_epi32(a.v, kBits)}; }
template <int kBits>
static inline I32 ShiftRightArithmetic(I32 a) { return {_mm256_srai_epi32(a.v, kBits)}; }
static inline I32 SelectI(Mask m, I32 yes, I32 no) {
  return {_mm256_blendv_epi8(no.v, yes.v, _mm256_castps_si256(m.v))};
}
// Rounds half to even; what NaN and numbers that do not fit give depends on the ISA.
static inline I32 ToInt(F32 a) { return {_mm256_cvtps_epi32(a.v)}; }
static inline F32 ToFloat(I32 a) { return {_mm256_cvtepi32_ps(a.v)}; }
static inline F32 AsFloat(I32 a) { return {_mm256_castsi256_ps(a.v)}; }
static inline I32 AsInt(F32 a) { return {_mm256_castps_si256(a.v)}; }

// Lanes 1, 0, 3, 2, …
static inline F32 SwapNeighbours(F32 a) { return {_mm256_permute_ps(a.v, 0xB1)}; }

static inline float First(F32 a) { return _mm256_cvtss_f32(a.v); }

// In a fixed order: halves of the vector are added until one lane is left.
static inline float ReduceAdd(F32 a) {
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}
static inline float ReduceMax(F32 a) {
  const __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 pair = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)));
}

static inline int32_t ReduceAddI(I32 a) {
  const __m128i quarter = _mm_add_epi32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  const __m128i pair = _mm_add_epi32(quarter, _mm_unpackhi_epi64(quarter, quarter));
  return _mm_cvtsi128_si32(_mm_add_epi32(pair, _mm_srli_epi64(pair, 32)));
}
static inline uint32_t ReduceMaxU(I32 a) {
  const __m128i quarter = _mm_max_epu32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  const __m128i pair = _mm_max_epu32(quarter, _mm_unpackhi_epi64(quarter, quarter));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(_mm_max_epu32(pair, _mm_srli_epi64(pair, 32))));
}

// Small integers: a lane of 32 bits is taken for two of 16 bits or four of 8. The bytes at even, or at odd places, from 0 to 255.
static inline I32 EvenBytes(I32 a) { return AndI(a, SetI(0x00FF00FF)); }
static inline I32 OddBytes(I32 a) { return {_mm256_srli_epi16(a.v, 8)}; }
// For each lane sum + a.low * b.low + a.high * b.high, modulo 2^32.
static inline I32 DotS16(I32 a, I32 b, I32 sum) { return {_mm256_add_epi32(sum.v, _mm256_madd_epi16(a.v, b.v))}; }
// kLanes 16-bit integers; what is too large becomes the largest.
static inline void StoreS16(int16_t* p, I32 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_packs_epi32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1)));
}

// The first n of 8 16-bit elements, through the stack: AVX2 has no masked load of them.
static inline __m128i LoadHalvesN(const uint16_t* p, int64_t n) {
  alignas(16) uint16_t halves[8] = {};
  memcpy(halves, p, static_cast<size_t>(n) * 2);
  return _mm_load_si128(reinterpret_cast<const __m128i*>(halves));
}
static inline void StoreHalvesN(uint16_t* p, __m128i a, int64_t n) {
  alignas(16) uint16_t halves[8];
  _mm_store_si128(reinterpret_cast<__m128i*>(halves), a);
  memcpy(p, halves, static_cast<size_t>(n) * 2);
}
// kLanes bfloat16 or IEEE half elements, exactly.
static inline F32 WidenBf16(__m128i halves) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16))};
}
static inline F32 LoadBf16(const uint16_t* p) { return WidenBf16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
static inline F32 LoadBf16N(const uint16_t* p, int64_t n) { return WidenBf16(LoadHalvesN(p, n)); }
static inline float WidenF16(uint16_t half) { return _cvtsh_ss(half); }
static inline F32 LoadF16(const uint16_t* p) { return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))}; }
static inline F32 LoadF16N(const uint16_t* p, int64_t n) { return {_mm256_cvtph_ps(LoadHalvesN(p, n))}; }
// Of 2 * kLanes bfloat16 elements those at even, or at odd places.
static inline F32 LoadBf16Even(const uint16_t* p) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), 16))};
}
static inline F32 LoadBf16Odd(const uint16_t* p) {
  const __m256i high = _mm256_set1_epi32(static_cast<int32_t>(0xFFFF0000));
  return {_mm256_castsi256_ps(_mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), high))};
}
static inline void LoadBf16Pairs(const uint16_t* p, F32* even, F32* odd) {
  *even = LoadBf16Even(p);
  *odd = LoadBf16Odd(p);
}
// bfloat16 bits in the low half of each lane, rounded half to even; NaN stays a (quiet) NaN.
static inline I32 RoundToBf16(F32 a) {
  const __m256i bits = _mm256_castps_si256(a.v);
  const __m256i lsb = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), lsb), 16);
  const __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(0x40));
  return {_mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(IsNan(a).v))};
}
static inline __m128i NarrowBf16(F32 a) {
  const __m256i halves = RoundToBf16(a).v;
  return _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}
static inline void StoreBf16(uint16_t* p, F32 a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), NarrowBf16(a)); }
static inline void StoreBf16N(uint16_t* p, F32 a, int64_t n) { StoreHalvesN(p, NarrowBf16(a), n); }
static inline __m128i NarrowF16(F32 a) { return _mm256_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline void StoreF16(uint16_t* p, F32 a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), NarrowF16(a)); }
static inline void StoreF16N(uint16_t* p, F32 a, int64_t n) { StoreHalvesN(p, NarrowF16(a), n); }

// kLanes int8 elements, widened, or the low bytes of lanes that hold an int8.
static inline I32 LoadS8(const int8_t* p) {
  return {_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))};
}
static inline void StoreS8(int8_t* p, I32 a) {
  const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(halves, halves));
}
static inline void StoreS8N(int8_t* p, I32 a, int64_t n) {
  alignas(8) int8_t bytes[8];
  StoreS8(bytes, a);
  memcpy(p, bytes, static_cast<size_t>(n));
}
// Of the four int8 in each lane those at even, or at odd places, as two int16.
static inline I32 EvenS8(I32 a) { return {_mm256_srai_epi16(_mm256_slli_epi16(a.v, 8), 8)}; }
static inline I32 OddS8(I32 a) { return {_mm256_srai_epi16(a.v, 8)}; }

// Whether DotS8(a, b, sum) is here: for each lane sum + the dot product of four bytes of a with four of b. Those of b are int8,
// those of a int8 or, where LANES_S8_DOT_BIAS is 128, int8 + 128 as unsigned bytes.
#define LANES_HAS_S8_DOT 0
// Whether the matrix products of simd_neon-inl.h are here: blocks of two rows by two outputs.
#define LANES_HAS_S8_MATRIX 0

// Whether DotBf16(a, b, sum) is here: for each lane sum + a.low * b.low + a.high * b.high, with a and b pairs of bfloat16, in the
// processor's own rounding.
// StoreBf16ForDot is StoreBf16, but may store 0 for a subnormal number, which the dot product takes for 0. So may
// NarrowBf16(first, second), which gives 2 * kLanes elements in order.
#define LANES_HAS_BF16_DOT 0

// Into all caches; into the second level and further out.
static inline void Prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
static inline void PrefetchL2(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }

}  // namespace LANES_ISA
}  // namespace lanes
