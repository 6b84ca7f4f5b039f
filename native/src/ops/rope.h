// Rotary position embedding: the table of a step, and the rotation. Contract: lanes_rope_table_params, lanes_rope_params.
#ifndef LANES_OPS_ROPE_H_
#define LANES_OPS_ROPE_H_

#include "core/parallel.h"
#include "lanes/lanes.h"

namespace lanes {

struct RopeKernel {
  void (*run)(OpContext& context, const lanes_rope_params& params);
};

// The same on every ISA: angles, sines and cosines in float64, rounded once.
struct RopeTableKernel {
  void (*run)(OpContext& context, const lanes_rope_table_params& params);
};

}  // namespace lanes

#endif  // LANES_OPS_ROPE_H_
