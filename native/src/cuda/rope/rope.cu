// Rotation of query and key heads.
#include "ops/rope.h"

#include "cuda/common/device.h"
#include "cuda/common/ptx.cuh"
#include "cuda/common/rows.cuh"
#include "cuda/rope/rotate.cuh"

namespace lanes::cuda {
namespace {

struct RopeArgs {
  int64_t tokens;
  const float* x;
  int64_t x_stride;
  float* y;
  int64_t y_stride;
  const float* cos;
  const float* sin;
  uint32_t heads, head_dim, half;
  uint32_t units;  // of work in a head: each rotates pairs, or copies dimensions that are not rotated
  uint32_t rotations;
};

// Units that rotate (RotateUnit), then units that copy one dimension; kVector: four of them.
template <bool kHalves, bool kVector>
__global__ void __launch_bounds__(256, 1) RopeUnits(const RopeArgs args) {
  DependencyWait();
  DependencyLaunch();
  const uint32_t step = gridDim.y * blockDim.x, row_units = args.heads * args.units, half = args.half;
  const int64_t rows_step = static_cast<int64_t>(gridDim.x) * blockDim.y;
  for (int64_t t = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; t < args.tokens; t += rows_step) {
    const float* const cos = args.cos + t * half;
    const float* const sin = args.sin + t * half;
    for (uint32_t u = blockIdx.y * blockDim.x + threadIdx.x; u < row_units; u += step) {
      const uint32_t head = u / args.units, unit = u % args.units;
      const float* const x = args.x + t * args.x_stride + static_cast<int64_t>(head) * args.head_dim;
      float* const y = args.y + t * args.y_stride + static_cast<int64_t>(head) * args.head_dim;
      if (unit >= args.rotations) {
        const uint32_t i = 2 * half + (unit - args.rotations) * (kVector ? 4 : 1);
        if (kVector) {
          *reinterpret_cast<float4*>(y + i) = *reinterpret_cast<const float4*>(x + i);
        } else {
          y[i] = x[i];
        }
      } else {
        RotateUnit<kHalves, kVector>(x, y, cos, sin, half, unit);
      }
    }
  }
}

void Run(OpContext& context, const lanes_rope_params& p) {
  const bool halves = p.pairing == LANES_ROPE_HALF;
  const bool vector = RotatesInFours(p.head_dim, p.half, halves, p.cos, p.sin) && InFours(p.x, p.tokens, p.head_dim, p.x_stride) &&
                      InFours(p.y, p.tokens, p.head_dim, p.y_stride);
  RopeArgs args = {};
  args.tokens = p.tokens;
  args.x = p.x;
  args.x_stride = p.x_stride;
  args.y = p.y;
  args.y_stride = p.y_stride;
  args.cos = p.cos;
  args.sin = p.sin;
  args.heads = static_cast<uint32_t>(p.heads);
  args.head_dim = static_cast<uint32_t>(p.head_dim);
  args.half = static_cast<uint32_t>(p.half);
  args.rotations = RotationUnits(args.half, halves, vector);
  // What is not rotated stays where it is.
  const uint32_t copied = p.x == p.y ? 0 : args.head_dim - 2 * args.half;
  args.units = args.rotations + copied / (vector ? 4 : 1);
  if (args.units == 0) return;
  const auto kernel = halves ? vector ? RopeUnits<true, true> : RopeUnits<true, false> : vector ? RopeUnits<false, true> : RopeUnits<false, false>;
  // As many heads at a time as have units to count in 32 bits.
  const int32_t most = static_cast<int32_t>(std::max<int64_t>(1, kMaxGridX / args.units));
  for (int32_t head = 0; head < p.heads; head += std::min(most, p.heads - head)) {
    RopeArgs part = args;
    part.heads = static_cast<uint32_t>(std::min(most, p.heads - head));
    part.x += static_cast<int64_t>(head) * p.head_dim;
    part.y += static_cast<int64_t>(head) * p.head_dim;
    DeviceOf(context).Launch(RowGrid(p.tokens, static_cast<int64_t>(part.heads) * args.units), kernel, part);
  }
}

}  // namespace

extern const RopeKernel rope_kernel;
const RopeKernel rope_kernel = {Run};

}  // namespace lanes::cuda
