// Starts the kernel of gemm_sm90.cuh; a translation unit for each kind of product.
#ifndef LANES_CUDA_LINEAR_LINEAR_SM90_CUH_
#define LANES_CUDA_LINEAR_LINEAR_SM90_CUH_

#include <iterator>
#include <utility>

#include "cuda/linear/gemm_sm90.cuh"
#include "cuda/linear/linear_sm90.h"

namespace lanes::cuda {

// Rows of bytes as a matrix of the products' elements, in boxes of one line by `rows`.
template <class Products>
bool EncodeLines(const unsigned char* data, int64_t bytes, int64_t stride, int64_t count, int32_t rows, TensorMap* map) {
  constexpr auto kElement = static_cast<int64_t>(Products::kElementBytes);
  TensorMapParams params = {};
  params.type = Products::kType;
  params.rank = 2;
  params.data = data;
  params.size[0] = static_cast<uint64_t>(bytes / kElement);
  params.size[1] = static_cast<uint64_t>(count);
  params.stride_bytes[1] = static_cast<uint64_t>(stride);
  params.box[0] = static_cast<uint32_t>(kSm90LineBytes / kElement);
  params.box[1] = static_cast<uint32_t>(rows);
  params.swizzle = TensorMapSwizzle::k128;
  return EncodeTensorMap(params, map);
}

template <class Products>
bool LaunchProductsSm90(Device& device, const GemmProblem& problem, const Sm90Plan& plan) {
  const EpilogueArgs& e = problem.epilogue;
  const Sm90Tile tile = kSm90Tiles[plan.tile];
  GemmSm90Args args = {};
  if (!EncodeLines<Products>(problem.weight, problem.row_bytes, problem.row_bytes, e.n, Sm90Features(tile), &args.weight)) return false;
  if (!EncodeLines<Products>(problem.x, problem.x_bytes, problem.x_stride, e.m, tile.tokens / plan.cluster, &args.x)) return false;
  args.epilogue = e;
  args.order = plan.order;
  args.tiles = plan.tiles;
  args.lines = plan.lines;
  args.line_elements = static_cast<int32_t>(kSm90LineBytes / Products::kElementBytes);
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(plan.clusters * plan.cluster));
  config.block = dim3(static_cast<unsigned>(Sm90Threads(tile)));
  config.shared_bytes = static_cast<uint32_t>(Sm90SharedBytes(tile));
  config.cluster = static_cast<uint32_t>(plan.cluster);
  [&]<size_t... kIndex>(std::index_sequence<kIndex...>) {
    using Kernel = void (*)(GemmSm90Args);
    static constexpr Kernel kKernels[] = {GemmSm90Kernel<Products, kSm90Tiles[kIndex].consumers, kSm90Tiles[kIndex].tokens>...};
    device.Launch(config, kKernels[plan.tile], args);
  }(std::make_index_sequence<std::size(kSm90Tiles)>());
  return true;
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_LINEAR_LINEAR_SM90_CUH_
