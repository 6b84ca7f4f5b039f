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
    CheckMatrix(p.y, p.y_len, p.rows, p.cols, p.y_stride, "y");
    const Region x = RegionOf(p.x, p.rows, p.cols, p.x_stride, "x");
    const Region y = RegionOf(p.y, p.rows, p.cols, p.y_stride, "y");
    const Region weight = RegionOf(p.weight, p.cols, "weight");
    const Region bias = RegionOf(p.bias, p.cols, "bias");
    const Region residual = RegionOf(p.residual, p.rows, p.cols, p.residual_stride, "residual");
    CheckDisjointOrSame(y, x);
    CheckDisjoint(y, weight);
    if (p.residual != nullptr) {
      CheckMatrix(p.residual, p.residual_len, p.rows, p.cols, p.residual_stride, "residual");
      CheckDisjointOrSame(y, residual);
    }
    if (p.bias != nullptr) {
      CheckArray(p.bias, p.bias_len, p.cols, "bias");
      CheckDisjoint(y, bias);
    }
    if (p.sum != nullptr) {
      CheckMatrix(p.sum, p.sum_len, p.rows, p.cols, p.sum_stride, "sum");
      const Region sum = RegionOf(p.sum, p.rows, p.cols, p.sum_stride, "sum");
      CheckDisjoint(sum, y);
      CheckDisjoint(sum, weight);
      CheckDisjoint(sum, bias);
      CheckDisjointOrSame(sum, x);
      CheckDisjointOrSame(sum, residual);
    }
    if (p.rows == 0) return;
    const Turn turn(*pinned);
    turn.kernels().norm->run(turn.context(), p);
  });
}
