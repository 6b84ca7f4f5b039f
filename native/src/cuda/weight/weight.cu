// Parts of a matrix from host memory into a weight on the device.
#include "cuda/weight/weight.h"

#include "core/numeric.h"
#include "cuda/common/elements.cuh"
#include "cuda/common/ptx.cuh"
#include "cuda/common/quantize.cuh"
#include "cuda/common/reduce.cuh"
#include "cuda/common/rows.cuh"
#include "cuda/weight/heuristics.h"

namespace lanes::cuda {
namespace {

struct PackArgs {
  // A piece of the source: [rows, cols] of the weight's elements from (row_begin, col_begin), the distances between neighbours given.
  const char* src;
  int64_t row_stride, col_stride;
  int64_t rows, cols;
  const float* scales;  // [rows] or null
  // The weight.
  char* data;
  int64_t padded_cols, row_begin, col_begin;
  float* weight_scales;
  int32_t src_dtype, dtype;
};

__device__ __forceinline__ int64_t Target(const PackArgs& args, int64_t r, int64_t c) {
  return (args.row_begin + r) * args.padded_cols + args.col_begin + c;
}

// Element by element; threads run along the source. s8 elements are copied, or multiplied by the row's scale.
__global__ void __launch_bounds__(256, 1) PackElements(const PackArgs args) {
  DependencyWait();
  const bool along_rows = args.row_stride == 1;
  const int64_t inner = along_rows ? args.rows : args.cols, outer = along_rows ? args.cols : args.rows;
  const int64_t outer_step = static_cast<int64_t>(gridDim.x) * blockDim.y, inner_step = static_cast<int64_t>(gridDim.y) * blockDim.x;
  for (int64_t o = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; o < outer; o += outer_step) {
    for (int64_t i = static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x; i < inner; i += inner_step) {
      const int64_t r = along_rows ? i : o, c = along_rows ? o : i, from = r * args.row_stride + c * args.col_stride;
      if (args.dtype == LANES_S8) {
        args.data[Target(args, r, c)] = args.src[from];
        continue;
      }
      float value = LoadElement(args.src, args.src_dtype, from);
      if (args.src_dtype == LANES_S8) value *= args.scales[r];
      StoreElement(args.data, args.dtype, Target(args, r, c), value);
    }
  }
}

// Floats as int8: a block for each row, which is measured, or takes its scale unless it holds NaN.
__global__ void __launch_bounds__(256, 1) PackQuantizedRows(const PackArgs args) {
  DependencyWait();
  const int64_t r = blockIdx.x;
  uint32_t largest = 0;
  for (int64_t c = threadIdx.x; c < args.cols; c += blockDim.x) {
    largest = max(largest, MagnitudeBits(LoadElement(args.src, args.src_dtype, r * args.row_stride + c * args.col_stride)));
  }
  uint32_t* const shared = reinterpret_cast<uint32_t*>(SharedMemory());
  largest = ReduceBlock(largest, static_cast<int>(blockDim.x / 32), shared, Larger());
  const Quantization how = {args.scales == nullptr, args.scales == nullptr ? 0.f : args.scales[r], -127.f};
  const RowQuantizer quantizer = QuantizerOf(how, largest);
  for (int64_t c = threadIdx.x; c < args.cols; c += blockDim.x) {
    const float x = LoadElement(args.src, args.src_dtype, r * args.row_stride + c * args.col_stride);
    args.data[Target(args, r, c)] = static_cast<char>(quantizer(x));
  }
  if (threadIdx.x == 0) args.weight_scales[args.row_begin + r] = quantizer.scale;
}

// Rows of `count` source rows at `src`, which is on the device, from row `begin` of the source on.
void PackPiece(Device& device, const WeightPackArgs& args, const char* src, int64_t begin, int64_t count) {
  const WeightView& w = args.weight;
  PackArgs piece = {};
  piece.src = src;
  piece.row_stride = args.transposed ? 1 : args.col_count;
  piece.col_stride = args.transposed ? args.row_count : 1;
  piece.rows = args.transposed ? args.row_count : count;
  piece.cols = args.transposed ? count : args.col_count;
  if (args.scales != nullptr) piece.scales = device.Stage(args.scales + (args.transposed ? 0 : begin), piece.rows);
  piece.data = w.data;
  piece.padded_cols = w.padded_cols;
  piece.row_begin = args.row_begin + (args.transposed ? 0 : begin);
  piece.col_begin = args.col_begin + (args.transposed ? begin : 0);
  piece.weight_scales = w.scales;
  piece.src_dtype = args.src_dtype;
  piece.dtype = w.dtype;
  if (w.dtype == LANES_S8 && args.src_dtype != LANES_S8) {
    ForRowParts(piece.rows, 1, [&](int64_t first, int64_t, uint32_t blocks) {
      PackArgs rows = piece;
      rows.src += first * piece.row_stride * DtypeBytes(args.src_dtype);
      rows.row_begin += first;
      if (rows.scales != nullptr) rows.scales += first;
      LaunchConfig config;
      config.grid = dim3(blocks);
      config.block = dim3(256);
      config.shared_bytes = 8 * sizeof(uint32_t);
      device.Launch(config, PackQuantizedRows, rows);
    });
    return;
  }
  device.Launch(args.transposed ? RowGrid(piece.cols, piece.rows) : RowGrid(piece.rows, piece.cols), PackElements, piece);
}

}  // namespace

void PackWeight(Device& device, const WeightPackArgs& args) {
  const WeightView& w = args.weight;
  // Rows of int8 bring their scales along.
  if (w.dtype == LANES_S8 && args.src_dtype == LANES_S8) {
    device.Upload(w.scales + args.row_begin, args.scales, args.row_count * static_cast<int64_t>(sizeof(float)));
  }
  const int64_t element_bytes = DtypeBytes(args.src_dtype);
  if (CopiesAsIs(args)) {
    device.Upload(w.data + (args.row_begin * w.padded_cols + args.col_begin) * element_bytes, args.src,
                  args.row_count * args.col_count * element_bytes);
    return;
  }
  const int64_t rows = args.transposed ? args.col_count : args.row_count;
  const int64_t row_bytes = (args.transposed ? args.row_count : args.col_count) * element_bytes;
  const int64_t step = PieceRows(args, element_bytes);
  char* const scratch = device.Scratch<char>(step * row_bytes);
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t count = std::min(step, rows - begin);
    device.Upload(scratch, args.src + begin * row_bytes, count * row_bytes);
    PackPiece(device, args, scratch, begin, count);
    // The next piece takes the same scratch.
    if (begin + count < rows) device.Submit();
  }
}

extern const WeightKernel weight_kernel;
const WeightKernel weight_kernel = {[](OpContext& context, const WeightPackArgs& args) { PackWeight(DeviceOf(context), args); }};

}  // namespace lanes::cuda
