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
    if (p.y != nullptr || p.yq == nullptr) CheckMatrix(p.y, p.y_len, p.rows, p.cols, p.y_stride, "y");
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
    for (const Region& other : {x, weight, bias, residual, y, sum}) {
      CheckDisjoint(yq, other);
      CheckDisjoint(y_scale, other);
    }
    if (p.rows == 0) return;
    CheckReachable(*pinned, {x, residual, weight, bias, sum, y, yq, y_scale});
    Turn turn(*pinned, OpId::norm);
    turn.kernels().norm->run(turn.context(), p);
    turn.End();
  });
}
