#include "ops/gate.h"

#include "cpu/scalar.h"

namespace lanes {
namespace reference {
namespace {

void Gate(OpContext& context, const lanes_gate_params& p) {
  const bool buffered = p.y == nullptr;
  float* buffer =
      buffered ? static_cast<float*>(Scratch(context, Workers(context) * p.cols * static_cast<int64_t>(sizeof(float)))) : nullptr;
  ParallelFor(context, p.rows, 1, [&](int64_t begin, int64_t end, int worker) {
    for (int64_t i = begin; i < end; ++i) {
      const float* gate = p.gate + i * p.gate_stride;
      const float* up = p.up + i * p.up_stride;
      float* y = buffered ? buffer + worker * p.cols : p.y + i * p.y_stride;
      for (int64_t j = 0; j < p.cols; ++j) y[j] = static_cast<float>(Activate(p.activation, gate[j]) * up[j]);
      if (p.y_bf16 != nullptr) {
        for (int64_t j = 0; j < p.cols; ++j) p.y_bf16[i * p.y_bf16_stride + j] = FloatToBf16(y[j]);
      }
      if (p.yq != nullptr) {
        p.y_scale[i] = QuantizeRow(QuantizationOfActivations(p.output_scale), y, p.cols, p.yq + i * p.yq_stride);
      }
    }
  });
}

}  // namespace

extern const GateKernel gate_kernel;
const GateKernel gate_kernel = {Gate};

}  // namespace reference
}  // namespace lanes
