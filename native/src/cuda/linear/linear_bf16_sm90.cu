#include "cuda/linear/linear_sm90.cuh"

namespace lanes::cuda {

bool LaunchBf16Sm90(Device& device, const GemmProblem& problem) { return LaunchProductsSm90<Bf16Products>(device, problem); }

}  // namespace lanes::cuda
