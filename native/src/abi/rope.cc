#include "abi/check.h"
#include "ops/rope.h"

using namespace lanes;

int32_t lanes_rope_table(lanes_runtime* runtime, const lanes_rope_table_params* params) {
  return Guard("lanes_rope_table", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const lanes_rope_table_params p = ReadParams(params);
    CheckFinite(p.scale, "scale");
    CheckRange(p.tokens, 0, INT64_MAX, "tokens");
    CheckRange(p.half, 0, INT64_MAX, "half");
    CheckArray(p.positions, p.positions_len, p.tokens, "positions");
    CheckArray(p.inverse_frequency, p.inverse_frequency_len, p.half, "inverse_frequency");
    const int64_t angles = CheckedMul(p.tokens, p.half, "cos");
    CheckArray(p.cos, p.cos_len, angles, "cos");
    CheckArray(p.sin, p.sin_len, angles, "sin");
    const Region cos = RegionOf(p.cos, angles, "cos"), sin = RegionOf(p.sin, angles, "sin");
    CheckDisjoint(cos, sin);
    for (const Region& out : {cos, sin}) {
      CheckDisjoint(out, RegionOf(p.positions, p.tokens, "positions"));
      CheckDisjoint(out, RegionOf(p.inverse_frequency, p.half, "inverse_frequency"));
    }
    for (int64_t t = 0; t < p.tokens; ++t) {
      if (p.positions[t] < 0) {
        ThrowInvalid("positions[%lld] is %lld: expected 0 or more", static_cast<long long>(t),
                     static_cast<long long>(p.positions[t]));
      }
    }
    for (int64_t i = 0; i < p.half; ++i) CheckFinite(p.inverse_frequency[i], "inverse_frequency");
    if (angles == 0) return;
    CheckReachable(*pinned, {cos, sin});
    Turn turn(*pinned, OpId::rope_table);
    turn.kernels().rope_table->run(turn.context(), p);
    turn.End();
  });
}

int32_t lanes_rope(lanes_runtime* runtime, const lanes_rope_params* params) {
  return Guard("lanes_rope", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const lanes_rope_params p = ReadParams(params);
    CheckRange(p.pairing, LANES_ROPE_HALF, LANES_ROPE_INTERLEAVED, "pairing");
    CheckRange(p.heads, 1, INT32_MAX, "heads");
    CheckRange(p.head_dim, 1, INT32_MAX, "head_dim");
    CheckRange(p.half, 0, p.head_dim / 2, "half");
    CheckRange(p.tokens, 0, INT64_MAX, "tokens");
    const int64_t width = CheckedMul(p.heads, p.head_dim, "x");
    const int64_t angles = CheckedMul(p.tokens, p.half, "cos");
    CheckArray(p.cos, p.cos_len, angles, "cos");
    CheckArray(p.sin, p.sin_len, angles, "sin");
    CheckMatrix(p.x, p.x_len, p.tokens, width, p.x_stride, "x");
    CheckMatrix(p.y, p.y_len, p.tokens, width, p.y_stride, "y");
    const Region x = RegionOf(p.x, p.tokens, width, p.x_stride, "x"), y = RegionOf(p.y, p.tokens, width, p.y_stride, "y");
    const Region cos = RegionOf(p.cos, angles, "cos"), sin = RegionOf(p.sin, angles, "sin");
    CheckDisjointOrSame(y, x);
    CheckDisjoint(y, cos);
    CheckDisjoint(y, sin);
    if (p.tokens == 0) return;
    CheckReachable(*pinned, {x, y, cos, sin});
    Turn turn(*pinned, OpId::rope);
    turn.kernels().rope->run(turn.context(), p);
    turn.End();
  });
}
