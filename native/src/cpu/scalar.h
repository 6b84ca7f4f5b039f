// Plain C++ counterparts of the SIMD layer, for the reference implementations. Not for translation units of an ISA.
#ifndef LANES_CPU_SCALAR_H_
#define LANES_CPU_SCALAR_H_

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "lanes/lanes.h"
#include "ops/quantize.h"
#include "ops/weight.h"

namespace lanes {
namespace reference {

inline float BitsToFloat(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
inline uint32_t FloatToBits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float Bf16ToFloat(uint16_t half) { return BitsToFloat(static_cast<uint32_t>(half) << 16); }

// Rounds half to even; NaN stays a quiet NaN.
inline uint16_t FloatToBf16(float value) {
  const uint32_t bits = FloatToBits(value);
  if (value != value) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

inline float F16ToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = (half >> 10) & 0x1F, fraction = half & 0x3FF;
  if (exponent == 0x1F) return BitsToFloat(sign | 0x7F800000 | (fraction << 13) | (fraction != 0 ? 0x400000 : 0));
  if (exponent != 0) return BitsToFloat(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
  return sign != 0 ? -magnitude : magnitude;
}

// Rounds half to even, subnormal halves included; too large a value becomes infinite.
inline uint16_t FloatToF16(float value) {
  const uint32_t bits = FloatToBits(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return static_cast<uint16_t>(sign | 0x7E00 | ((magnitude >> 13) & 0x3FF));
  if (magnitude >= 0x477FF000) return static_cast<uint16_t>(sign | 0x7C00);
  if (magnitude < 0x38800000) {
    // Adding 1/2 leaves exactly the bits of a subnormal half at the end of the fraction, rounded by the addition.
    const uint32_t sum = FloatToBits(BitsToFloat(magnitude) + 0.5f);
    return static_cast<uint16_t>(sign | (sum - FloatToBits(0.5f)));
  }
  const uint32_t rebiased = magnitude - (112u << 23);
  return static_cast<uint16_t>(sign | ((rebiased + 0xFFF + ((rebiased >> 13) & 1)) >> 13));
}

// Element `index` of an array of `dtype`; of s8 the integer.
inline float LoadElement(const char* data, int32_t dtype, int64_t index) {
  if (dtype == LANES_S8) return static_cast<int8_t>(data[index]);
  if (dtype == LANES_F32) {
    float value;
    memcpy(&value, data + index * 4, sizeof value);
    return value;
  }
  uint16_t half;
  memcpy(&half, data + index * 2, sizeof half);
  return dtype == LANES_BF16 ? Bf16ToFloat(half) : F16ToFloat(half);
}

inline void StoreElement(char* data, int32_t dtype, int64_t index, float value) {
  if (dtype == LANES_F32) {
    memcpy(data + index * 4, &value, sizeof value);
    return;
  }
  const uint16_t half = dtype == LANES_BF16 ? FloatToBf16(value) : FloatToF16(value);
  memcpy(data + index * 2, &half, sizeof half);
}

// Where element (row, col) of a packed weight stands, in elements from its beginning.
inline int64_t WeightIndex(const WeightView& w, int64_t row, int64_t col) {
  const int64_t panel = row / kPanelRows, lane = row % kPanelRows, width = PanelWidth(w, panel);
  const int64_t start = panel * kPanelRows * w.padded_cols;
  const int64_t together = w.dtype == LANES_BF16 ? 2 : w.dtype == LANES_S8 ? 4 : 1;
  return start + col / together * together * width + lane * together + col % together;
}

// A row of n elements as int8; returns its scale.
inline float QuantizeRow(const Quantization& how, const float* x, int64_t n, int8_t* q) {
  float most = 0;
  bool nan = false;
  for (int64_t i = 0; i < n; ++i) {
    nan = nan || std::isnan(x[i]);
    most = std::fabs(x[i]) > most ? std::fabs(x[i]) : most;
  }
  const bool lost = nan || (how.measured && std::isinf(most));
  const float scale = lost ? std::numeric_limits<float>::quiet_NaN() : how.measured ? most / 127.0f : how.scale;
  for (int64_t i = 0; i < n; ++i) {
    if (lost || scale == 0) {
      q[i] = 0;
      continue;
    }
    const float ratio = x[i] / scale, raised = ratio > how.lowest ? ratio : how.lowest;
    q[i] = static_cast<int8_t>(std::nearbyint(raised < 127.0f ? raised : 127.0f));
  }
  return scale;
}

// A head of lanes_rope; y may be x.
inline void RotateHead(int32_t pairing, int64_t head_dim, int64_t half, const float* cos, const float* sin, const float* x, float* y) {
  for (int64_t i = 0; i < half; ++i) {
    const int64_t first = pairing == LANES_ROPE_HALF ? i : 2 * i;
    const int64_t second = pairing == LANES_ROPE_HALF ? i + half : 2 * i + 1;
    const float a = x[first], b = x[second];
    y[first] = a * cos[i] - b * sin[i];
    y[second] = b * cos[i] + a * sin[i];
  }
  for (int64_t i = 2 * half; i < head_dim; ++i) y[i] = x[i];
}

inline double Activate(int32_t activation, double x) {
  switch (activation) {
    case LANES_ACTIVATION_SILU:
      return x / (1.0 + std::exp(-x));
    case LANES_ACTIVATION_GELU:
      return 0.5 * x * std::erfc(-x * 0.70710678118654752440);
    case LANES_ACTIVATION_GELU_TANH:
      return 0.5 * x * (1.0 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case LANES_ACTIVATION_RELU:
      return x < 0 ? 0.0 : x;
    case LANES_ACTIVATION_TANH:
      return std::tanh(x);
    default:
      return x;
  }
}

}  // namespace reference
}  // namespace lanes

#endif  // LANES_CPU_SCALAR_H_
