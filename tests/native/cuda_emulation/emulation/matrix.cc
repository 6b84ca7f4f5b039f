#include "emulation/matrix.h"

#include <immintrin.h>
#include <string.h>

#include "emulation/threads.h"

namespace lanes::cuda::emulation {

void MultiplyAdd(const TileA& a, const TileB& b, float* d, int row_stride) {
  // Four rows at a time: eight chains are what hides an FMA's latency.
  for (int i = 0; i < 16; i += 4) {
    __m256d sum[4][2];
    for (int r = 0; r < 4; ++r) {
      const float* row = d + static_cast<ptrdiff_t>(i + r) * row_stride;
      sum[r][0] = _mm256_cvtps_pd(_mm_loadu_ps(row));
      sum[r][1] = _mm256_cvtps_pd(_mm_loadu_ps(row + 4));
    }
    for (int k = 0; k < 16; ++k) {
      const __m256d b0 = _mm256_load_pd(&b.v[k][0]), b1 = _mm256_load_pd(&b.v[k][4]);
      for (int r = 0; r < 4; ++r) {
        const __m256d x = _mm256_broadcast_sd(&a.v[i + r][k]);
        sum[r][0] = _mm256_fmadd_pd(x, b0, sum[r][0]);
        sum[r][1] = _mm256_fmadd_pd(x, b1, sum[r][1]);
      }
    }
    for (int r = 0; r < 4; ++r) {
      float* row = d + static_cast<ptrdiff_t>(i + r) * row_stride;
      _mm_storeu_ps(row, _mm256_cvtpd_ps(sum[r][0]));
      _mm_storeu_ps(row + 4, _mm256_cvtpd_ps(sum[r][1]));
    }
  }
}

void MultiplyAdd(const TileA8& a, const TileB8& b, int32_t* d, int row_stride) {
  for (int i = 0; i < 16; ++i) {
    const __m256i a0 = _mm256_load_si256(reinterpret_cast<const __m256i*>(&a.v[i][0]));
    const __m256i a1 = _mm256_load_si256(reinterpret_cast<const __m256i*>(&a.v[i][16]));
    __m256i s[8];
    for (int j = 0; j < 8; ++j) {
      const __m256i p0 = _mm256_madd_epi16(a0, _mm256_load_si256(reinterpret_cast<const __m256i*>(&b.v[j][0])));
      const __m256i p1 = _mm256_madd_epi16(a1, _mm256_load_si256(reinterpret_cast<const __m256i*>(&b.v[j][16])));
      s[j] = _mm256_add_epi32(p0, p1);
    }
    // Horizontal sums of eight vectors: the low and high halves each hold a part of every column's.
    const __m256i t0 = _mm256_hadd_epi32(_mm256_hadd_epi32(s[0], s[1]), _mm256_hadd_epi32(s[2], s[3]));
    const __m256i t1 = _mm256_hadd_epi32(_mm256_hadd_epi32(s[4], s[5]), _mm256_hadd_epi32(s[6], s[7]));
    auto* row = reinterpret_cast<__m128i*>(d + static_cast<ptrdiff_t>(i) * row_stride);
    const __m128i c0 = _mm_add_epi32(_mm256_castsi256_si128(t0), _mm256_extracti128_si256(t0, 1));
    const __m128i c1 = _mm_add_epi32(_mm256_castsi256_si128(t1), _mm256_extracti128_si256(t1, 1));
    _mm_storeu_si128(row, _mm_add_epi32(_mm_loadu_si128(row), c0));
    _mm_storeu_si128(row + 1, _mm_add_epi32(_mm_loadu_si128(row + 1), c1));
  }
}

float Bf16ToFloat(uint16_t x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x) << 16); }
float F16ToFloat(uint16_t x) { return _cvtsh_ss(x); }

uint16_t FloatToBf16(float x) {
  const auto bits = __builtin_bit_cast(uint32_t, x);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return 0x7FFF;
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
uint16_t FloatToF16(float x) {
  if (x != x) return 0x7FFF;
  return static_cast<uint16_t>(_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT));
}

namespace {

// Fragments, PTX manual, "Matrix Fragments for mma.m16n8k16": lane = 4 g + t holds, of A, rows g and g + 8, of B column g.
template <class T>
struct MmaArgs {
  T* d;
  const uint32_t* a;
  const uint32_t* b;
};

// The two elements of a register as doubles.
template <Element16 kType>
inline __m128d Pair(uint32_t packed) {
  if constexpr (kType == Element16::kBf16) {
    const uint64_t floats = static_cast<uint64_t>(packed & 0xFFFF0000) << 32 | static_cast<uint64_t>(packed << 16);
    return _mm_cvtps_pd(_mm_castsi128_ps(_mm_cvtsi64_si128(static_cast<long long>(floats))));
  } else {
    return _mm_cvtps_pd(_mm_cvtph_ps(_mm_cvtsi32_si128(static_cast<int>(packed))));
  }
}

template <class T, class A>
inline void GatherD(const A* const* args, T (&d)[16][8]) {
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4, t = lane % 4;
    memcpy(&d[g][2 * t], args[lane]->d, 8);
    memcpy(&d[g + 8][2 * t], args[lane]->d + 2, 8);
  }
}
template <class T, class A>
inline void ScatterD(const A* const* args, const T (&d)[16][8]) {
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4, t = lane % 4;
    memcpy(args[lane]->d, &d[g][2 * t], 8);
    memcpy(args[lane]->d + 2, &d[g + 8][2 * t], 8);
  }
}

