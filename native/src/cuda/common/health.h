// What CUDA calls return. A device does not recover from some errors: from the first of them on it has failed, and whatever is asked of
// it is refused with that one's message.
#ifndef LANES_CUDA_COMMON_HEALTH_H_
#define LANES_CUDA_COMMON_HEALTH_H_

#include <cuda_runtime.h>

#include <atomic>
#include <mutex>

#include "core/error.h"

namespace lanes::cuda {

class Health {
 public:
  // Throws Error unless `status` is success: DEVICE when the device has failed, OUT_OF_MEMORY, or INTERNAL. `call` is for the message.
  // Not while a stream is being captured.
  void Check(cudaError_t status, const char* call);
  // Throws DEVICE when the device has failed.
  void CheckAlive() const;
  bool failed() const { return failed_; }

 private:
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  char message_[kMessageBytes] = {};  // constant once failed_ is set
};

// Whether somebody in this process uses the device.
bool HasContext(int32_t index);

// Makes a device the calling thread's current one for as long as it lives; and longer where the one before has no context, since to
// choose a device is to make it one, which takes some hundred megabytes of its memory.
class UseDevice {
 public:
  explicit UseDevice(int32_t index) : index_(index) {
    if (cudaGetDevice(&before_) != cudaSuccess) before_ = index_;
    if (before_ != index_) cudaSetDevice(index_);
  }
  ~UseDevice() {
    if (before_ != index_ && HasContext(before_)) cudaSetDevice(before_);
  }
  UseDevice(const UseDevice&) = delete;
  UseDevice& operator=(const UseDevice&) = delete;

 private:
  const int32_t index_;
  int before_ = 0;
};

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_HEALTH_H_
