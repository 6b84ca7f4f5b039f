// Memory of a device, handed out from front to back and given back all at once: who takes the same sizes in the same order gets the same
// addresses.
#ifndef LANES_CUDA_COMMON_ARENA_H_
#define LANES_CUDA_COMMON_ARENA_H_

#include <cstdint>
#include <vector>

#include "cuda/common/device_memory.h"

namespace lanes::cuda {

class Arena {
 public:
  // Each block of the device has this many counterparts in page-locked host memory.
  Arena(DeviceMemory& memory, int32_t host_copies);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  struct Piece {
    void* device;
    int32_t block;
    int64_t offset;  // in its block
  };
  // 256-byte aligned. Throws Error.
  Piece Take(int64_t bytes);
  void Rewind();

  struct Block {
    unsigned char* device;
    std::vector<unsigned char*> host;
    int64_t bytes;
    int64_t used;
  };
  const std::vector<Block>& blocks() const { return blocks_; }

 private:
  void AddBlock(int64_t needed);
  void AddBlockOf(int64_t bytes);

  DeviceMemory& memory_;
  const int32_t host_copies_;
  std::vector<Block> blocks_;
  size_t current_ = 0;
};

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_ARENA_H_
