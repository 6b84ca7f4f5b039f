#include "cuda/attention/team.cuh"

namespace lanes::cuda {

// Two blocks share a multiprocessor up to this head dimension. From sm_100 on ptxas takes more registers than half of them for 128.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
constexpr int kDimOfTwoBlocks = 64;
#else
constexpr int kDimOfTwoBlocks = 128;
#endif

template <int kDim, Elements kElements>
using Decode = Teams<kDim, kElements, 1, kDecodeWarps>;

template <int kDim, Elements kElements>
__global__ void __launch_bounds__(kDecodeWarps * 32, kDim <= kDimOfTwoBlocks ? 2 : 1)
    DecodeKernel(const __grid_constant__ AttentionArgs args) {
  DependencyWait();
  const BlockState* const state = TakeBlock(args);
  if (state != nullptr) Decode<kDim, kElements>(args, state).Run();
}

namespace {

template <int kDim, Elements kElements>
void LaunchDim(Device& device, const AttentionLaunch& launch) {
  constexpr bool kS8 = kElements == Elements::kS8;
  using Stream = typename Decode<kDim, kElements>::Stream;
  constexpr int32_t kUnitDims = DecodeUnitDims(kDim, kS8);
  static_assert(Queries<kDim, kElements>::Bytes(1) == QueryBytes(1, kDim, kS8));
  static_assert(Stream::kStageBytes == StageBytes(kUnitDims, kS8) && Stream::kFixedBytes == StreamFixedBytes(kUnitDims, kS8));
  device.Launch({launch.Grid(), dim3(kDecodeWarps * 32), static_cast<uint32_t>(launch.shared_bytes)}, DecodeKernel<kDim, kElements>,
                launch.args);
}

template <Elements kElements>
void LaunchElements(Device& device, const AttentionLaunch& launch) {
  switch (DecodeDim(launch.args.pool.row)) {
    case 64: return LaunchDim<64, kElements>(device, launch);
    case 128: return LaunchDim<128, kElements>(device, launch);
    case 256: return LaunchDim<256, kElements>(device, launch);
    default: return LaunchDim<512, kElements>(device, launch);
  }
}

}  // namespace

void LaunchDecode(Device& device, const AttentionLaunch& launch) {
  switch (launch.args.pool.dtype) {
    case LANES_BF16: return LaunchElements<Elements::kBf16>(device, launch);
    case LANES_F16: return LaunchElements<Elements::kF16>(device, launch);
    default: return LaunchElements<Elements::kS8>(device, launch);
  }
}

}  // namespace lanes::cuda
