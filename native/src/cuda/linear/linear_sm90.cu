#include "cuda/linear/linear_sm90.h"

namespace lanes::cuda {

bool LaunchSm90(Device& device, const GemmProblem& problem) {
  const DeviceLimits& limits = device.limits();
  const EpilogueArgs& e = problem.epilogue;
  if (!limits.hopper || problem.x == nullptr) return false;
  Sm90Plan plan = {};
  if (!ChooseSm90({e.m, e.n, problem.row_bytes, e.y_bf16 != nullptr ? 2 : 4}, limits.multiprocessors, &plan)) return false;
  if (problem.products == Products::kBf16) return limits.hopper_bits && LaunchBf16Sm90(device, problem, plan);
  if (problem.products == Products::kF16) return limits.hopper_f16_bits && LaunchF16Sm90(device, problem, plan);
  return problem.row_bytes <= kMostS8Sums && LaunchS8Sm90(device, problem, plan);
}

}  // namespace lanes::cuda
