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

// Eight elements of 16 bits as doubles.
template <Element16 kType>
inline void WidenEight(__m128i eight, double* to) {
  __m256 floats;
  if constexpr (kType == Element16::kBf16) {
    floats = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(eight), 16));
  } else {
    floats = _mm256_cvtph_ps(eight);
  }
  _mm256_storeu_pd(to, _mm256_cvtps_pd(_mm256_castps256_ps128(floats)));
  _mm256_storeu_pd(to + 4, _mm256_cvtps_pd(_mm256_extractf128_ps(floats, 1)));
}

inline __m128i Load16(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }

// Registers r of lanes 4 g to 4 g + 3: row r is register r of the four, one after the other.
struct Quad {
  __m128i r[4];
  Quad(__m128i l0, __m128i l1, __m128i l2, __m128i l3) {
    const __m128i low01 = _mm_unpacklo_epi32(l0, l1), low23 = _mm_unpacklo_epi32(l2, l3);
    const __m128i high01 = _mm_unpackhi_epi32(l0, l1), high23 = _mm_unpackhi_epi32(l2, l3);
    r[0] = _mm_unpacklo_epi64(low01, low23);
    r[1] = _mm_unpackhi_epi64(low01, low23);
    r[2] = _mm_unpacklo_epi64(high01, high23);
    r[3] = _mm_unpackhi_epi64(high01, high23);
  }
};

// Eight lines of eight 16-bit elements the other way round.
inline void Transpose(__m128i (&v)[8]) {
  __m128i a[8], b[8];
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm_unpacklo_epi16(v[2 * i], v[2 * i + 1]);
    a[2 * i + 1] = _mm_unpackhi_epi16(v[2 * i], v[2 * i + 1]);
  }
  for (int i = 0; i < 2; ++i) {
    b[4 * i] = _mm_unpacklo_epi32(a[4 * i], a[4 * i + 2]);
    b[4 * i + 1] = _mm_unpackhi_epi32(a[4 * i], a[4 * i + 2]);
    b[4 * i + 2] = _mm_unpacklo_epi32(a[4 * i + 1], a[4 * i + 3]);
    b[4 * i + 3] = _mm_unpackhi_epi32(a[4 * i + 1], a[4 * i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    v[2 * i] = _mm_unpacklo_epi64(b[i], b[i + 4]);
    v[2 * i + 1] = _mm_unpackhi_epi64(b[i], b[i + 4]);
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
  __m128i columns[2][8];  // k 0 to 7 and 8 to 15 of each column of b
  for (int g = 0; g < 8; ++g) {
    auto* const* four = args + 4 * g;
    const Quad rows(Load16(four[0]->a), Load16(four[1]->a), Load16(four[2]->a), Load16(four[3]->a));
    WidenEight<kType>(rows.r[0], &a.v[g][0]);
    WidenEight<kType>(rows.r[2], &a.v[g][8]);
    WidenEight<kType>(rows.r[1], &a.v[g + 8][0]);
    WidenEight<kType>(rows.r[3], &a.v[g + 8][8]);
    const __m128i b01 = _mm_unpacklo_epi32(_mm_loadu_si64(four[0]->b), _mm_loadu_si64(four[1]->b));
    const __m128i b23 = _mm_unpacklo_epi32(_mm_loadu_si64(four[2]->b), _mm_loadu_si64(four[3]->b));
    columns[0][g] = _mm_unpacklo_epi64(b01, b23);
    columns[1][g] = _mm_unpackhi_epi64(b01, b23);
  }
  for (int half = 0; half < 2; ++half) {
    Transpose(columns[half]);
    for (int k = 0; k < 8; ++k) WidenEight<kType>(columns[half][k], b.v[8 * half + k]);
  }
  GatherD(args, d);
  MultiplyAdd(a, b, &d[0][0], 8);
  ScatterD(args, d);
}

void RunMmaS8(void* const* lanes, uint32_t mask) {
  if (mask != ~0u) Fault("mma.sync needs all lanes");
  auto* args = reinterpret_cast<const MmaArgs<int32_t>* const*>(lanes);
  TileA8 a;
  TileB8 b;
  alignas(64) int32_t d[16][8];
  auto widen = [](__m128i sixteen, int16_t* to) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(to), _mm256_cvtepi8_epi16(sixteen));
  };
  for (int g = 0; g < 8; ++g) {
    auto* const* four = args + 4 * g;
    const Quad rows(Load16(four[0]->a), Load16(four[1]->a), Load16(four[2]->a), Load16(four[3]->a));
    widen(rows.r[0], &a.v[g][0]);
    widen(rows.r[2], &a.v[g][16]);
    widen(rows.r[1], &a.v[g + 8][0]);
    widen(rows.r[3], &a.v[g + 8][16]);
    const __m128i b01 = _mm_unpacklo_epi32(_mm_loadu_si64(four[0]->b), _mm_loadu_si64(four[1]->b));
    const __m128i b23 = _mm_unpacklo_epi32(_mm_loadu_si64(four[2]->b), _mm_loadu_si64(four[3]->b));
    widen(_mm_unpacklo_epi64(b01, b23), &b.v[g][0]);
    widen(_mm_unpackhi_epi64(b01, b23), &b.v[g][16]);
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
