// The product on sm_90a with a plan of the caller's; LaunchSm90 (linear.h) makes the plan itself.
#ifndef LANES_CUDA_LINEAR_LINEAR_SM90_H_
#define LANES_CUDA_LINEAR_LINEAR_SM90_H_

#include "cuda/linear/heuristics_sm90.h"
#include "cuda/linear/linear.h"

namespace lanes::cuda {

// False where the driver encodes no map of the rows; then nothing was launched.
bool LaunchBf16Sm90(Device& device, const GemmProblem& problem, const Sm90Plan& plan);
bool LaunchF16Sm90(Device& device, const GemmProblem& problem, const Sm90Plan& plan);
bool LaunchS8Sm90(Device& device, const GemmProblem& problem, const Sm90Plan& plan);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_LINEAR_LINEAR_SM90_H_
