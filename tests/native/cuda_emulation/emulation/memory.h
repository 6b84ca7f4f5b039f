// Device and page-locked memory. With the address sanitizer each allocation is one of the host's, so that it sees where they end. Without
// it, device memory is made of pages of its own, each allocation at the end of some, before one that cannot be touched.
#ifndef LANES_TESTS_CUDA_EMULATION_MEMORY_H_
#define LANES_TESTS_CUDA_EMULATION_MEMORY_H_

#include <stddef.h>
#include <stdint.h>

#include "emulation/runtime_api.h"

namespace lanes::cuda::emulation {

// Not thread-safe: callers hold the runtime's lock.
struct Allocation {
  size_t bytes;
  cudaMemoryType type;
  bool registered;  // somebody else's memory
};

// Null when the device, or the host, has no more. Filled with 0xFF.
void* Allocate(cudaMemoryType type, size_t bytes);
bool Release(cudaMemoryType type, void* memory);  // false: no such allocation begins there
bool Register(void* memory, size_t bytes);
bool Unregister(void* memory);

// The allocation that holds the byte at `memory`; null for memory that CUDA does not know, which is pageable.
const Allocation* Find(const void* memory, const void** begin);

// Device memory can be touched while one of these lives; without a sanitizer, nobody else can: a launcher that follows a device pointer
// crashes here as it does beside a GPU.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
};

size_t DeviceBytes();
size_t DeviceLimit();

}  // namespace lanes::cuda::emulation

#endif  // LANES_TESTS_CUDA_EMULATION_MEMORY_H_