template <Element16 kType>
void RunMma16(void* const* lanes, uint32_t mask) {
  if (mask != ~0u) Fault("mma.sync needs all lanes");
  auto* args = reinterpret_cast<const MmaArgs<float>* const*>(lanes);
  TileA a;
  TileB b;
  alignas(64) float d[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4, t = lane % 4;
    const uint32_t *ra = args[lane]->a, *rb = args[lane]->b;
    _mm_store_pd(&a.v[g][2 * t], Pair<kType>(ra[0]));
    _mm_store_pd(&a.v[g + 8][2 * t], Pair<kType>(ra[1]));
    _mm_store_pd(&a.v[g][2 * t + 8], Pair<kType>(ra[2]));
    _mm_store_pd(&a.v[g + 8][2 * t + 8], Pair<kType>(ra[3]));
    const __m128d b0 = Pair<kType>(rb[0]), b1 = Pair<kType>(rb[1]);
    _mm_storel_pd(&b.v[2 * t][g], b0);
    _mm_storeh_pd(&b.v[2 * t + 1][g], b0);
    _mm_storel_pd(&b.v[2 * t + 8][g], b1);
    _mm_storeh_pd(&b.v[2 * t + 9][g], b1);
  }
  GatherD(args, d);
  MultiplyAdd(a, b, &d[0][0], 8);
  ScatterD(args, d);
}

inline void Widen(uint32_t bytes, int16_t* to) {
  const __m128i words = _mm_cvtepi8_epi16(_mm_cvtsi32_si128(static_cast<int>(bytes)));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), words);
}

void RunMmaS8(void* const* lanes, uint32_t mask) {
  if (mask != ~0u) Fault("mma.sync needs all lanes");
  auto* args = reinterpret_cast<const MmaArgs<int32_t>* const*>(lanes);
  TileA8 a;
  TileB8 b;
  alignas(64) int32_t d[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4, t = lane % 4;
    const uint32_t *ra = args[lane]->a, *rb = args[lane]->b;
    Widen(ra[0], &a.v[g][4 * t]);
    Widen(ra[1], &a.v[g + 8][4 * t]);
    Widen(ra[2], &a.v[g][16 + 4 * t]);
    Widen(ra[3], &a.v[g + 8][16 + 4 * t]);
    Widen(rb[0], &b.v[g][4 * t]);
    Widen(rb[1], &b.v[g][16 + 4 * t]);
  }
  GatherD(args, d);
  MultiplyAdd(a, b, &d[0][0], 8);
  ScatterD(args, d);
}

struct LoadArgs {
  const unsigned char* row;
  uint32_t* r;
};

template <int kMatrices, bool kTransposed>
void RunLoadMatrix(void* const* lanes, uint32_t mask) {
  if (mask != ~0u) Fault("ldmatrix needs all lanes");
  auto* args = reinterpret_cast<const LoadArgs* const*>(lanes);
  for (int i = 0; i < kMatrices; ++i) {
    uint16_t matrix[8][8];
    for (int row = 0; row < 8; ++row) memcpy(matrix[row], args[8 * i + row]->row, 16);
    for (int lane = 0; lane < 32; ++lane) {
      const int g = lane / 4, t = lane % 4;
      uint32_t& r = args[lane]->r[i];
      if constexpr (kTransposed) {
        r = static_cast<uint32_t>(matrix[2 * t + 1][g]) << 16 | matrix[2 * t][g];
      } else {
        memcpy(&r, &matrix[g][2 * t], 4);
      }
    }
  }
}

constexpr Instruction kMmaBf16 = {"mma.m16n8k16 bf16", RunMma16<Element16::kBf16>};
constexpr Instruction kMmaF16 = {"mma.m16n8k16 f16", RunMma16<Element16::kF16>};
constexpr Instruction kMmaS8 = {"mma.m16n8k32 s8", RunMmaS8};
constexpr Instruction kLoadMatrix[3][2] = {
    {{"ldmatrix.x1", RunLoadMatrix<1, false>}, {"ldmatrix.x1.trans", RunLoadMatrix<1, true>}},
    {{"ldmatrix.x2", RunLoadMatrix<2, false>}, {"ldmatrix.x2.trans", RunLoadMatrix<2, true>}},
    {{"ldmatrix.x4", RunLoadMatrix<4, false>}, {"ldmatrix.x4.trans", RunLoadMatrix<4, true>}},
};

}  // namespace

void Mma16(Element16 type, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  MmaArgs<float> args = {d, a, b};
  WarpMeet(type == Element16::kBf16 ? kMmaBf16 : kMmaF16, ~0u, &args);
}

void MmaS8(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  MmaArgs<int32_t> args = {d, a, b};
  WarpMeet(kMmaS8, ~0u, &args);
}

void LoadMatrix(uint32_t* r, int matrices, bool transposed, const void* shared_row) {
  if (current->lane < static_cast<uint32_t>(8 * matrices)) CheckShared(shared_row, 16, 16, "ldmatrix");
  LoadArgs args = {static_cast<const unsigned char*>(shared_row), r};
  WarpMeet(kLoadMatrix[matrices / 2][transposed], ~0u, &args);
}

}  // namespace lanes::cuda::emulation
