// One row of a packed weight is one SIMD lane of a panel, so a token's values come one by one, a panel's width apart. The
// time is that of the cache misses; they are independent of each other, and the tokens are shared out.
#include "lanes/lanes.h"
#include "ops/embed.h"

namespace lanes {
namespace LANES_ISA {
namespace {

struct F32Element {
  static float Get(const char* lane, int64_t c, int64_t width) { return reinterpret_cast<const float*>(lane)[c * width]; }
};
struct F16Element {
  static float Get(const char* lane, int64_t c, int64_t width) {
    return WidenF16(reinterpret_cast<const uint16_t*>(lane)[c * width]);
  }
};
// `lane` points to the first pair.
struct Bf16Element {
  static float Get(const char* lane, int64_t c, int64_t width) {
    const uint32_t half = reinterpret_cast<const uint16_t*>(lane)[(c >> 1) * 2 * width + (c & 1)];
    return __builtin_bit_cast(float, half << 16);
  }
};

// Four columns at a time; `lane` points to the first four.
void CopyRowS8(const char* lane, int64_t width, int64_t cols, float scale, bool accumulate, float* y) {
  for (int64_t c = 0; c < cols; c += 4, lane += 4 * width) {
    for (int64_t i = 0; i < 4 && c + i < cols; ++i) {
      const float value = static_cast<float>(static_cast<int8_t>(lane[i])) * scale;
      y[c + i] = accumulate ? y[c + i] + value : value;
    }
  }
}

template <class Element>
void CopyRow(const char* lane, int64_t width, int64_t cols, bool accumulate, float* y) {
  if (accumulate) {
    for (int64_t c = 0; c < cols; ++c) y[c] += Element::Get(lane, c, width);
  } else {
    for (int64_t c = 0; c < cols; ++c) y[c] = Element::Get(lane, c, width);
  }
}

void EmbedRun(OpContext& context, const EmbedArgs& args) {
  const WeightView& w = args.weight;
  const int64_t grain = w.cols >= 2048 ? 1 : 2048 / w.cols;
  ParallelFor(context, args.tokens, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t panel = args.ids[t] / kPanelRows, row = args.ids[t] % kPanelRows, width = PanelWidth(w, panel);
      const char* lane = w.data + PanelOffset(w, panel) + row * (w.dtype == LANES_F16 ? 2 : 4);
      float* y = args.y + t * args.y_stride;
      if (w.dtype == LANES_S8) {
        CopyRowS8(lane, width, w.cols, w.scales[args.ids[t]], args.accumulate, y);
      } else if (w.dtype == LANES_F32) {
        CopyRow<F32Element>(lane, width, w.cols, args.accumulate, y);
      } else if (w.dtype == LANES_BF16) {
        CopyRow<Bf16Element>(lane, width, w.cols, args.accumulate, y);
      } else {
        CopyRow<F16Element>(lane, width, w.cols, args.accumulate, y);
      }
    }
  });
}

}  // namespace

extern const EmbedKernel embed_kernel;
const EmbedKernel embed_kernel = {EmbedRun};

}  // namespace LANES_ISA
}  // namespace lanes
