// Rotation of query and key heads.
#include "ops/rope.h"

#include "cuda/common/device.h"
#include "cuda/common/ptx.cuh"
#include "cuda/common/rows.cuh"

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

// As on the CPU: a rounded product and a fused multiply-add.
__device__ __forceinline__ void Rotate(float a, float b, float c, float s, float* first, float* second) {
  *first = fmaf(-b, s, a * c);
  *second = fmaf(a, s, b * c);
}

// A unit is one pair or one copied dimension; kVector: four aligned dimensions, or four pairs (i, i + half).
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
      } else if (kHalves && kVector) {
        const uint32_t i = unit * 4;
        const float4 a = *reinterpret_cast<const float4*>(x + i), b = *reinterpret_cast<const float4*>(x + half + i);
        const float4 c = *reinterpret_cast<const float4*>(cos + i), s = *reinterpret_cast<const float4*>(sin + i);
        float4 first, second;
        Rotate(a.x, b.x, c.x, s.x, &first.x, &second.x);
        Rotate(a.y, b.y, c.y, s.y, &first.y, &second.y);
        Rotate(a.z, b.z, c.z, s.z, &first.z, &second.z);
        Rotate(a.w, b.w, c.w, s.w, &first.w, &second.w);
        *reinterpret_cast<float4*>(y + i) = first;
        *reinterpret_cast<float4*>(y + half + i) = second;
      } else if (kVector) {
        const float4 v = *reinterpret_cast<const float4*>(x + unit * 4);
        const float2 c = *reinterpret_cast<const float2*>(cos + unit * 2), s = *reinterpret_cast<const float2*>(sin + unit * 2);
        float4 out;
        Rotate(v.x, v.y, c.x, s.x, &out.x, &out.y);
        Rotate(v.z, v.w, c.y, s.y, &out.z, &out.w);
        *reinterpret_cast<float4*>(y + unit * 4) = out;
      } else {
        const uint32_t i = kHalves ? unit : 2 * unit, j = kHalves ? unit + half : 2 * unit + 1;
        Rotate(x[i], x[j], cos[unit], sin[unit], y + i, y + j);
      }
    }
  }
}

void Run(OpContext& context, const lanes_rope_params& p) {
  const bool halves = p.pairing == LANES_ROPE_HALF;
  const bool vector = p.head_dim % 4 == 0 && p.half % (halves ? 4 : 2) == 0 && InFours(p.x, p.tokens, p.head_dim, p.x_stride) &&
                      InFours(p.y, p.tokens, p.head_dim, p.y_stride) && InFours(p.cos, 1, 0, 0) && InFours(p.sin, 1, 0, 0);
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
  args.rotations = args.half / (!vector ? 1 : halves ? 4 : 2);
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
