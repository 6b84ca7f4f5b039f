#include "cuda/attention/exact.cuh"

namespace lanes::cuda {

// Registers as for two blocks of a multiprocessor when rows are few, else as for one: by itself ptxas takes fewer, and spills.
template <class Element, int kRows, int kMaxDim>
__global__ void __launch_bounds__(kExactThreads, kRows == 4 ? 2 : 1) ExactKernel(const __grid_constant__ AttentionArgs args) {
  DependencyWait();
  const BlockState* const state = TakeBlock(args);
  if (state != nullptr) Exact<Element, kRows, kMaxDim>(args, state).Run();
}

namespace {

template <class Element, int kRows, int kMaxDim>
void LaunchRows(Device& device, const AttentionLaunch& launch) {
  device.Launch({launch.Grid(), dim3(kExactThreads), static_cast<uint32_t>(launch.shared_bytes)}, ExactKernel<Element, kRows, kMaxDim>,
                launch.args);
}

template <class Element>
void LaunchElements(Device& device, const AttentionLaunch& launch) {
  if (launch.rows == 4) return LaunchRows<Element, 4, 512>(device, launch);
  if (launch.rows == 16) return LaunchRows<Element, 16, 512>(device, launch);
  if (launch.args.pool.row <= 128) return LaunchRows<Element, 64, 128>(device, launch);
  return LaunchRows<Element, 64, 256>(device, launch);
}

}  // namespace

void LaunchExact(Device& device, const AttentionLaunch& launch) {
  switch (launch.args.pool.dtype) {
    case LANES_F32: return LaunchElements<float>(device, launch);
    case LANES_BF16: return LaunchElements<Bf16Bits>(device, launch);
    default: return LaunchElements<F16Bits>(device, launch);
  }
}

}  // namespace lanes::cuda
