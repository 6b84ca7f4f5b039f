#include "ops/rope.h"

namespace lanes {
namespace reference {
namespace {

void Rope(OpContext& context, const lanes_rope_params& p) {
  ParallelFor(context, p.tokens, 1, [&p](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t h = 0; h < p.heads; ++h) {
        const float* x = p.x + t * p.x_stride + h * p.head_dim;
        float* y = p.y + t * p.y_stride + h * p.head_dim;
        for (int64_t i = 0; i < p.half; ++i) {
          const int64_t first = p.pairing == LANES_ROPE_HALF ? i : 2 * i;
          const int64_t second = p.pairing == LANES_ROPE_HALF ? i + p.half : 2 * i + 1;
          const float c = p.cos[t * p.half + i], s = p.sin[t * p.half + i];
          const float a = x[first], b = x[second];
          y[first] = a * c - b * s;
          y[second] = b * c + a * s;
        }
        for (int64_t i = 2 * p.half; i < p.head_dim; ++i) y[i] = x[i];
      }
    }
  });
}

}  // namespace

extern const RopeKernel rope_kernel;
const RopeKernel rope_kernel = {Rope};

}  // namespace reference
}  // namespace lanes
