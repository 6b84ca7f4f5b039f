#include "cuda/attention/decode.cuh"

namespace lanes::cuda {

// Two blocks share a multiprocessor up to this head dimension. From sm_100 on ptxas takes more registers than half of them for 128.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
constexpr int kDimOfTwoBlocks = 64;
#else
constexpr int kDimOfTwoBlocks = 128;
#endif

template <int kDim, bool kS8>
__global__ void __launch_bounds__(kDecodeWarps * 32, kDim <= kDimOfTwoBlocks ? 2 : 1) DecodeKernel(const __grid_constant__ AttentionArgs args) {
  DependencyWait();
  const BlockState* const state = TakeBlock(args);
  if (state != nullptr) Decode<kDim, kS8>(args, state).Run();
}

namespace {

template <int kDim, bool kS8>
void LaunchDim(Device& device, const AttentionLaunch& launch) {
  using Stream = typename Decode<kDim, kS8>::Stream;
  constexpr int32_t kUnitDims = DecodeUnitDims(kDim, kS8);
  static_assert(Queries<kDim, kS8>::Bytes(1) == QueryBytes(1, kDim, kS8));
  static_assert(Stream::kStageBytes == StageBytes(kUnitDims, kS8) && Stream::kFixedBytes == StreamFixedBytes(kUnitDims, kS8));
  device.Launch({launch.Grid(), dim3(kDecodeWarps * 32), static_cast<uint32_t>(launch.shared_bytes)}, DecodeKernel<kDim, kS8>, launch.args);
}

template <bool kS8>
void LaunchElements(Device& device, const AttentionLaunch& launch) {
  switch (DecodeDim(launch.args.pool.row)) {
    case 64: return LaunchDim<64, kS8>(device, launch);
    case 128: return LaunchDim<128, kS8>(device, launch);
    case 256: return LaunchDim<256, kS8>(device, launch);
    default: return LaunchDim<512, kS8>(device, launch);
  }
}

}  // namespace

void LaunchDecode(Device& device, const AttentionLaunch& launch) {
  if (launch.args.pool.element_bytes == 1) {
    LaunchElements<true>(device, launch);
  } else {
    LaunchElements<false>(device, launch);
  }
}

}  // namespace lanes::cuda
