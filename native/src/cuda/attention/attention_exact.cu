#include "cuda/attention/exact.cuh"

namespace lanes::cuda {

template <class Element, int kRows, int kMaxDim>
__global__ void __launch_bounds__(kExactThreads) ExactKernel(const __grid_constant__ AttentionArgs args) {
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
  if (launch.args.pool.element_bytes == 4) {
    LaunchElements<float>(device, launch);
  } else {
    LaunchElements<uint16_t>(device, launch);
  }
}

}  // namespace lanes::cuda
