// The passes of sampling over a vocabulary. Include after the SIMD layer and its math.
#include "ops/sample.h"

namespace lanes {
namespace LANES_ISA {
namespace {

// NaN, and lanes behind the end, as -infinity.
inline F32 Logits(const float* x, int64_t i, int64_t count) {
  const F32 lowest = Set(-__builtin_inff());
  const int64_t left = count - i;
  if (left >= kLanes) {
    const F32 value = Load(x + i);
    return Select(IsNan(value), lowest, value);
  }
  const F32 value = LoadN(x + i, left);
  return Select(And(FirstLanes(left), Not(IsNan(value))), value, lowest);
}

int64_t ArgMax(const float* x, int64_t count) {
  F32 best = Set(-__builtin_inff());
  I32 index = Iota(0);
  for (int64_t i = 0; i < count; i += kLanes) {
    const F32 value = Logits(x, i, count);
    const Mask larger = Less(best, value);
    best = Select(larger, value, best);
    index = SelectI(larger, Iota(static_cast<int32_t>(i)), index);
  }
  float values[kLanes];
  int32_t indices[kLanes];
  Store(values, best);
  StoreI(indices, index);
  int lane = 0;
  for (int l = 1; l < kLanes; ++l) {
    if (values[l] > values[lane] || (values[l] == values[lane] && indices[l] < indices[lane])) lane = l;
  }
  return indices[lane];
}

double SumExp(const float* x, int64_t count, float maximum) {
  // Short sums in lanes, their totals in float64: the error does not grow with the vocabulary.
  constexpr int64_t kBlock = 256;
  double total = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = begin + kBlock < count ? begin + kBlock : count;
    F32 sum = Zero();
    for (int64_t i = begin; i < end; i += kLanes) sum = Add(sum, Exp(Sub(Logits(x, i, end), Set(maximum))));
    total += ReduceAdd(sum);
  }
  return total;
}

void Weigh(const float* x, int64_t count, float maximum, float temperature, float* weights) {
  const F32 divisor = Set(temperature);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(weights + i, Exp(Div(Sub(Load(x + i), Set(maximum)), divisor)));
  if (i < count) {
    const int64_t left = count - i;
    StoreN(weights + i, Exp(Div(Sub(LoadN(x + i, left), Set(maximum)), divisor)), left);
  }
}

}  // namespace

extern const SampleKernel sample_kernel;
const SampleKernel sample_kernel = {Sample, ArgMax, SumExp, Weigh};

}  // namespace LANES_ISA
}  // namespace lanes
