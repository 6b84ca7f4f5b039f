#include "cuda/linear/linear_sm90.cuh"

namespace lanes::cuda {

bool LaunchS8Sm90(Device& device, const GemmProblem& problem) { return LaunchProductsSm90<S8Products>(device, problem); }

}  // namespace lanes::cuda
