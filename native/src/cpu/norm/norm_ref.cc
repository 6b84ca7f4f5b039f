#include <math.h>

#include "cpu/scalar.h"
#include "ops/norm.h"

namespace lanes {
namespace reference {
namespace {

// `s` and `y` hold a row each.
void NormRow(const lanes_norm_params& p, int64_t i, float* s, float* y) {
  const float* x = p.x + i * p.x_stride;
  const float* residual = p.residual == nullptr ? nullptr : p.residual + i * p.residual_stride;
  for (int64_t j = 0; j < p.cols; ++j) s[j] = residual == nullptr ? x[j] : x[j] + residual[j];
  double mean = 0;
  if (p.kind == LANES_NORM_LAYER) {
    for (int64_t j = 0; j < p.cols; ++j) mean += s[j];
    mean /= static_cast<double>(p.cols);
  }
  double squares = 0;
  for (int64_t j = 0; j < p.cols; ++j) squares += (s[j] - mean) * (s[j] - mean);
  const double scale = 1.0 / sqrt(squares / static_cast<double>(p.cols) + p.epsilon);
  for (int64_t j = 0; j < p.cols; ++j) {
    const double value = (s[j] - mean) * scale * p.weight[j];
    y[j] = static_cast<float>(p.bias ? value + p.bias[j] : value);
  }
}

void Norm(OpContext& context, const lanes_norm_params& p) {
  float* buffer = static_cast<float*>(Scratch(context, Workers(context) * p.cols * 2 * static_cast<int64_t>(sizeof(float))));
  ParallelFor(context, p.rows, 1, [&p, buffer](int64_t begin, int64_t end, int worker) {
    float* s = buffer + worker * p.cols * 2;
    float* y = s + p.cols;
    for (int64_t i = begin; i < end; ++i) {
      NormRow(p, i, s, y);
      if (p.sum != nullptr) memcpy(p.sum + i * p.sum_stride, s, static_cast<size_t>(p.cols) * sizeof(float));
      if (p.y != nullptr) memcpy(p.y + i * p.y_stride, y, static_cast<size_t>(p.cols) * sizeof(float));
      if (p.y_bf16 != nullptr) {
        for (int64_t j = 0; j < p.cols; ++j) p.y_bf16[i * p.y_bf16_stride + j] = FloatToBf16(y[j]);
      }
      if (p.yq != nullptr) {
        p.y_scale[i] = QuantizeRow(QuantizationOfActivations(p.output_scale), y, p.cols, p.yq + i * p.yq_stride);
      }
    }
  });
}

}  // namespace

extern const NormKernel norm_kernel;
const NormKernel norm_kernel = {Norm};

}  // namespace reference
}  // namespace lanes
