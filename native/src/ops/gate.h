// Gated activation, y = activation(gate) * up. Contract: lanes_gate_params.
#ifndef LANES_OPS_GATE_H_
#define LANES_OPS_GATE_H_

#include "core/parallel.h"
#include "lanes/lanes.h"

namespace lanes {

struct GateKernel {
  void (*run)(OpContext& context, const lanes_gate_params& params);
};

}  // namespace lanes

#endif  // LANES_OPS_GATE_H_
