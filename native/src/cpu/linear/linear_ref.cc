// Plain loops in float64.
#include "ops/linear.h"

#include "cpu/scalar.h"

namespace lanes {
namespace reference {
namespace {

void Row(const LinearArgs& args, int64_t i) {
  const WeightView& w = args.weight;
  for (int64_t j = 0; j < w.rows; ++j) {
    double sum = 0;
    for (int64_t k = 0; k < w.cols; ++k) {
      sum += static_cast<double>(args.x[i * args.x_stride + k]) * LoadElement(w.data, w.dtype, WeightIndex(w, j, k));
    }
    if (args.bias != nullptr) sum += args.bias[j];
    sum = Activate(args.activation, sum);
    if (args.residual != nullptr) sum += args.residual[i * args.residual_stride + j];
    args.y[i * args.y_stride + j] = static_cast<float>(sum);
  }
}

void Run(OpContext& context, const LinearArgs& args) {
  ParallelFor(context, args.m, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) Row(args, i);
  });
}

}  // namespace

extern const LinearKernel linear_kernel;
const LinearKernel linear_kernel = {[] { return false; }, Run};

}  // namespace reference
}  // namespace lanes
