// From logits to tokens, and the largest log-probabilities. Contracts: lanes_sample_params,
// lanes_top_log_probabilities_params; arguments have been checked.
//
// One row, in this order (the order of Hugging Face's warpers):
//  1. NaN becomes -infinity. Logits of seen tokens: x / penalty when x > 0, else x * penalty; once a token.
//  2. temperature 0: the largest logit. Otherwise weight(i) = e^((x_i - max) / temperature); where the largest logit is
//     +infinity, 1 for those that are, else 0.
//  3. Tokens are ranked by logit, ties by id. top-k keeps the first k. top-p keeps, of these, the shortest prefix whose
//     weights sum to at least top_p times theirs, and at least one. min-p drops weights below min_p.
//  4. u in [0, 1) has the 53 highest bits of the 64-bit number (word 1, word 0) of Philox4x32-10 with the counter
//     (counter low, counter high, 0, 0) and the key (seed low, seed high) (Salmon et al. 2011). The token is the first one,
//     by ascending id, at which the sum of the kept weights exceeds u times their total.
// A row whose logits are all NaN or -infinity gives token 0. Sums are in float64. A row's result depends on that row alone.
#ifndef LANES_OPS_SAMPLE_H_
#define LANES_OPS_SAMPLE_H_

#include <stdint.h>

#include "core/parallel.h"
#include "lanes/lanes.h"

namespace lanes {

struct SampleKernel {
  // `kernel` is the table itself.
  void (*run)(OpContext& context, const SampleKernel& kernel, const lanes_sample_params& params);

  // The passes over a vocabulary that Sample and TopLogProbabilities are made of; null where other code serves both.

  // Index of the largest element, the first of several; NaN counts as -infinity.
  int64_t (*arg_max)(const float* x, int64_t count);
  // Sum of e^(x - maximum), where maximum is finite and at least each x; NaN adds nothing.
  double (*sum_exp)(const float* x, int64_t count, float maximum);
  // weights[i] = e^((x[i] - maximum) / temperature); x has no NaN; maximum as above.
  void (*weigh)(const float* x, int64_t count, float maximum, float temperature, float* weights);
};

struct TopLogProbabilitiesKernel {
  void (*run)(OpContext& context, const SampleKernel& kernel, const lanes_top_log_probabilities_params& params);
};

// `run` of every ISA.
void Sample(OpContext& context, const SampleKernel& kernel, const lanes_sample_params& params);

struct Philox {
  uint32_t word[4];
};
Philox Philox4x32(const uint32_t (&counter)[4], const uint32_t (&key)[2]);

}  // namespace lanes

#endif  // LANES_OPS_SAMPLE_H_
