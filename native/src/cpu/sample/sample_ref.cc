#include <math.h>

#include "ops/sample.h"

namespace lanes {
namespace reference {
namespace {

int64_t ArgMax(const float* x, int64_t count) {
  int64_t best = 0;
  for (int64_t i = 1; i < count; ++i) {
    if (!isnan(x[i]) && (isnan(x[best]) ? x[i] > -INFINITY : x[i] > x[best])) best = i;
  }
  return best;
}

double SumExp(const float* x, int64_t count, float maximum) {
  double total = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (!isnan(x[i])) total += exp(static_cast<double>(x[i]) - maximum);
  }
  return total;
}

void Weigh(const float* x, int64_t count, float maximum, float temperature, float* weights) {
  for (int64_t i = 0; i < count; ++i) {
    weights[i] = static_cast<float>(exp((static_cast<double>(x[i]) - maximum) / temperature));
  }
}

}  // namespace

extern const SampleKernel sample_kernel;
const SampleKernel sample_kernel = {Sample, ArgMax, SumExp, Weigh};

}  // namespace reference
}  // namespace lanes
