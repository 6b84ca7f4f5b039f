// Copies of rows by index. Contract: lanes_gather_params. A copy is memory-bound, hence one implementation for every ISA.
#ifndef LANES_OPS_GATHER_H_
#define LANES_OPS_GATHER_H_

#include "core/parallel.h"
#include "lanes/lanes.h"

namespace lanes {

struct GatherKernel {
  void (*run)(OpContext& context, const lanes_gather_params& params);
};

}  // namespace lanes

#endif  // LANES_OPS_GATHER_H_
