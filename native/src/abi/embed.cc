#include "abi/check.h"
#include "ops/weight_storage.h"

using namespace lanes;

int32_t lanes_embed(lanes_runtime* runtime, const lanes_embed_params* params) {
  return Guard("lanes_embed", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const lanes_embed_params p = ReadParams(params);
    const Pinned<const lanes_weight> weight(p.weight, "weight");
    const WeightView& view = weight->view;
    CheckRange(p.tokens, 0, INT64_MAX, "tokens");
    CheckArray(p.ids, p.ids_len, p.tokens, "ids");
    CheckMatrix(p.y, p.y_len, p.tokens, view.cols, p.y_stride, "y");
    CheckDisjoint(RegionOf(p.y, p.tokens, view.cols, p.y_stride, "y"), RegionOf(p.ids, p.tokens, "ids"));
    for (int64_t t = 0; t < p.tokens; ++t) {
      if (p.ids[t] < 0 || p.ids[t] >= view.rows) {
        ThrowInvalid("ids[%lld] is %d: expected 0 to %lld", static_cast<long long>(t), p.ids[t],
                     static_cast<long long>(view.rows - 1));
      }
    }
    if (p.tokens == 0) return;
    CheckSameDevice(*pinned, weight->block.device(), "weight");
    CheckReachable(*pinned, {RegionOf(p.y, p.tokens, view.cols, p.y_stride, "y")});
    const EmbedArgs args = {view, p.ids, p.tokens, p.accumulate != 0, p.y, p.y_stride};
    Turn turn(*pinned, OpId::embed);
    turn.kernels().embed->run(turn.context(), args);
    turn.End();
  });
}
