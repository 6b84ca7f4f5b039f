// Rows of a weight as float32.
#include "ops/embed.h"

#include "cuda/common/device.h"
#include "cuda/common/elements.cuh"
#include "cuda/common/rows.cuh"

namespace lanes::cuda {
namespace {

struct EmbedRowsArgs {
  int64_t tokens, cols;
  const char* weight;
  int64_t padded_cols;
  const float* scales;  // of s8, else null
  const int32_t* ids;
  float* y;
  int64_t y_stride;
  int32_t dtype;
  bool accumulate;
};

// Rows of a weight are aligned, and padded to whole groups.
template <bool kVector>
__global__ void __launch_bounds__(256, 1) EmbedRows(const EmbedRowsArgs args) {
  DependencyWait();
  DependencyLaunch();
  const int64_t cols = args.cols, step = static_cast<int64_t>(gridDim.y) * blockDim.x * 4;
  const int64_t rows_step = static_cast<int64_t>(gridDim.x) * blockDim.y;
  for (int64_t t = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; t < args.tokens; t += rows_step) {
    const int64_t id = args.ids[t];
    float* const y = args.y + t * args.y_stride;
    for (int64_t col = (static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x) * 4; col < cols; col += step) {
      float4 v = LoadFourElements(args.weight, args.dtype, id * args.padded_cols + col);
      if (args.scales != nullptr) {
        const float scale = args.scales[id];
        v = MulFour(v, make_float4(scale, scale, scale, scale));
      }
      if (args.accumulate) v = AddFour(LoadFour<kVector>(y, col, cols), v);
      StoreFour<kVector>(y, col, cols, v);
    }
  }
}

void Run(OpContext& context, const EmbedArgs& args) {
  Device& device = DeviceOf(context);
  const WeightView& w = args.weight;
  const EmbedRowsArgs rows = {args.tokens, w.cols,        w.data,  w.padded_cols,   w.scales, device.Stage(args.ids, args.tokens),
                              args.y,      args.y_stride, w.dtype, args.accumulate};
  const bool vector = InFours(args.y, args.tokens, w.cols, args.y_stride);
  device.Launch(RowGrid(args.tokens, (w.cols + 3) / 4), vector ? EmbedRows<true> : EmbedRows<false>, rows);
}

}  // namespace

extern const EmbedKernel embed_kernel;
const EmbedKernel embed_kernel = {Run};

}  // namespace lanes::cuda
