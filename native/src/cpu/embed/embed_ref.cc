#include "ops/embed.h"

#include "cpu/scalar.h"

namespace lanes {
namespace reference {
namespace {

void Run(OpContext& context, const EmbedArgs& args) {
  const WeightView& w = args.weight;
  ParallelFor(context, args.tokens, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      float* y = args.y + t * args.y_stride;
      for (int64_t c = 0; c < w.cols; ++c) {
        float value = LoadElement(w.data, w.dtype, WeightIndex(w, args.ids[t], c));
        if (w.dtype == LANES_S8) value *= w.scales[args.ids[t]];
        y[c] = args.accumulate ? y[c] + value : value;
      }
    }
  });
}

}  // namespace

extern const EmbedKernel embed_kernel;
const EmbedKernel embed_kernel = {Run};

}  // namespace reference
}  // namespace lanes
