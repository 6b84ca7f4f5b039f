// Gated activation. Include after the SIMD layer, its math and quantization.
#include "ops/gate.h"

namespace lanes {
namespace LANES_ISA {
namespace {

// Columns of one row: y = activation(gate) * up.
struct GatePiece {
  const float* gate;
  const float* up;
  float* y;          // or null
  uint16_t* y_bf16;  // or null
  int64_t cols;
};

GatePiece PieceAt(const lanes_gate_params& p, int64_t row, int64_t col, int64_t cols) {
  return {p.gate + row * p.gate_stride + col, p.up + row * p.up_stride + col, p.y ? p.y + row * p.y_stride + col : nullptr,
          p.y_bf16 ? p.y_bf16 + row * p.y_bf16_stride + col : nullptr, cols};
}

template <int32_t kActivation>
void GateRow(const GatePiece& piece) {
  int64_t i = 0;
  for (; i + kLanes <= piece.cols; i += kLanes) {
    const F32 y = Mul(Activate(kActivation, Load(piece.gate + i)), Load(piece.up + i));
    if (piece.y != nullptr) Store(piece.y + i, y);
    if (piece.y_bf16 != nullptr) StoreBf16(piece.y_bf16 + i, y);
  }
  const int64_t left = piece.cols - i;
  if (left <= 0) return;
  const F32 y = Mul(Activate(kActivation, LoadN(piece.gate + i, left)), LoadN(piece.up + i, left));
  if (piece.y != nullptr) StoreN(piece.y + i, y, left);
  if (piece.y_bf16 != nullptr) StoreBf16N(piece.y_bf16 + i, y, left);
}

using GateRowFunction = void (*)(const GatePiece& piece);

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
      GatePiece row = PieceAt(p, i, 0, p.cols);
      if (row.y == nullptr) row.y = buffer + worker * p.cols;
      function(row);
      p.y_scale[i] = QuantizeRow(QuantizationOfActivations(p.output_scale), row.y, p.cols, p.yq + i * p.yq_stride);
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
      function(PieceAt(p, row, col, p.cols - col < kPiece ? p.cols - col : kPiece));
    }
  });
}

}  // namespace

extern const GateKernel gate_kernel;
const GateKernel gate_kernel = {GateRun};

}  // namespace LANES_ISA
}  // namespace lanes
