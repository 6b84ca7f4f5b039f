#include "abi/check.h"
#include "ops/gate.h"

using namespace lanes;

int32_t lanes_gate(lanes_runtime* runtime, const lanes_gate_params* params) {
  return Guard("lanes_gate", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const lanes_gate_params p = ReadParams(params);
    CheckActivation(p.activation);
    CheckRange(p.rows, 0, INT64_MAX, "rows");
    CheckRange(p.cols, 0, INT64_MAX, "cols");
    CheckMatrix(p.gate, p.gate_len, p.rows, p.cols, p.gate_stride, "gate");
    CheckMatrix(p.up, p.up_len, p.rows, p.cols, p.up_stride, "up");
    const QuantizedRows quantized = {p.yq, p.yq_len, p.yq_stride, p.y_scale, p.y_scale_len, p.output_scale};
    CheckQuantizedOutput(quantized, p.rows, p.cols);
    if (p.y_bf16 != nullptr) CheckMatrix(p.y_bf16, p.y_bf16_len, p.rows, p.cols, p.y_bf16_stride, "y_bf16");
    if (p.y != nullptr || (p.yq == nullptr && p.y_bf16 == nullptr)) CheckMatrix(p.y, p.y_len, p.rows, p.cols, p.y_stride, "y");
    if (p.rows == 0 || p.cols == 0) return;
    const Region y = RegionOf(p.y, p.rows, p.cols, p.y_stride, "y");
    const Region gate = RegionOf(p.gate, p.rows, p.cols, p.gate_stride, "gate");
    const Region up = RegionOf(p.up, p.rows, p.cols, p.up_stride, "up");
    if (p.y != nullptr) {
      CheckDisjointOrSame(y, gate);
      CheckDisjointOrSame(y, up);
    }
    const Region yq = RegionOf(p.yq, p.rows, p.cols, p.yq_stride, "yq");
    const Region y_scale = RegionOf(p.y_scale, p.rows, "y_scale");
    const Region y_bf16 = RegionOf(p.y_bf16, p.rows, p.cols, p.y_bf16_stride, "y_bf16");
    for (const Region& other : {gate, up, y}) {
      CheckDisjoint(yq, other);
      CheckDisjoint(y_scale, other);
      CheckDisjoint(y_bf16, other);
    }
    CheckDisjoint(y_bf16, yq);
    CheckDisjoint(y_bf16, y_scale);
    CheckReachable(*pinned, {gate, up, y, y_bf16, yq, y_scale});
    Turn turn(*pinned, OpId::gate);
    turn.kernels().gate->run(turn.context(), p);
    turn.End();
  });
}
