// Transposition of 8 x 8 32-bit elements in 256-bit registers, which AVX2 and AVX-512 have alike. transpose_neon-inl.h has the
// same functions. Include after the SIMD layer.
#include <immintrin.h>
#include <stdint.h>

namespace lanes {
namespace LANES_ISA {

constexpr int kOctet = 8;

// 8 elements, however many lanes the ISA has.
struct Octet {
  __m256 v;
};

static inline Octet LoadOctet(const float* from) { return {_mm256_loadu_ps(from)}; }
static inline void StoreOctet(float* to, Octet a) { _mm256_storeu_ps(to, a.v); }
// The first n.
static inline void StoreOctetN(float* to, Octet a, int64_t n) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_maskstore_ps(to, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int32_t>(n)), index), a.v);
}

// rows[i][j] becomes rows[j][i].
static inline void Transpose(Octet (&rows)[kOctet]) {
  __m256 pairs[8], quads[8];
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_ps(rows[i].v, rows[i + 1].v);
    pairs[i + 1] = _mm256_unpackhi_ps(rows[i].v, rows[i + 1].v);
  }
  for (int i = 0; i < 8; i += 4) {
    quads[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
    quads[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xEE);
    quads[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
    quads[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xEE);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i].v = _mm256_permute2f128_ps(quads[i], quads[i + 4], 0x20);
    rows[i + 4].v = _mm256_permute2f128_ps(quads[i], quads[i + 4], 0x31);
  }
}

}  // namespace LANES_ISA
}  // namespace lanes
