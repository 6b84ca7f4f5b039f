#include "cuda/attention/team.cuh"

namespace lanes::cuda {

template <int kDim, Elements kElements, int kRows>
using Wide = Teams<kDim, kElements, kRows / kTeamRows, kWideWarps>;

constexpr int WideThreads(int rows) { return rows / kTeamRows * kWideWarps * 32; }

template <int kDim, Elements kElements, int kRows>
__global__ void __launch_bounds__(WideThreads(kRows), 1) WideKernel(const __grid_constant__ AttentionArgs args) {
  DependencyWait();
  const BlockState* const state = TakeBlock(args);
  if (state != nullptr) Wide<kDim, kElements, kRows>(args, state).Run();
}

namespace {

template <int kDim, Elements kElements, int kRows>
void LaunchRows(Device& device, const AttentionLaunch& launch) {
  constexpr bool kS8 = kElements == Elements::kS8;
  using Stream = typename Wide<kDim, kElements, kRows>::Stream;
  static_assert(Stream::kStageBytes == StageBytes(kChunkDims, kS8) && Stream::kFixedBytes == StreamFixedBytes(kChunkDims, kS8));
  device.Launch({launch.Grid(), dim3(WideThreads(kRows)), static_cast<uint32_t>(launch.shared_bytes)}, WideKernel<kDim, kElements, kRows>,
                launch.args);
}

}  // namespace

void LaunchWide(Device& device, const AttentionLaunch& launch) {
  switch (launch.args.pool.dtype) {
    case LANES_BF16: return LaunchRows<256, Elements::kBf16, kWideRows>(device, launch);
    case LANES_F16: return LaunchRows<256, Elements::kF16, kWideRows>(device, launch);
    default: break;
  }
  if (launch.args.q_rows == kWideRows) {
    LaunchRows<128, Elements::kS8, kWideRows>(device, launch);
  } else {
    LaunchRows<128, Elements::kS8, kWideRows / 2>(device, launch);
  }
}

}  // namespace lanes::cuda
