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
    CheckMatrix(p.y, p.y_len, p.rows, p.cols, p.y_stride, "y");
    if (p.rows == 0 || p.cols == 0) return;
    const Region y = RegionOf(p.y, p.rows, p.cols, p.y_stride, "y");
    CheckDisjointOrSame(y, RegionOf(p.gate, p.rows, p.cols, p.gate_stride, "gate"));
    CheckDisjointOrSame(y, RegionOf(p.up, p.rows, p.cols, p.up_stride, "up"));
    const Turn turn(*pinned);
    turn.kernels().gate->run(turn.context(), p);
  });
}
