#include "cuda/linear/linear_sm90.cuh"

namespace lanes::cuda {

bool LaunchF16Sm90(Device& device, const GemmProblem& problem, const Sm90Plan& plan) {
  return LaunchProductsSm90<F16Products>(device, problem, plan);
}

}  // namespace lanes::cuda
