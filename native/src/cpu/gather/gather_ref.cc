#include <string.h>

#include "ops/gather.h"

namespace lanes {
namespace portable {
namespace {

void Gather(OpContext& context, const lanes_gather_params& p) {
  ParallelFor(context, p.rows, 16, [&p](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      memcpy(p.y + i * p.y_stride, p.x + p.index[i] * p.x_stride, static_cast<size_t>(p.cols) * sizeof(float));
    }
  });
}

}  // namespace

extern const GatherKernel gather_kernel;
const GatherKernel gather_kernel = {Gather};

}  // namespace portable
}  // namespace lanes
