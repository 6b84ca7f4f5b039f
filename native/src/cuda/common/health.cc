#include "cuda/common/health.h"

#include <cstdio>

namespace lanes::cuda {

void Health::Check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  // An error that stays answers every call.
  size_t free_bytes, total_bytes;
  const cudaError_t now = cudaMemGetInfo(&free_bytes, &total_bytes);
  if (now != cudaSuccess) {
    cudaGetLastError();
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!failed_) {
      std::snprintf(message_, sizeof message_, "the CUDA device has failed: %s (%s), seen by %s", cudaGetErrorString(now),
                    cudaGetErrorName(now), call);
      failed_ = true;
    }
  }
  CheckAlive();
  if (status == cudaErrorMemoryAllocation) ThrowOutOfMemory("%s: the CUDA device is out of memory", call);
  ThrowInternal("%s: %s (%s)", call, cudaGetErrorString(status), cudaGetErrorName(status));
}

void Health::CheckAlive() const {
  if (failed_) ThrowDevice("%s", message_);
}

}  // namespace lanes::cuda
