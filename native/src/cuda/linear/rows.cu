// One block a row. The product behind may begin as soon as all blocks run: it brings its weights first.
#include "cuda/linear/rows.h"

#include "cuda/common/ptx.cuh"
#include "cuda/common/quantize.cuh"
#include "cuda/common/reduce.cuh"
#include "cuda/common/row_power.cuh"

namespace lanes::cuda {
namespace {

constexpr int32_t kThreads = 256;
constexpr uint32_t kLargestBytes = kThreads / 32 * sizeof(uint32_t);  // of shared memory, for LargestOf

struct RowsArgs {
  InputRows from;
  unsigned char* to;
  int64_t row_bytes;
  Quantization quantization;
  float* scale;
};

// Four elements of a row from `col` on, zeros behind its end.
__device__ __forceinline__ float4 LoadFour(const InputRows& rows, int64_t token, int64_t col) {
  const int64_t cols = rows.cols;
  if (rows.bf16) {
    const uint16_t* const row = static_cast<const uint16_t*>(rows.data) + token * rows.stride;
    uint32_t low, high;
    if (rows.vectors && col + 4 <= cols) {
      const uint2 v = *reinterpret_cast<const uint2*>(row + col);
      low = v.x;
      high = v.y;
    } else {
      low = (col < cols ? row[col] : 0u) | (col + 1 < cols ? row[col + 1] : 0u) << 16;
      high = (col + 2 < cols ? row[col + 2] : 0u) | (col + 3 < cols ? row[col + 3] : 0u) << 16;
    }
    return make_float4(__uint_as_float(low << 16), __uint_as_float(low & 0xFFFF0000u), __uint_as_float(high << 16),
                       __uint_as_float(high & 0xFFFF0000u));
  }
  const float* const row = static_cast<const float*>(rows.data) + token * rows.stride;
  if (rows.vectors && col + 4 <= cols) return *reinterpret_cast<const float4*>(row + col);
  float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  if (col < cols) v.x = row[col];
  if (col + 1 < cols) v.y = row[col + 1];
  if (col + 2 < cols) v.z = row[col + 2];
  if (col + 3 < cols) v.w = row[col + 3];
  return v;
}

__global__ void __launch_bounds__(kThreads) RoundKernel(const RowsArgs args) {
  DependencyWait();
  DependencyLaunch();
  const int64_t token = blockIdx.x;
  uint2* const to = reinterpret_cast<uint2*>(args.to + token * args.row_bytes);
#pragma unroll 4
  for (int64_t four = threadIdx.x; four < args.row_bytes / 8; four += kThreads) {
    const float4 v = LoadFour(args.from, token, four * 4);
    to[four] = make_uint2(PackBf16(v.x, v.y), PackBf16(v.z, v.w));
  }
}

__global__ void __launch_bounds__(kThreads) CopyKernel(const RowsArgs args) {
  DependencyWait();
  DependencyLaunch();
  const int64_t token = blockIdx.x;
  float4* const to = reinterpret_cast<float4*>(args.to + token * args.row_bytes);
#pragma unroll 4
  for (int64_t four = threadIdx.x; four < args.row_bytes / 16; four += kThreads) {
    to[four] = LoadFour(args.from, token, four * 4);
  }
}

__global__ void __launch_bounds__(kThreads) CopyS8Kernel(const RowsArgs args) {
  DependencyWait();
  DependencyLaunch();
  const int64_t token = blockIdx.x;
  const int8_t* const row = static_cast<const int8_t*>(args.from.data) + token * args.from.stride;
  uint32_t* const to = reinterpret_cast<uint32_t*>(args.to + token * args.row_bytes);
  for (int64_t four = threadIdx.x; four < args.row_bytes / 4; four += kThreads) {
    int32_t q[4];
#pragma unroll
    for (int32_t i = 0; i < 4; ++i) q[i] = four * 4 + i < args.from.cols ? row[four * 4 + i] : 0;
    to[four] = PackS8(q[0], q[1], q[2], q[3]);
  }
}

// The largest of the row's MagnitudeBits, in every thread of the block.
__device__ __forceinline__ uint32_t LargestOf(const RowsArgs& args, int64_t token) {
  uint32_t largest = 0;
  const Larger larger;
#pragma unroll 4
  for (int64_t col = threadIdx.x * 4; col < args.from.cols; col += kThreads * 4) {
    const float4 v = LoadFour(args.from, token, col);
    largest = larger(largest, larger(larger(MagnitudeBits(v.x), MagnitudeBits(v.y)), larger(MagnitudeBits(v.z), MagnitudeBits(v.w))));
  }
  return ReduceBlock(largest, kThreads / 32, reinterpret_cast<uint32_t*>(SharedMemory()), larger);
}

__global__ void __launch_bounds__(kThreads) RoundF16Kernel(const RowsArgs args) {
  DependencyWait();
  DependencyLaunch();
  const int64_t token = blockIdx.x;
  uint2* const to = reinterpret_cast<uint2*>(args.to + token * args.row_bytes);
  const RowPower scale = RowPowerOf(LargestOf(args, token));
  if (threadIdx.x == 0) args.scale[token] = scale.inverse;
#pragma unroll 4
  for (int64_t four = threadIdx.x; four < args.row_bytes / 8; four += kThreads) {
    const float4 v = LoadFour(args.from, token, four * 4);
    to[four] = make_uint2(PackF16(v.x * scale.power, v.y * scale.power), PackF16(v.z * scale.power, v.w * scale.power));
  }
}

__global__ void __launch_bounds__(kThreads) QuantizeKernel(const RowsArgs args) {
  DependencyWait();
  DependencyLaunch();
  const int64_t token = blockIdx.x;
  uint32_t* const to = reinterpret_cast<uint32_t*>(args.to + token * args.row_bytes);
  const int64_t fours = args.row_bytes / 4;
  const uint32_t largest = LargestOf(args, token);
  const RowQuantizer quantize = QuantizerOf(args.quantization, largest);
  if (threadIdx.x == 0) args.scale[token] = quantize.scale;
#pragma unroll 4
  for (int64_t four = threadIdx.x; four < fours; four += kThreads) {
    const float4 v = LoadFour(args.from, token, four * 4);
    to[four] = PackS8(quantize(v.x), quantize(v.y), quantize(v.z), quantize(v.w));
  }
}

RowsArgs RowsOfX(Device& device, const LinearArgs& args, int64_t row_bytes) {
  RowsArgs rows = {};
  rows.from = InputOf(args);
  rows.to = device.Scratch<unsigned char>(args.m * row_bytes);
  rows.row_bytes = row_bytes;
  return rows;
}

LaunchConfig ConfigOf(const LinearArgs& args) {
  LaunchConfig config;
  config.grid = dim3(static_cast<uint32_t>(args.m));
  config.block = dim3(static_cast<uint32_t>(kThreads));
  return config;
}

}  // namespace

InputRows InputOf(const LinearArgs& args) {
  InputRows rows = {};
  rows.bf16 = args.x_bf16 != nullptr;
  rows.data = rows.bf16 ? static_cast<const void*>(args.x_bf16) : args.x;
  rows.stride = args.x_stride;
  rows.cols = args.weight.cols;
  rows.vectors = reinterpret_cast<uintptr_t>(rows.data) % 16 == 0 && (args.x_stride % (rows.bf16 ? 8 : 4) == 0 || args.m == 1);
  return rows;
}

const unsigned char* RoundRows(Device& device, const LinearArgs& args, int64_t row_bytes) {
  const RowsArgs rows = RowsOfX(device, args, row_bytes);
  device.Launch(ConfigOf(args), RoundKernel, rows);
  return rows.to;
}

const unsigned char* RoundF16Rows(Device& device, const LinearArgs& args, int64_t row_bytes, const float** scale) {
  RowsArgs rows = RowsOfX(device, args, row_bytes);
  rows.scale = device.Scratch<float>(args.m);
  LaunchConfig config = ConfigOf(args);
  config.shared_bytes = kLargestBytes;
  device.Launch(config, RoundF16Kernel, rows);
  *scale = rows.scale;
  return rows.to;
}

const unsigned char* QuantizeRows(Device& device, const LinearArgs& args, int64_t row_bytes, const float** scale) {
  RowsArgs rows = RowsOfX(device, args, row_bytes);
  rows.quantization = QuantizationOfActivations(args.input_scale);
  rows.scale = device.Scratch<float>(args.m);
  LaunchConfig config = ConfigOf(args);
  config.shared_bytes = kLargestBytes;
  device.Launch(config, QuantizeKernel, rows);
  *scale = rows.scale;
  return rows.to;
}

const float* CopyRows(Device& device, const LinearArgs& args, int64_t row_bytes) {
  const RowsArgs rows = RowsOfX(device, args, row_bytes);
  device.Launch(ConfigOf(args), CopyKernel, rows);
  return reinterpret_cast<const float*>(rows.to);
}

const unsigned char* CopyS8Rows(Device& device, const LinearArgs& args, int64_t row_bytes) {
  RowsArgs rows = RowsOfX(device, args, row_bytes);
  rows.from.data = args.xq;
  rows.from.stride = args.xq_stride;
  device.Launch(ConfigOf(args), CopyS8Kernel, rows);
  return rows.to;
}

}  // namespace lanes::cuda
