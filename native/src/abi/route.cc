#include "abi/check.h"
#include "ops/route.h"

using namespace lanes;

int32_t lanes_route(lanes_runtime* runtime, const lanes_route_params* params) {
  return Guard("lanes_route", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const lanes_route_params p = ReadParams(params);
    CheckRange(p.tokens, 0, INT64_MAX, "tokens");
    CheckRange(p.experts, 1, INT32_MAX, "experts");
    CheckRange(p.top_k, 1, p.experts, "top_k");
    const int64_t chosen = CheckedMul(p.tokens, p.top_k, "expert");
    CheckMatrix(p.logits, p.logits_len, p.tokens, p.experts, p.logits_stride, "logits");
    CheckArray(p.expert, p.expert_len, chosen, "expert");
    CheckArray(p.weight, p.weight_len, chosen, "weight");
    if (p.tokens == 0) return;
    const Region logits = RegionOf(p.logits, p.tokens, p.experts, p.logits_stride, "logits");
    const Region expert = RegionOf(p.expert, chosen, "expert"), weight = RegionOf(p.weight, chosen, "weight");
    CheckDisjoint(expert, logits);
    CheckDisjoint(weight, logits);
    CheckDisjoint(expert, weight);
    CheckReachable(*pinned, {logits});
    Turn turn(*pinned, OpId::route);
    turn.kernels().route->run(turn.context(), p);
    turn.End();
  });
}
