// Rows of floats in groups of four neighbouring columns, a thread's unit of work. kVector: all groups are whole, and 16-byte aligned
// (InFours); else the same groups element by element. What lies behind a row's end reads as zero and is not written.
#ifndef LANES_CUDA_COMMON_ROWS_CUH_
#define LANES_CUDA_COMMON_ROWS_CUH_

#include <cuda_runtime.h>
#include <stdint.h>

#include "cuda/common/launch.h"
#include "cuda/common/ptx.cuh"
#include "cuda/common/quantize.cuh"
#include "cuda/common/row_grid.h"

namespace lanes::cuda {

inline LaunchConfig RowGrid(int64_t rows, int64_t groups, int32_t threads = 256) {
  const RowGridSize size = PlanRowGrid(rows, groups, threads);
  LaunchConfig config;
  config.grid = dim3(size.grid_x, size.grid_y);
  config.block = dim3(size.block_x, size.block_y);
  return config;
}

template <bool kVector>
__device__ __forceinline__ float4 LoadFour(const float* row, int64_t col, int64_t cols) {
  if (kVector) return col < cols ? *reinterpret_cast<const float4*>(row + col) : make_float4(0.f, 0.f, 0.f, 0.f);
  return make_float4(col < cols ? row[col] : 0.f, col + 1 < cols ? row[col + 1] : 0.f, col + 2 < cols ? row[col + 2] : 0.f,
                     col + 3 < cols ? row[col + 3] : 0.f);
}

template <bool kVector>
__device__ __forceinline__ void StoreFour(float* row, int64_t col, int64_t cols, float4 v) {
  if (kVector) {
    if (col < cols) *reinterpret_cast<float4*>(row + col) = v;
    return;
  }
  if (col < cols) row[col] = v.x;
  if (col + 1 < cols) row[col + 1] = v.y;
  if (col + 2 < cols) row[col + 2] = v.z;
  if (col + 3 < cols) row[col + 3] = v.w;
}

// Rounded to bfloat16, half to even; rows are 8-byte aligned where kVector.
template <bool kVector>
__device__ __forceinline__ void StoreFourBf16(uint16_t* row, int64_t col, int64_t cols, float4 v) {
  if (kVector) {
    if (col < cols) *reinterpret_cast<uint2*>(row + col) = make_uint2(PackBf16(v.x, v.y), PackBf16(v.z, v.w));
    return;
  }
  if (col < cols) row[col] = ToBf16(v.x);
  if (col + 1 < cols) row[col + 1] = ToBf16(v.y);
  if (col + 2 < cols) row[col + 2] = ToBf16(v.z);
  if (col + 3 < cols) row[col + 3] = ToBf16(v.w);
}

// Four int8 elements, packed by PackS8; rows are 4-byte aligned where kVector.
template <bool kVector>
__device__ __forceinline__ void StoreFourS8(int8_t* row, int64_t col, int64_t cols, uint32_t q) {
  if (kVector) {
    if (col < cols) *reinterpret_cast<uint32_t*>(row + col) = q;
  } else {
    for (int i = 0; i < 4 && col + i < cols; ++i) row[col + i] = static_cast<int8_t>(q >> (8 * i));
  }
}

__device__ __forceinline__ float4 AddFour(float4 a, float4 b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }

__device__ __forceinline__ float4 MulFour(float4 a, float4 b) { return make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w); }

// Zero for columns behind the row's end.
template <bool kVector>
__device__ __forceinline__ float4 InsideRow(float4 v, int64_t col, int64_t cols) {
  if (kVector) return col < cols ? v : make_float4(0.f, 0.f, 0.f, 0.f);
  return make_float4(col < cols ? v.x : 0.f, col + 1 < cols ? v.y : 0.f, col + 2 < cols ? v.z : 0.f,
                     col + 3 < cols ? v.w : 0.f);
}

__device__ __forceinline__ uint32_t LargestOfFour(float4 v) {
  return max(max(MagnitudeBits(v.x), MagnitudeBits(v.y)), max(MagnitudeBits(v.z), MagnitudeBits(v.w)));
}

__device__ __forceinline__ uint32_t QuantizeFour(const RowQuantizer& quantizer, float4 v) {
  return PackS8(quantizer(v.x), quantizer(v.y), quantizer(v.z), quantizer(v.w));
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_ROWS_CUH_
