#include <math.h>

#include "ops/rope.h"

namespace lanes {
namespace portable {
namespace {

void RopeTable(OpContext& context, const lanes_rope_table_params& p) {
  ParallelFor(context, p.tokens, 8, [&p](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t i = 0; i < p.half; ++i) {
        const double angle = static_cast<double>(p.positions[t]) * p.inverse_frequency[i];
        p.cos[t * p.half + i] = static_cast<float>(p.scale * cos(angle));
        p.sin[t * p.half + i] = static_cast<float>(p.scale * sin(angle));
      }
    }
  });
}

}  // namespace

extern const RopeTableKernel rope_table_kernel;
const RopeTableKernel rope_table_kernel = {RopeTable};

}  // namespace portable
}  // namespace lanes
