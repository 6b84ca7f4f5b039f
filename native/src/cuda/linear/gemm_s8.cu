#include "cuda/linear/gemm.cuh"

namespace lanes::cuda {

void LaunchGemmS8(Device& device, const GemmProblem& problem, int32_t tile) { LaunchTileAt<S8Mma>(device, problem, tile); }

void LaunchGemmDeepS8(Device& device, const GemmProblem& problem) { LaunchTile<DeepS8Mma, kDeepTile>(device, problem); }

}  // namespace lanes::cuda
