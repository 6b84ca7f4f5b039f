#include <math.h>

#include "ops/combine.h"

namespace lanes {
namespace reference {
namespace {

void Combine(OpContext& context, const lanes_combine_params& p) {
  ParallelFor(context, p.tokens, 1, [&p](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t i = 0; i < p.cols; ++i) {
        float sum = p.residual ? p.residual[t * p.residual_stride + i] : 0.0f;
        for (int64_t j = 0; j < p.terms; ++j) {
          const int64_t row = p.index[t * p.terms + j];
          sum = fmaf(p.weight[t * p.terms + j], p.x[row * p.x_stride + i], sum);
        }
        p.y[t * p.y_stride + i] = sum;
      }
    }
  });
}

}  // namespace

extern const CombineKernel combine_kernel;
const CombineKernel combine_kernel = {Combine};

}  // namespace reference
}  // namespace lanes
