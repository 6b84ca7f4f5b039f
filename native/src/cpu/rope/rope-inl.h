// Rotation of query and key heads. Include after the SIMD layer.
#include "cpu/rope/rotate-inl.h"
#include "ops/rope.h"

namespace lanes {
namespace LANES_ISA {
namespace {

void RopeRun(OpContext& context, const lanes_rope_params& p) {
  const int64_t width = static_cast<int64_t>(p.heads) * p.head_dim;
  const int64_t grain = width >= 4096 ? 1 : 4096 / width;
  ParallelFor(context, p.tokens, grain, [&p](int64_t begin, int64_t end, int) {
    const HeadRotation rotation = {p.pairing, p.head_dim, p.half};
    for (int64_t t = begin; t < end; ++t) {
      RotateHeads(rotation, p.cos + t * p.half, p.sin + t * p.half, p.heads, p.x + t * p.x_stride, p.y + t * p.y_stride);
    }
  });
}

}  // namespace

extern const RopeKernel rope_kernel;
const RopeKernel rope_kernel = {RopeRun};

}  // namespace LANES_ISA
}  // namespace lanes
