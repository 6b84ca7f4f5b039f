#include "ops/rope.h"

#include "cpu/scalar.h"

namespace lanes {
namespace reference {
namespace {

void Rope(OpContext& context, const lanes_rope_params& p) {
  ParallelFor(context, p.tokens, 1, [&p](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t h = 0; h < p.heads; ++h) {
        RotateHead(p.pairing, p.head_dim, p.half, p.cos + t * p.half, p.sin + t * p.half, p.x + t * p.x_stride + h * p.head_dim,
                   p.y + t * p.y_stride + h * p.head_dim);
      }
    }
  });
}

}  // namespace

extern const RopeKernel rope_kernel;
const RopeKernel rope_kernel = {Rope};

}  // namespace reference
}  // namespace lanes
