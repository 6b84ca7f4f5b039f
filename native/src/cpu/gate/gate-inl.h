// Gated activation. Include after the SIMD layer, its math and quantization.
#include "ops/gate.h"

namespace lanes {
namespace LANES_ISA {
namespace {

template <int32_t kActivation>
void GateRow(const float* gate, const float* up, int64_t cols, float* y) {
  int64_t i = 0;
  for (; i + kLanes <= cols; i += kLanes) Store(y + i, Mul(Activate(kActivation, Load(gate + i)), Load(up + i)));
  const int64_t left = cols - i;
  if (left > 0) StoreN(y + i, Mul(Activate(kActivation, LoadN(gate + i, left)), LoadN(up + i, left)), left);
}

using GateRowFunction = void (*)(const float* gate, const float* up, int64_t cols, float* y);

GateRowFunction GateRowFor(int32_t activation) {
  switch (activation) {
    case LANES_ACTIVATION_SILU:
      return GateRow<LANES_ACTIVATION_SILU>;
    case LANES_ACTIVATION_GELU:
      return GateRow<LANES_ACTIVATION_GELU>;
    case LANES_ACTIVATION_GELU_TANH:
      return GateRow<LANES_ACTIVATION_GELU_TANH>;
    case LANES_ACTIVATION_RELU:
      return GateRow<LANES_ACTIVATION_RELU>;
    case LANES_ACTIVATION_TANH:
      return GateRow<LANES_ACTIVATION_TANH>;
    default:
      return GateRow<LANES_ACTIVATION_NONE>;
  }
}

// Whole rows, as each is measured before it is quantized; in between it stays in y or in the worker's part of a buffer.
void GateQuantized(OpContext& context, const lanes_gate_params& p) {
  const GateRowFunction function = GateRowFor(p.activation);
  const int64_t buffer_bytes = p.y == nullptr ? Workers(context) * p.cols * static_cast<int64_t>(sizeof(float)) : 0;
  float* const buffer = static_cast<float*>(Scratch(context, buffer_bytes));
  const int64_t grain = p.cols >= 2048 ? 1 : 2048 / p.cols;
  ParallelFor(context, p.rows, grain, [&](int64_t begin, int64_t end, int worker) {
    for (int64_t i = begin; i < end; ++i) {
      float* const y = p.y == nullptr ? buffer + worker * p.cols : p.y + i * p.y_stride;
      function(p.gate + i * p.gate_stride, p.up + i * p.up_stride, p.cols, y);
      p.y_scale[i] = QuantizeRow(QuantizationOfActivations(p.output_scale), y, p.cols, p.yq + i * p.yq_stride);
    }
  });
}

void GateRun(OpContext& context, const lanes_gate_params& p) {
  if (p.yq != nullptr) {
    GateQuantized(context, p);
    return;
  }
  // Pieces of rows, so that a single row is shared out too.
  constexpr int64_t kPiece = 2048;
  const int64_t pieces = (p.cols + kPiece - 1) / kPiece;
  const GateRowFunction function = GateRowFor(p.activation);
  const int64_t grain = p.cols >= kPiece ? 1 : kPiece / p.cols;
  ParallelFor(context, p.rows * pieces, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / pieces, col = i % pieces * kPiece;
      const int64_t cols = p.cols - col < kPiece ? p.cols - col : kPiece;
      function(p.gate + row * p.gate_stride + col, p.up + row * p.up_stride + col, cols, p.y + row * p.y_stride + col);
    }
  });
}

}  // namespace

extern const GateKernel gate_kernel;
const GateKernel gate_kernel = {GateRun};

}  // namespace LANES_ISA
}  // namespace lanes
