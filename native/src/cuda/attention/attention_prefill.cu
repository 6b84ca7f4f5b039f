#include "cuda/attention/prefill.cuh"

namespace lanes::cuda {

template <int kDim, Elements kElements>
__global__ void __launch_bounds__(kPrefillRows * 2) PrefillKernel(const __grid_constant__ AttentionArgs args) {
  DependencyWait();
  const BlockState* const state = TakeBlock(args);
  if (state != nullptr) Prefill<kDim, kElements>(args, state).Run();
}

namespace {

template <int kDim, Elements kElements>
void LaunchDim(Device& device, const AttentionLaunch& launch) {
  static_assert(sizeof(RunningTotal) * kPrefillRows == kPrefillTotalsBytes);
  constexpr bool kS8 = kElements == Elements::kS8;
  static_assert(Queries<kDim, kElements>::Bytes(1) == QueryBytes(1, kDim, kS8));
  using Stream = typename Prefill<kDim, kElements>::Stream;
  static_assert(Stream::kStageBytes == StageBytes(kChunkDims, kS8) && Stream::kFixedBytes == StreamFixedBytes(kChunkDims, kS8));
  device.Launch({launch.Grid(), dim3(kPrefillRows * 2), static_cast<uint32_t>(launch.shared_bytes)}, PrefillKernel<kDim, kElements>, launch.args);
}

}  // namespace

void LaunchPrefill(Device& device, const AttentionLaunch& launch) {
  const bool s8 = launch.args.pool.element_bytes == 1;
  if (s8) return LaunchDim<64, Elements::kS8>(device, launch);
  const bool f16 = launch.args.pool.dtype == LANES_F16;
  if (PrefillDim(launch.args.pool.row, s8) == 128) {
    return f16 ? LaunchDim<128, Elements::kF16>(device, launch) : LaunchDim<128, Elements::kBf16>(device, launch);
  }
  return f16 ? LaunchDim<64, Elements::kF16>(device, launch) : LaunchDim<64, Elements::kBf16>(device, launch);
}

}  // namespace lanes::cuda
