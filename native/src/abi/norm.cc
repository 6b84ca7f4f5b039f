#include "abi/check.h"
#include "ops/norm.h"

using namespace lanes;

int32_t lanes_norm(lanes_runtime* runtime, const lanes_norm_params* params) {
  return Guard("lanes_norm", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const lanes_norm_params p = ReadParams(params);
    CheckRange(p.kind, LANES_NORM_LAYER, LANES_NORM_RMS, "kind");
    CheckFinite(p.epsilon, "epsilon");
    if (p.epsilon < 0) ThrowInvalid("epsilon is %g: expected 0 or more", static_cast<double>(p.epsilon));
    CheckRange(p.rows, 0, INT64_MAX, "rows");
    CheckRange(p.cols, 1, INT64_MAX, "cols");
    CheckMatrix(p.x, p.x_len, p.rows, p.cols, p.x_stride, "x");
    CheckArray(p.weight, p.weight_len, p.cols, "weight");
    const QuantizedRows quantized = {p.yq, p.yq_len, p.yq_stride, p.y_scale, p.y_scale_len, p.output_scale};
    CheckQuantizedOutput(quantized, p.rows, p.cols);
    if (p.y_bf16 != nullptr) CheckMatrix(p.y_bf16, p.y_bf16_len, p.rows, p.cols, p.y_bf16_stride, "y_bf16");
    if (p.y != nullptr || (p.yq == nullptr && p.y_bf16 == nullptr)) CheckMatrix(p.y, p.y_len, p.rows, p.cols, p.y_stride, "y");
    const Region x = RegionOf(p.x, p.rows, p.cols, p.x_stride, "x");
    const Region y = RegionOf(p.y, p.rows, p.cols, p.y_stride, "y");
    const Region weight = RegionOf(p.weight, p.cols, "weight");
    const Region bias = RegionOf(p.bias, p.cols, "bias");
    const Region residual = RegionOf(p.residual, p.rows, p.cols, p.residual_stride, "residual");
    if (p.y != nullptr) CheckDisjointOrSame(y, x);
    CheckDisjoint(y, weight);
    if (p.residual != nullptr) {
      CheckMatrix(p.residual, p.residual_len, p.rows, p.cols, p.residual_stride, "residual");
      if (p.y != nullptr) CheckDisjointOrSame(y, residual);
    }
    if (p.bias != nullptr) {
      CheckArray(p.bias, p.bias_len, p.cols, "bias");
      CheckDisjoint(y, bias);
    }
    const Region sum = RegionOf(p.sum, p.rows, p.cols, p.sum_stride, "sum");
    if (p.sum != nullptr) {
      CheckMatrix(p.sum, p.sum_len, p.rows, p.cols, p.sum_stride, "sum");
      CheckDisjoint(sum, y);
      CheckDisjoint(sum, weight);
      CheckDisjoint(sum, bias);
      CheckDisjointOrSame(sum, x);
      CheckDisjointOrSame(sum, residual);
    }
    const Region yq = RegionOf(p.yq, p.rows, p.cols, p.yq_stride, "yq");
    const Region y_scale = RegionOf(p.y_scale, p.rows, "y_scale");
    const Region y_bf16 = RegionOf(p.y_bf16, p.rows, p.cols, p.y_bf16_stride, "y_bf16");
    for (const Region& other : {x, weight, bias, residual, y, sum}) {
      CheckDisjoint(yq, other);
      CheckDisjoint(y_scale, other);
      CheckDisjoint(y_bf16, other);
    }
    CheckDisjoint(y_bf16, yq);
    CheckDisjoint(y_bf16, y_scale);
    if (p.rows == 0) return;
    CheckReachable(*pinned, {x, residual, weight, bias, sum, y, y_bf16, yq, y_scale});
    Turn turn(*pinned, OpId::norm);
    turn.kernels().norm->run(turn.context(), p);
    turn.End();
  });
}
