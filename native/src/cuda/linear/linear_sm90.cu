#include "cuda/linear/linear_sm90.cuh"

namespace lanes::cuda {

bool LaunchSm90(Device& device, const GemmProblem& problem) {
  const DeviceLimits& limits = device.limits();
  if (!limits.hopper) return false;
  if (problem.products == Products::kBf16) return limits.hopper_bits && LaunchBf16Sm90(device, problem);
  return problem.row_bytes <= kMostS8Sums && LaunchS8Sm90(device, problem);
}

}  // namespace lanes::cuda
