#include "cuda/linear/linear_sm90.cuh"

namespace lanes::cuda {

bool LaunchBf16Sm90(Device& device, const GemmProblem& problem, const Sm90Plan& plan) {
  return LaunchProductsSm90<Bf16Products>(device, problem, plan);
}

}  // namespace lanes::cuda
