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

bool HasContext(int32_t index) {
  // CUresult cuDevicePrimaryCtxGetState(CUdevice, unsigned int* flags, int* active), by name: the library loads without a driver.
  using GetState = int (*)(int, unsigned int*, int*);
  static const GetState get_state = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
    const cudaError_t status =
        cudaGetDriverEntryPointByVersion("cuDevicePrimaryCtxGetState", &function, 12000, cudaEnableDefault, &result);
    if (status != cudaSuccess) cudaGetLastError();
    return status == cudaSuccess && result == cudaDriverEntryPointSuccess ? reinterpret_cast<GetState>(function) : nullptr;
  }();
  unsigned int flags = 0;
  int active = 0;
  return get_state == nullptr || get_state(index, &flags, &active) != 0 || active != 0;
}

void Health::CheckAlive() const {
  if (failed_) ThrowDevice("%s", message_);
}

}  // namespace lanes::cuda
