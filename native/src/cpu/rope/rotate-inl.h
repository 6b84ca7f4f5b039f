// Rotation of a token's heads, for lanes_rope and page writes. Include after the SIMD layer.
#include "lanes/lanes.h"

namespace lanes {
namespace LANES_ISA {
namespace {

// Pairs (i, i + half).
void RotateHalves(const float* x, float* y, const float* cos, const float* sin, int64_t half) {
  for (int64_t i = 0; i < half; i += kLanes) {
    const int64_t left = half - i;
    if (left >= kLanes) {
      const F32 a = Load(x + i), b = Load(x + half + i), c = Load(cos + i), s = Load(sin + i);
      Store(y + i, Fnma(b, s, Mul(a, c)));
      Store(y + half + i, Fma(a, s, Mul(b, c)));
    } else {
      const F32 a = LoadN(x + i, left), b = LoadN(x + half + i, left), c = LoadN(cos + i, left), s = LoadN(sin + i, left);
      StoreN(y + i, Fnma(b, s, Mul(a, c)), left);
      StoreN(y + half + i, Fma(a, s, Mul(b, c)), left);
    }
  }
}

// Pairs (2 i, 2 i + 1), with cosines and sines spread to both places, the sine of the first one negated.
void RotateNeighbours(const float* x, float* y, const float* cos, const float* sin, int64_t dims) {
  for (int64_t i = 0; i < dims; i += kLanes) {
    const int64_t left = dims - i;
    if (left >= kLanes) {
      const F32 a = Load(x + i);
      Store(y + i, Fma(SwapNeighbours(a), Load(sin + i), Mul(a, Load(cos + i))));
    } else {
      const F32 a = LoadN(x + i, left);
      StoreN(y + i, Fma(SwapNeighbours(a), LoadN(sin + i, left), Mul(a, LoadN(cos + i, left))), left);
    }
  }
}

void CopyFloats(const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    if (count - i >= kLanes) {
      Store(y + i, Load(x + i));
    } else {
      StoreN(y + i, LoadN(x + i, count - i), count - i);
    }
  }
}

constexpr int64_t kSpreadPairs = 256;

struct HeadRotation {
  int32_t pairing;
  int64_t head_dim, half;
};

// Heads that lie side by side at x, by cos [half] and sin [half]; y may be x.
void RotateHeads(const HeadRotation& r, const float* cos, const float* sin, int64_t heads, const float* x, float* y) {
  if (r.pairing == LANES_ROPE_HALF) {
    for (int64_t h = 0; h < heads; ++h) RotateHalves(x + h * r.head_dim, y + h * r.head_dim, cos, sin, r.half);
  } else {
    for (int64_t first = 0; first < r.half; first += kSpreadPairs) {
      const int64_t pairs = r.half - first < kSpreadPairs ? r.half - first : kSpreadPairs;
      float spread_cos[2 * kSpreadPairs], spread_sin[2 * kSpreadPairs];
      for (int64_t i = 0; i < pairs; ++i) {
        spread_cos[2 * i] = spread_cos[2 * i + 1] = cos[first + i];
        spread_sin[2 * i] = -sin[first + i];
        spread_sin[2 * i + 1] = sin[first + i];
      }
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t at = h * r.head_dim + 2 * first;
        RotateNeighbours(x + at, y + at, spread_cos, spread_sin, 2 * pairs);
      }
    }
  }
  const int64_t rest = r.head_dim - 2 * r.half;
  if (x == y || rest == 0) return;
  for (int64_t h = 0; h < heads; ++h) {
    const int64_t at = h * r.head_dim + 2 * r.half;
    CopyFloats(x + at, y + at, rest);
  }
}

}  // namespace
}  // namespace LANES_ISA
}  // namespace lanes
