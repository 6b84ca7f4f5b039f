// Weighted sums of gathered rows: each element a chain of fused multiply-adds over the terms, with the CPU's bits.
#include "ops/combine.h"

#include "cuda/common/device.h"
#include "cuda/common/ptx.cuh"
#include "cuda/common/rows.cuh"

namespace lanes::cuda {
namespace {

struct CombineArgs {
  int64_t tokens, cols;
  const int32_t* index;
  const float* weight;
  const float* x;
  int64_t x_stride;
  const float* residual;  // or null
  int64_t residual_stride;
  float* y;
  int64_t y_stride;
  int32_t terms;
};

template <bool kVector>
__global__ void __launch_bounds__(256, 1) CombineRows(const CombineArgs args) {
  DependencyWait();
  DependencyLaunch();
  const int64_t cols = args.cols, step = static_cast<int64_t>(gridDim.y) * blockDim.x * 4;
  const int64_t rows_step = static_cast<int64_t>(gridDim.x) * blockDim.y;
  for (int64_t t = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; t < args.tokens; t += rows_step) {
    const int32_t* const index = args.index + t * args.terms;
    const float* const weight = args.weight + t * args.terms;
    for (int64_t col = (static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x) * 4; col < cols; col += step) {
      float4 sum = make_float4(0.f, 0.f, 0.f, 0.f);
      if (args.residual != nullptr) sum = LoadFour<kVector>(args.residual + t * args.residual_stride, col, cols);
#pragma unroll 4
      for (int32_t j = 0; j < args.terms; ++j) {
        const float4 x = LoadFour<kVector>(args.x + index[j] * args.x_stride, col, cols);
        const float w = weight[j];
        sum = make_float4(fmaf(w, x.x, sum.x), fmaf(w, x.y, sum.y), fmaf(w, x.z, sum.z), fmaf(w, x.w, sum.w));
      }
      StoreFour<kVector>(args.y + t * args.y_stride, col, cols, sum);
    }
  }
}

void Run(OpContext& context, const lanes_combine_params& p) {
  Device& device = DeviceOf(context);
  const int64_t terms = p.tokens * p.terms;
  const int32_t* const index = terms == 0 ? nullptr : device.Stage(p.index, terms);
  const float* const weight = terms == 0 ? nullptr : device.Stage(p.weight, terms);
  const CombineArgs args = {p.tokens,   p.cols,            index, weight,     p.x,    p.x_stride,
                            p.residual, p.residual_stride, p.y,   p.y_stride, p.terms};
  const bool vector = InFours(p.x, p.x_rows, p.cols, p.x_stride) && InFours(p.residual, p.tokens, p.cols, p.residual_stride) &&
                      InFours(p.y, p.tokens, p.cols, p.y_stride);
  device.Launch(RowGrid(p.tokens, (p.cols + 3) / 4), vector ? CombineRows<true> : CombineRows<false>, args);
}

}  // namespace

extern const CombineKernel combine_kernel;
const CombineKernel combine_kernel = {Run};

}  // namespace lanes::cuda
