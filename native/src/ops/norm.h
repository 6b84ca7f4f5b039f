// LayerNorm and RMSNorm over rows, optionally of a sum. Contract: lanes_norm_params.
// A row's statistics are summed in SIMD lanes, which are added at the end in a fixed order: its bits depend on the row alone.
// Error: docs/numerics.md.
#ifndef LANES_OPS_NORM_H_
#define LANES_OPS_NORM_H_

#include "core/parallel.h"
#include "lanes/lanes.h"

namespace lanes {

struct NormKernel {
  void (*run)(OpContext& context, const lanes_norm_params& params);
};

}  // namespace lanes

#endif  // LANES_OPS_NORM_H_
