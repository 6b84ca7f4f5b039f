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
    CheckRange(p.compute, LANES_COMPUTE_EXACT, LANES_COMPUTE_F16, "compute");
    if (p.compute == LANES_COMPUTE_BF16 && view.dtype != LANES_BF16) {
      ThrowInvalid("compute is BF16 for a weight of %s: expected a bf16 weight", DtypeName(view.dtype));
    }
    if (p.compute == LANES_COMPUTE_F16 && view.dtype != LANES_F16) {
      ThrowInvalid("compute is F16 for a weight of %s: expected an f16 weight", DtypeName(view.dtype));
    }
    if ((p.compute == LANES_COMPUTE_INT8) != (view.dtype == LANES_S8)) {
      ThrowInvalid("compute is %d for a weight of %s: INT8 (%d) goes with s8 weights, and they with no other", p.compute,
                   DtypeName(view.dtype), LANES_COMPUTE_INT8);
    }
    CheckScale(p.input_scale, "input_scale");
    if (p.xq != nullptr) {
      if (p.compute != LANES_COMPUTE_INT8) ThrowInvalid("xq is given: expected compute INT8 (%d)", LANES_COMPUTE_INT8);
      if (p.x != nullptr) ThrowInvalid("both x and xq are given: expected one of them");
      if (p.x_bf16 != nullptr) ThrowInvalid("both x_bf16 and xq are given: expected one of them");
      if (p.input_scale != 0) ThrowInvalid("input_scale is given: expected 0 beside xq, which is quantized already");
      CheckMatrix(p.xq, p.xq_len, p.m, k, p.xq_stride, "xq");
      CheckArray(p.x_scale, p.x_scale_len, p.m, "x_scale");
    } else {
      if (p.x_scale != nullptr) ThrowInvalid("x_scale is given without xq");
      if (p.input_scale != 0 && p.compute != LANES_COMPUTE_INT8) {
        ThrowInvalid("input_scale is given: expected compute INT8 (%d)", LANES_COMPUTE_INT8);
      }
      if (p.x_bf16 == nullptr) {
        CheckMatrix(p.x, p.x_len, p.m, k, p.x_stride, "x");
      } else {
        if (p.x != nullptr) ThrowInvalid("both x and x_bf16 are given: expected one of them");
        if (p.compute == LANES_COMPUTE_INT8) ThrowInvalid("x_bf16 is given with compute INT8 (%d): expected x or xq", LANES_COMPUTE_INT8);
        CheckMatrix(p.x_bf16, p.x_bf16_len, p.m, k, p.x_bf16_stride, "x_bf16");
      }
    }
    if (p.y_bf16 == nullptr) {
      CheckMatrix(p.y, p.y_len, p.m, n, p.y_stride, "y");
    } else {
      if (p.y != nullptr) ThrowInvalid("both y and y_bf16 are given: expected one of them");
      CheckMatrix(p.y_bf16, p.y_bf16_len, p.m, n, p.y_bf16_stride, "y_bf16");
    }
    const Region y = p.y_bf16 == nullptr ? RegionOf(p.y, p.m, n, p.y_stride, "y")
                                         : RegionOf(p.y_bf16, p.m, n, p.y_bf16_stride, "y_bf16");
    const Region x = p.x_bf16 == nullptr ? RegionOf(p.x, p.m, k, p.x_stride, "x")
                                         : RegionOf(p.x_bf16, p.m, k, p.x_bf16_stride, "x_bf16");
    const Region xq = RegionOf(p.xq, p.m, k, p.xq_stride, "xq");
    const Region x_scale = RegionOf(p.x_scale, p.m, "x_scale"), bias = RegionOf(p.bias, n, "bias");
    const Region residual = RegionOf(p.residual, p.m, n, p.residual_stride, "residual");
    CheckDisjoint(y, x);
    CheckDisjoint(y, xq);
    CheckDisjoint(y, x_scale);
    if (p.bias != nullptr) {
      CheckArray(p.bias, p.bias_len, n, "bias");
      CheckDisjoint(y, bias);
    }
    if (p.residual != nullptr) {
      CheckMatrix(p.residual, p.residual_len, p.m, n, p.residual_stride, "residual");
      // In place each element is read before it is written; those of y_bf16 lie elsewhere.
      if (p.y_bf16 == nullptr) {
        CheckDisjointOrSame(y, residual);
      } else {
        CheckDisjoint(y, residual);
      }
    }
    if (p.m == 0) return;
    CheckSameDevice(*pinned, weight->block.device(), "weight");
    CheckReachable(*pinned, {x, xq, x_scale, bias, residual, y});
    Turn turn(*pinned, OpId::linear);
    const LinearKernel& kernel = *turn.kernels().linear;
    LinearArgs args = {};
    args.weight = view;
    args.m = p.m;
    args.x = p.x;
    args.x_bf16 = p.x_bf16;
    args.x_stride = p.x_bf16 == nullptr ? p.x_stride : p.x_bf16_stride;
    args.bias = p.bias;
    args.residual = p.residual;
    args.residual_stride = p.residual_stride;
    args.y = p.y;
    args.y_bf16 = p.y_bf16;
    args.y_stride = p.y_bf16 == nullptr ? p.y_stride : p.y_bf16_stride;
    args.activation = p.activation;
    args.bf16_dot = p.compute == LANES_COMPUTE_BF16 && kernel.bf16_dot();
    args.f16_dot = p.compute == LANES_COMPUTE_F16;
    args.xq = p.xq;
    args.xq_stride = p.xq_stride;
    args.x_scale = p.x_scale;
    args.input_scale = p.input_scale;
    (view.dtype == LANES_S8 ? kernel.run_s8 : kernel.run)(turn.context(), args);
    turn.End();
  });
}
