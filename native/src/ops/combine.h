// Weighted sums of gathered rows. Contract: lanes_combine_params. Each element is summed over the terms in order, with fused
// multiply-adds: the same bits on every ISA.
#ifndef LANES_OPS_COMBINE_H_
#define LANES_OPS_COMBINE_H_

#include "core/parallel.h"
#include "lanes/lanes.h"

namespace lanes {

struct CombineKernel {
  void (*run)(OpContext& context, const lanes_combine_params& params);
};

}  // namespace lanes

#endif  // LANES_OPS_COMBINE_H_
