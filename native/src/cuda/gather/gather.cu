// Copies of rows by index.
#include "ops/gather.h"

#include "cuda/common/device.h"
#include "cuda/common/ptx.cuh"
#include "cuda/common/rows.cuh"

namespace lanes::cuda {
namespace {

struct GatherArgs {
  int64_t rows, cols;
  const int32_t* index;
  const float* x;
  int64_t x_stride;
  float* y;
  int64_t y_stride;
};

template <bool kVector>
__global__ void __launch_bounds__(256, 1) GatherRows(const GatherArgs args) {
  DependencyWait();
  DependencyLaunch();
  const int64_t cols = args.cols, step = static_cast<int64_t>(gridDim.y) * blockDim.x * 4;
  const int64_t rows_step = static_cast<int64_t>(gridDim.x) * blockDim.y;
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; row < args.rows; row += rows_step) {
    const float* const x = args.x + args.index[row] * args.x_stride;
    float* const y = args.y + row * args.y_stride;
    for (int64_t col = (static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x) * 4; col < cols; col += step) {
      StoreFour<kVector>(y, col, cols, LoadFour<kVector>(x, col, cols));
    }
  }
}

void Run(OpContext& context, const lanes_gather_params& p) {
  Device& device = DeviceOf(context);
  const GatherArgs args = {p.rows, p.cols, device.Stage(p.index, p.rows), p.x, p.x_stride, p.y, p.y_stride};
  const bool vector = InFours(p.x, p.x_rows, p.cols, p.x_stride) && InFours(p.y, p.rows, p.cols, p.y_stride);
  device.Launch(RowGrid(p.rows, (p.cols + 3) / 4), vector ? GatherRows<true> : GatherRows<false>, args);
}

}  // namespace

extern const GatherKernel gather_kernel;
const GatherKernel gather_kernel = {Run};

}  // namespace lanes::cuda
