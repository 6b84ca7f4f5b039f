// Weighted sums of gathered rows. Include after the SIMD layer.
#include "ops/combine.h"

namespace lanes {
namespace LANES_ISA {
namespace {

void CombineRow(const lanes_combine_params& p, int64_t t) {
  const int32_t* index = p.index + t * p.terms;
  const float* weight = p.weight + t * p.terms;
  const float* residual = p.residual ? p.residual + t * p.residual_stride : nullptr;
  float* y = p.y + t * p.y_stride;
  for (int64_t i = 0; i < p.cols; i += kLanes) {
    const int64_t left = p.cols - i;
    F32 sum = Zero();
    if (left >= kLanes) {
      if (residual) sum = Load(residual + i);
      for (int32_t j = 0; j < p.terms; ++j) sum = Fma(Set(weight[j]), Load(p.x + index[j] * p.x_stride + i), sum);
      Store(y + i, sum);
    } else {
      if (residual) sum = LoadN(residual + i, left);
      for (int32_t j = 0; j < p.terms; ++j) sum = Fma(Set(weight[j]), LoadN(p.x + index[j] * p.x_stride + i, left), sum);
      StoreN(y + i, sum, left);
    }
  }
}

void CombineRun(OpContext& context, const lanes_combine_params& p) {
  const int64_t grain = p.cols >= 2048 ? 1 : 2048 / p.cols;
  ParallelFor(context, p.tokens, grain, [&p](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) CombineRow(p, t);
  });
}

}  // namespace

extern const CombineKernel combine_kernel;
const CombineKernel combine_kernel = {CombineRun};

}  // namespace LANES_ISA
}  // namespace lanes
