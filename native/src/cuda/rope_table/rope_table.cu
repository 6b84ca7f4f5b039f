// Sines and cosines of a step's positions, in float64 and rounded once.
#include <math.h>

#include "cuda/common/device.h"
#include "cuda/common/ptx.cuh"
#include "cuda/common/rows.cuh"
#include "ops/rope.h"

namespace lanes::cuda {
namespace {

struct RopeTableArgs {
  int64_t tokens, half;
  const int64_t* positions;
  const double* inverse_frequency;
  float* cos;
  float* sin;
  double scale;
};

__global__ void __launch_bounds__(256, 1) RopeTableElements(const RopeTableArgs args) {
  DependencyWait();
  DependencyLaunch();
  const int64_t rows_step = static_cast<int64_t>(gridDim.x) * blockDim.y, step = static_cast<int64_t>(gridDim.y) * blockDim.x;
  for (int64_t t = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; t < args.tokens; t += rows_step) {
    for (int64_t i = static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x; i < args.half; i += step) {
      double sine, cosine;
      sincos(static_cast<double>(args.positions[t]) * args.inverse_frequency[i], &sine, &cosine);
      args.cos[t * args.half + i] = static_cast<float>(args.scale * cosine);
      args.sin[t * args.half + i] = static_cast<float>(args.scale * sine);
    }
  }
}

void Run(OpContext& context, const lanes_rope_table_params& p) {
  Device& device = DeviceOf(context);
  const RopeTableArgs args = {p.tokens,
                              p.half,
                              device.Stage(p.positions, p.tokens),
                              device.Stage(p.inverse_frequency, p.half),
                              p.cos,
                              p.sin,
                              p.scale};
  // Small blocks: a decode step has few angles, and float64 takes its time.
  device.Launch(RowGrid(p.tokens, p.half, 64), RopeTableElements, args);
}

}  // namespace

extern const RopeTableKernel rope_table_kernel;
const RopeTableKernel rope_table_kernel = {Run};

}  // namespace lanes::cuda
