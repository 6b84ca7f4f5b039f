// Rotation of a head, for lanes_rope and page writes. kHalves: pairs (i, i + half), else neighbours. kVector: dimensions in aligned groups of
// four, half a multiple of four where kHalves, else of two; cosines and sines aligned likewise.
#ifndef LANES_CUDA_ROPE_ROTATE_CUH_
#define LANES_CUDA_ROPE_ROTATE_CUH_

#include <cuda_runtime.h>
#include <stdint.h>

#include "cuda/common/rows.cuh"
#include "lanes/lanes.h"

namespace lanes::cuda {

// As on the CPU: a rounded product and a fused multiply-add.
__device__ __forceinline__ void Rotate(float a, float b, float c, float s, float* first, float* second) {
  *first = fmaf(-b, s, a * c);
  *second = fmaf(a, s, b * c);
}

__device__ __forceinline__ void RotateFour(float4 a, float4 b, float4 c, float4 s, float4* first, float4* second) {
  Rotate(a.x, b.x, c.x, s.x, &first->x, &second->x);
  Rotate(a.y, b.y, c.y, s.y, &first->y, &second->y);
  Rotate(a.z, b.z, c.z, s.z, &first->z, &second->z);
  Rotate(a.w, b.w, c.w, s.w, &first->w, &second->w);
}

// Two pairs of neighbours.
__device__ __forceinline__ float4 RotateTwo(float4 x, float2 c, float2 s) {
  float4 out;
  Rotate(x.x, x.y, c.x, s.x, &out.x, &out.y);
  Rotate(x.z, x.w, c.y, s.y, &out.z, &out.w);
  return out;
}

// How many of them rotate a head: a unit is a pair; kVector: four pairs (i, i + half), or two of neighbours.
inline uint32_t RotationUnits(uint32_t half, bool halves, bool vector) { return half / (!vector ? 1 : halves ? 4 : 2); }

// Whether kVector serves heads of `head_dim` with these tables; their rows are for InFours to judge.
inline bool RotatesInFours(int64_t head_dim, int64_t half, bool halves, const float* cos, const float* sin) {
  return head_dim % 4 == 0 && half % (halves ? 4 : 2) == 0 && InFours(cos, 1, 0, 0) && InFours(sin, 1, 0, 0);
}

// Unit `unit` of a head; y may be x.
template <bool kHalves, bool kVector>
__device__ __forceinline__ void RotateUnit(const float* x, float* y, const float* cos, const float* sin, uint32_t half, uint32_t unit) {
  if (kHalves && kVector) {
    const uint32_t i = unit * 4;
    const float4 a = *reinterpret_cast<const float4*>(x + i), b = *reinterpret_cast<const float4*>(x + half + i);
    float4 first, second;
    RotateFour(a, b, *reinterpret_cast<const float4*>(cos + i), *reinterpret_cast<const float4*>(sin + i), &first, &second);
    *reinterpret_cast<float4*>(y + i) = first;
    *reinterpret_cast<float4*>(y + half + i) = second;
  } else if (kVector) {
    const float4 v = *reinterpret_cast<const float4*>(x + unit * 4);
    *reinterpret_cast<float4*>(y + unit * 4) =
        RotateTwo(v, *reinterpret_cast<const float2*>(cos + unit * 2), *reinterpret_cast<const float2*>(sin + unit * 2));
  } else {
    const uint32_t i = kHalves ? unit : 2 * unit, j = kHalves ? unit + half : 2 * unit + 1;
    Rotate(x[i], x[j], cos[unit], sin[unit], y + i, y + j);
  }
}

// Dimension `d` of the rotated head.
template <bool kHalves>
__device__ __forceinline__ float LoadRotated(const float* x, const float* cos, const float* sin, int32_t half, int32_t d) {
  if (d >= 2 * half) return x[d];
  const bool is_second = kHalves ? d >= half : d % 2 != 0;
  const int32_t pair = kHalves ? (is_second ? d - half : d) : d / 2;
  float first, second;
  Rotate(x[kHalves ? pair : 2 * pair], x[kHalves ? pair + half : 2 * pair + 1], cos[pair], sin[pair], &first, &second);
  return is_second ? second : first;
}

// Dimensions col … col + 3 of the rotated head, as LoadFour gives those of x.
template <bool kHalves, bool kVector>
__device__ __forceinline__ float4 LoadRotatedFour(const float* x, const float* cos, const float* sin, int32_t half, int32_t col, int32_t dims) {
  if (!kVector) {
    return make_float4(col < dims ? LoadRotated<kHalves>(x, cos, sin, half, col) : 0.f,
                       col + 1 < dims ? LoadRotated<kHalves>(x, cos, sin, half, col + 1) : 0.f,
                       col + 2 < dims ? LoadRotated<kHalves>(x, cos, sin, half, col + 2) : 0.f,
                       col + 3 < dims ? LoadRotated<kHalves>(x, cos, sin, half, col + 3) : 0.f);
  }
  if (col >= 2 * half) return LoadFour<true>(x, col, dims);
  if (!kHalves) {
    return RotateTwo(*reinterpret_cast<const float4*>(x + col), *reinterpret_cast<const float2*>(cos + col / 2),
                     *reinterpret_cast<const float2*>(sin + col / 2));
  }
  const int32_t i = col >= half ? col - half : col;
  const float4 a = *reinterpret_cast<const float4*>(x + i), b = *reinterpret_cast<const float4*>(x + half + i);
  float4 first, second;
  RotateFour(a, b, *reinterpret_cast<const float4*>(cos + i), *reinterpret_cast<const float4*>(sin + i), &first, &second);
  return col >= half ? second : first;
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ROPE_ROTATE_CUH_
