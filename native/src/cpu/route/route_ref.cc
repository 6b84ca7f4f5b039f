#include <math.h>

#include "ops/route.h"

namespace lanes {
namespace portable {
namespace {

// A total order of logits: NaN counts as the smallest.
float Rank(float logit) { return isnan(logit) ? -INFINITY : logit; }

void RouteRow(const float* logits, int32_t experts, int32_t top_k, bool normalize, int32_t* expert, float* weight) {
  // Insertion into the sorted list of the best so far: a later expert must be strictly larger to pass an earlier one.
  int32_t found = 0;
  for (int32_t e = 0; e < experts; ++e) {
    int32_t at = found;
    while (at > 0 && Rank(logits[e]) > Rank(logits[expert[at - 1]])) --at;
    if (at == top_k) continue;
    if (found < top_k) ++found;
    for (int32_t i = found - 1; i > at; --i) expert[i] = expert[i - 1];
    expert[at] = e;
  }
  const double largest = logits[expert[0]];
  double sum = 0;
  if (normalize) {
    for (int32_t i = 0; i < top_k; ++i) sum += exp(logits[expert[i]] - largest);
  } else {
    for (int32_t e = 0; e < experts; ++e) sum += exp(logits[e] - largest);
  }
  for (int32_t i = 0; i < top_k; ++i) weight[i] = static_cast<float>(exp(logits[expert[i]] - largest) / sum);
}

void Route(OpContext& context, const lanes_route_params& p) {
  ParallelFor(context, p.tokens, 16, [&p](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      RouteRow(p.logits + t * p.logits_stride, p.experts, p.top_k, p.normalize != 0, p.expert + t * p.top_k,
               p.weight + t * p.top_k);
    }
  });
}

}  // namespace

extern const RouteKernel route_kernel;
const RouteKernel route_kernel = {Route};

}  // namespace portable
}  // namespace lanes
