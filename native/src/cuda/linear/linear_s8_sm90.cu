#include "cuda/linear/linear_sm90.cuh"

namespace lanes::cuda {

bool LaunchS8Sm90(Device& device, const GemmProblem& problem, const Sm90Plan& plan) {
  return LaunchProductsSm90<S8Products>(device, problem, plan);
}

}  // namespace lanes::cuda
