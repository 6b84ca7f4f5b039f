#include "abi/check.h"
#include "ops/weight_storage.h"

using namespace lanes;

int32_t lanes_linear(lanes_runtime* runtime, const lanes_linear_params* params) {
  return Guard("lanes_linear", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const lanes_linear_params p = ReadParams(params);
    const Pinned<const lanes_weight> weight(p.weight, "weight");
    const WeightView& view = weight->view;
    const int64_t n = view.rows, k = view.cols;
    CheckRange(p.m, 0, INT64_MAX, "m");
    CheckActivation(p.activation);
    CheckRange(p.compute, LANES_COMPUTE_EXACT, LANES_COMPUTE_BF16, "compute");
    if (p.compute == LANES_COMPUTE_BF16 && view.dtype != LANES_BF16) {
      ThrowInvalid("compute is BF16 for a weight of %s: expected a bf16 weight", DtypeName(view.dtype));
    }
    CheckMatrix(p.x, p.x_len, p.m, k, p.x_stride, "x");
    CheckMatrix(p.y, p.y_len, p.m, n, p.y_stride, "y");
    const Region y = RegionOf(p.y, p.m, n, p.y_stride, "y");
    CheckDisjoint(y, RegionOf(p.x, p.m, k, p.x_stride, "x"));
    if (p.bias != nullptr) {
      CheckArray(p.bias, p.bias_len, n, "bias");
      CheckDisjoint(y, RegionOf(p.bias, n, "bias"));
    }
    if (p.residual != nullptr) {
      CheckMatrix(p.residual, p.residual_len, p.m, n, p.residual_stride, "residual");
      CheckDisjointOrSame(y, RegionOf(p.residual, p.m, n, p.residual_stride, "residual"));
    }
    if (p.m == 0) return;
    const Turn turn(*pinned);
    const LinearKernel& kernel = *turn.kernels().linear;
    const LinearArgs args = {view,       p.m, p.x,        p.x_stride,   p.bias, p.residual, p.residual_stride,
                             p.y,        p.y_stride, p.activation, p.compute == LANES_COMPUTE_BF16 && kernel.bf16_dot()};
    kernel.run(turn.context(), args);
  });
}
