#include "cuda/linear/gemm.cuh"

namespace lanes::cuda {

void LaunchGemmF16(Device& device, const GemmProblem& problem, int32_t tile) { LaunchTileAt<F16Mma>(device, problem, tile); }

}  // namespace lanes::cuda
