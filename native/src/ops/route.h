// Expert routing: softmax and the largest probabilities. Contract: lanes_route_params. A row has tens of logits, hence one
// implementation for every ISA. NaN counts as the smallest logit when experts are ranked.
#ifndef LANES_OPS_ROUTE_H_
#define LANES_OPS_ROUTE_H_

#include "core/parallel.h"
#include "lanes/lanes.h"

namespace lanes {

struct RouteKernel {
  void (*run)(OpContext& context, const lanes_route_params& params);
};

}  // namespace lanes

#endif  // LANES_OPS_ROUTE_H_
