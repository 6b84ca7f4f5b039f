#include "ops/gate.h"

#include "cpu/scalar.h"

namespace lanes {
namespace reference {
namespace {

void Gate(OpContext& context, const lanes_gate_params& p) {
  ParallelFor(context, p.rows, 1, [&p](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const float* gate = p.gate + i * p.gate_stride;
      const float* up = p.up + i * p.up_stride;
      float* y = p.y + i * p.y_stride;
      for (int64_t j = 0; j < p.cols; ++j) y[j] = static_cast<float>(Activate(p.activation, gate[j]) * up[j]);
    }
  });
}

}  // namespace

extern const GateKernel gate_kernel;
const GateKernel gate_kernel = {Gate};

}  // namespace reference
}  // namespace lanes
