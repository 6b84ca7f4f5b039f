// Counted memory: all of the library's large blocks, and those that lanes_alloc hands out.
#ifndef LANES_CORE_MEMORY_H_
#define LANES_CORE_MEMORY_H_

#include <cstdint>
#include <utility>

#include "lanes/lanes.h"

namespace lanes {

// 64-byte aligned, zeroed, on huge pages where large. Never null; throws Error (OUT_OF_MEMORY) when the block is more than
// the system has free (what is promised to earlier blocks but not yet touched counts as taken). 0 bytes give a block too.
void* Allocate(uint64_t bytes, int32_t tag);

// Throws Error (INVALID_ARGUMENT) unless `memory` is null or a live block.
void Free(void* memory);

void GetMemoryStats(lanes_memory_stats* stats);
void ResetMemoryPeak();
// `live_bytes`, `live_blocks`, `peak_bytes` and `peak_total`.
void GetMemoryByTag(lanes_runtime_memory* memory);

// The n-th allocation from now fails, once; 0 switches this off.
void FailAllocation(uint64_t nth);

// What every allocation begins with, that of device memory too: throws Error for a tag that is none, and when this one is to fail.
void CheckAllocation(uint64_t bytes, int32_t tag);

// "weights", "KV cache", …
const char* MemoryTagName(int32_t tag);

// Owner of one block.
class Block {
 public:
  Block() = default;
  Block(uint64_t bytes, int32_t tag) : data_(Allocate(bytes, tag)), bytes_(bytes) {}
  Block(Block&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Block& operator=(Block&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Block() { Free(data_); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace lanes

#endif  // LANES_CORE_MEMORY_H_
