// Counted memory of one GPU.
#ifndef LANES_CUDA_COMMON_DEVICE_MEMORY_H_
#define LANES_CUDA_COMMON_DEVICE_MEMORY_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>

#include "cuda/common/health.h"
#include "lanes/lanes.h"

namespace lanes::cuda {

// A stream, and the right to use it: nobody may when another thread captures what it does.
struct Stream {
  cudaStream_t handle = nullptr;
  std::mutex mutex;
};

class DeviceMemory {
 public:
  DeviceMemory(int32_t index, Stream& stream, Health& health);
  // Frees what is left.
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // As Accelerator's.
  void* Allocate(uint64_t bytes, int32_t tag);
  void Free(void* memory);
  void Get(lanes_runtime_memory* memory);
  void ResetPeak();
  void CheckReachable(const void* data, int64_t bytes, const char* name);

  // Page-locked, not counted. Throws OUT_OF_MEMORY.
  void* AllocateHost(uint64_t bytes);
  void FreeHost(void* memory);

  // Another number whenever an address may have changed its meaning; no two devices have the same.
  uint64_t epoch() const { return epoch_; }

 private:
  struct Live {
    uint64_t bytes;
    int32_t tag;
  };

  void Register(void* memory, uint64_t bytes, int32_t tag);
  // Whether inside a live block; a block that begins before `data` and ends too early is in *end, else that is null.
  bool Holds(const void* data, int64_t bytes, const char** end);

  const int32_t index_;
  Stream& stream_;
  Health& health_;
  std::atomic<uint64_t> epoch_;
  std::mutex mutex_;  // of what follows; taken after the stream's
  std::map<const void*, Live> blocks_;
  uint64_t live_total_ = 0;
  lanes_runtime_memory counts_ = {};
};

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_DEVICE_MEMORY_H_
