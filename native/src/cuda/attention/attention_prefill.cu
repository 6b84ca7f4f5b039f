#include "cuda/attention/prefill.cuh"

namespace lanes::cuda {

template <int kDim, bool kS8>
__global__ void __launch_bounds__(kPrefillRows * 2) PrefillKernel(const __grid_constant__ AttentionArgs args) {
  DependencyWait();
  const BlockState* const state = TakeBlock(args);
  if (state != nullptr) Prefill<kDim, kS8>(args, state).Run();
}

namespace {

template <int kDim, bool kS8>
void LaunchDim(Device& device, const AttentionLaunch& launch) {
  static_assert(sizeof(RunningTotal) * kPrefillRows == kPrefillTotalsBytes);
  static_assert(Queries<kDim, kS8>::Bytes(1) == QueryBytes(1, kDim, kS8));
  using Stream = typename Prefill<kDim, kS8>::Stream;
  static_assert(Stream::kStageBytes == StageBytes(kChunkDims, kS8) && Stream::kFixedBytes == StreamFixedBytes(kChunkDims, kS8));
  device.Launch({launch.Grid(), dim3(kPrefillRows * 2), static_cast<uint32_t>(launch.shared_bytes)}, PrefillKernel<kDim, kS8>, launch.args);
}

}  // namespace

void LaunchPrefill(Device& device, const AttentionLaunch& launch) {
  const bool s8 = launch.args.pool.element_bytes == 1;
  if (PrefillDim(launch.args.pool.row, s8) == 128) return LaunchDim<128, false>(device, launch);
  return s8 ? LaunchDim<64, true>(device, launch) : LaunchDim<64, false>(device, launch);
}

}  // namespace lanes::cuda
