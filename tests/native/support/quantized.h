// Quantized rows in tests: random ones, the definition of quantizing, and s8 weights made of them.
#ifndef LANES_TESTS_SUPPORT_QUANTIZED_H_
#define LANES_TESTS_SUPPORT_QUANTIZED_H_

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "support/matrix.h"

namespace lanes_test {

// q [rows, cols] with a scale for each row.
struct Quantized {
  int64_t rows = 0, cols = 0;
  std::vector<int8_t> q;
  std::vector<float> scale;

  int8_t At(int64_t row, int64_t col) const { return q[row * cols + col]; }
  Quantized Rows(int64_t begin, int64_t count) const {
    return {count, cols, {q.begin() + begin * cols, q.begin() + (begin + count) * cols},
            {scale.begin() + begin, scale.begin() + begin + count}};
  }
  bool operator==(const Quantized& other) const { return q == other.q && SameBits(scale, other.scale); }
};

// Every value of int8 comes up, the lowest too; positive scales of different size.
inline Quantized RandomQuantized(Random* random, int64_t rows, int64_t cols) {
  Quantized m = {rows, cols, std::vector<int8_t>(rows * cols), std::vector<float>(rows)};
  for (int8_t& q : m.q) q = static_cast<int8_t>(random->Chance(8) ? -128 : random->Integer(-128, 127));
  for (float& scale : m.scale) scale = std::ldexp(1.0f + random->Uniform() / 2, static_cast<int>(random->Integer(-9, 3)));
  return m;
}

// lanes.h, "Quantized rows", word for word. `static_scale` 0: each row by itself.
inline Quantized Quantize(const std::vector<float>& x, int64_t rows, int64_t cols, float static_scale, int lowest) {
  Quantized m = {rows, cols, std::vector<int8_t>(rows * cols), std::vector<float>(rows)};
  for (int64_t i = 0; i < rows; ++i) {
    float most = 0;
    bool lost = false;
    for (int64_t j = 0; j < cols; ++j) {
      const float value = x[i * cols + j];
      lost |= std::isnan(value) || (static_scale == 0 && std::isinf(value));
      most = std::fmax(most, std::fabs(value));
    }
    m.scale[i] = lost ? std::numeric_limits<float>::quiet_NaN() : static_scale == 0 ? most / 127 : static_scale;
    for (int64_t j = 0; j < cols && !lost && m.scale[i] != 0; ++j) {
      const double rounded = std::rint(static_cast<float>(x[i * cols + j] / m.scale[i]));
      m.q[i * cols + j] = static_cast<int8_t>(std::fmin(std::fmax(rounded, lowest), 127));
    }
  }
  return m;
}
inline Quantized QuantizeActivations(const std::vector<float>& x, int64_t rows, int64_t cols, float static_scale) {
  return Quantize(x, rows, cols, static_scale, static_scale == 0 ? -127 : -128);
}

inline WeightPtr MakeWeight(lanes_runtime* runtime, const Quantized& values) {
  WeightPtr weight = NewWeight(values.rows, values.cols, LANES_S8);
  lanes_weight_pack_params pack = {};
  pack.size = sizeof pack;
  pack.weight = weight.get();
  pack.src = values.q.data();
  pack.src_bytes = values.q.size();
  pack.src_dtype = LANES_S8;
  pack.row_count = values.rows;
  pack.col_count = values.cols;
  pack.scales = values.scale.data();
  pack.scales_len = values.scale.size();
  if (lanes_weight_pack(runtime, &pack) != LANES_OK) throw std::runtime_error(lanes_last_error());
  return weight;
}

}  // namespace lanes_test

#endif  // LANES_TESTS_SUPPORT_QUANTIZED_H_
