#include "cuda/linear/gemm.cuh"

namespace lanes::cuda {

void LaunchGemmBf16(Device& device, const GemmProblem& problem, int32_t tile) { LaunchTileAt<Bf16Mma>(device, problem, tile); }

}  // namespace lanes::cuda
