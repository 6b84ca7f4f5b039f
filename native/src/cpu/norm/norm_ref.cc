#include <math.h>

#include "ops/norm.h"

namespace lanes {
namespace reference {
namespace {

void Norm(OpContext& context, const lanes_norm_params& p) {
  ParallelFor(context, p.rows, 1, [&p](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const float* x = p.x + i * p.x_stride;
      if (p.residual) {
        const float* residual = p.residual + i * p.residual_stride;
        // Written where the last pass reads it: to `sum`, else to y, which may be an input but not a shared one.
        float* s = p.sum ? p.sum + i * p.sum_stride : p.y + i * p.y_stride;
        for (int64_t j = 0; j < p.cols; ++j) s[j] = x[j] + residual[j];
        x = s;
      } else if (p.sum) {
        float* s = p.sum + i * p.sum_stride;
        for (int64_t j = 0; j < p.cols; ++j) s[j] = x[j];
        x = s;
      }
      double mean = 0;
      if (p.kind == LANES_NORM_LAYER) {
        for (int64_t j = 0; j < p.cols; ++j) mean += x[j];
        mean /= static_cast<double>(p.cols);
      }
      double squares = 0;
      for (int64_t j = 0; j < p.cols; ++j) squares += (x[j] - mean) * (x[j] - mean);
      const double scale = 1.0 / sqrt(squares / static_cast<double>(p.cols) + p.epsilon);
      float* y = p.y + i * p.y_stride;
      for (int64_t j = 0; j < p.cols; ++j) {
        const double value = (x[j] - mean) * scale * p.weight[j];
        y[j] = static_cast<float>(p.bias ? value + p.bias[j] : value);
      }
    }
  });
}

}  // namespace

extern const NormKernel norm_kernel;
const NormKernel norm_kernel = {Norm};

}  // namespace reference
}  // namespace lanes
