#include "cuda/linear/gemm.cuh"

namespace lanes::cuda {

void LaunchGemm(Device& device, const GemmProblem& problem) {
  const DeviceLimits& limits = device.limits();
  const int32_t tile =
      ChooseGemmTile(problem.epilogue.m, problem.epilogue.n, problem.row_bytes, {limits.multiprocessors, limits.shared_bytes});
  if (problem.products == Products::kBf16) {
    LaunchGemmBf16(device, problem, tile);
  } else if (problem.products == Products::kF16) {
    LaunchGemmF16(device, problem, tile);
  } else if (problem.row_bytes > kMostS8Sums) {
    LaunchGemmDeepS8(device, problem);
  } else {
    LaunchGemmS8(device, problem, tile);
  }
}

}  // namespace lanes::cuda
