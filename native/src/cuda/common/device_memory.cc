#include "cuda/common/device_memory.h"

#include <algorithm>

#include "core/memory.h"

namespace lanes::cuda {
namespace {

using LongLong = long long;
using UnsignedLongLong = unsigned long long;

constexpr uint64_t kAlignment = 256;

// Left to the driver: kernels, graphs and local memory come out of the same memory, and their failing would be hard to tell.
uint64_t Reserve(uint64_t total_bytes) { return std::min<uint64_t>(uint64_t{256} << 20, total_bytes / 32); }

double MiB(uint64_t bytes) { return static_cast<double>(bytes) / 1048576.0; }

uint64_t NextEpoch() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

// What this thread has found reachable; ops give the same addresses in every step.
struct Checked {
  const void* data;
  int64_t bytes;
  uint64_t epoch;
};
constexpr size_t kCheckedEntries = 1024;
thread_local Checked checked[kCheckedEntries];

Checked& CheckedEntry(const void* data, int64_t bytes) {
  const uint64_t key = (reinterpret_cast<uintptr_t>(data) >> 4) * UINT64_C(0x9E3779B97F4A7C15) + static_cast<uint64_t>(bytes);
  return checked[(key ^ key >> 32) % kCheckedEntries];
}

// Whether the device can reach page-locked host memory at this address.
bool IsPageLocked(const void* data) {
  cudaPointerAttributes attributes = {};
  if (cudaPointerGetAttributes(&attributes, data) != cudaSuccess) {
    cudaGetLastError();
    return false;
  }
  return attributes.type == cudaMemoryTypeHost && attributes.devicePointer == data;
}

}  // namespace

DeviceMemory::DeviceMemory(int32_t index, Stream& stream, Health& health)
    : index_(index), stream_(stream), health_(health), epoch_(NextEpoch()) {}

DeviceMemory::~DeviceMemory() {
  const UseDevice use(index_);
  for (const auto& block : blocks_) cudaFree(const_cast<void*>(block.first));
}

void* DeviceMemory::Allocate(uint64_t bytes, int32_t tag) {
  CheckAllocation(bytes, tag);
  health_.CheckAlive();
  const UseDevice use(index_);
  const std::lock_guard<std::mutex> lock(stream_.mutex);
  size_t free_bytes = 0, total_bytes = 0;
  health_.Check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
  const uint64_t reserve = Reserve(total_bytes), available = free_bytes > reserve ? free_bytes - reserve : 0;
  if (bytes > available || available - bytes < kAlignment) {
    ThrowOutOfMemory("%llu bytes (%.1f MiB) for %s: the device has %.1f MiB free, of which %.1f MiB are left to the driver",
                     static_cast<UnsignedLongLong>(bytes), MiB(bytes), MemoryTagName(tag), MiB(free_bytes), MiB(reserve));
  }
  const uint64_t padded = std::max((bytes + kAlignment - 1) / kAlignment, uint64_t{1}) * kAlignment;
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, padded);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    ThrowOutOfMemory("%llu bytes (%.1f MiB) for %s: refused by the driver, though the device has %.1f MiB free",
                     static_cast<UnsignedLongLong>(bytes), MiB(bytes), MemoryTagName(tag), MiB(free_bytes));
  }
  health_.Check(status, "cudaMalloc");
  try {
    health_.Check(cudaMemsetAsync(memory, 0, padded, stream_.handle), "cudaMemsetAsync");
    Register(memory, bytes, tag);
  } catch (...) {
    cudaFree(memory);
    throw;
  }
  return memory;
}

void* DeviceMemory::AllocateHost(uint64_t bytes) {
  const UseDevice use(index_);
  void* memory = nullptr;
  if (cudaHostAlloc(&memory, bytes, cudaHostAllocDefault) != cudaSuccess) {
    cudaGetLastError();
    ThrowOutOfMemory("%llu bytes of page-locked host memory: refused by the driver", static_cast<UnsignedLongLong>(bytes));
  }
  return memory;
}

void DeviceMemory::FreeHost(void* memory) {
  const UseDevice use(index_);
  cudaFreeHost(memory);
}

void DeviceMemory::Register(void* memory, uint64_t bytes, int32_t tag) {
  const std::lock_guard<std::mutex> lock(mutex_);
  blocks_.emplace(memory, Live{bytes, tag});
  counts_.live_bytes[tag] += bytes;
  counts_.live_blocks[tag] += 1;
  counts_.peak_bytes[tag] = std::max(counts_.peak_bytes[tag], counts_.live_bytes[tag]);
  live_total_ += bytes;
  counts_.peak_total = std::max(counts_.peak_total, live_total_);
}

void DeviceMemory::Free(void* memory) {
  if (memory == nullptr) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = blocks_.find(memory);
    if (found == blocks_.end()) ThrowInvalid("%p is not a live block of this device", memory);
    counts_.live_bytes[found->second.tag] -= found->second.bytes;
    counts_.live_blocks[found->second.tag] -= 1;
    live_total_ -= found->second.bytes;
    blocks_.erase(found);
    epoch_ = NextEpoch();
  }
  const UseDevice use(index_);
  const std::lock_guard<std::mutex> lock(stream_.mutex);
  // What went wrong in earlier work is for the next call to tell.
  cudaStreamSynchronize(stream_.handle);
  cudaFree(memory);
}

void DeviceMemory::Get(lanes_runtime_memory* memory) {
  size_t free_bytes = 0, total_bytes = 0;
  {
    const UseDevice use(index_);
    const std::lock_guard<std::mutex> lock(stream_.mutex);
    health_.Check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  *memory = counts_;
  memory->free_bytes = free_bytes;
  memory->total_bytes = total_bytes;
}

void DeviceMemory::ResetPeak() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::copy_n(counts_.live_bytes, LANES_MEMORY_TAGS, counts_.peak_bytes);
  counts_.peak_total = live_total_;
}

bool DeviceMemory::Holds(const void* data, int64_t bytes, const char** end) {
  const std::lock_guard<std::mutex> lock(mutex_);
  *end = nullptr;
  auto after = blocks_.upper_bound(data);
  if (after == blocks_.begin()) return false;
  --after;
  const char* const block_end = static_cast<const char*>(after->first) + after->second.bytes;
  const char* const begin = static_cast<const char*>(data);
  if (begin >= block_end) return false;
  if (bytes <= block_end - begin) return true;
  *end = block_end;
  return false;
}

void DeviceMemory::CheckReachable(const void* data, int64_t bytes, const char* name) {
  const uint64_t now = epoch_;
  Checked& known = CheckedEntry(data, bytes);
  if (known.data == data && known.bytes == bytes && known.epoch == now) return;
  const char* end = nullptr;
  if (Holds(data, bytes, &end)) {
    known = {data, bytes, now};
    return;
  }
  if (end != nullptr) {
    ThrowInvalid("%s takes %lld bytes from %p on: its block on the device ends after %lld", name, static_cast<LongLong>(bytes), data,
                 static_cast<LongLong>(end - static_cast<const char*>(data)));
  }
  const UseDevice use(index_);
  if (IsPageLocked(data) && IsPageLocked(static_cast<const char*>(data) + bytes - 1)) return;
  ThrowInvalid("%s (%p, %lld bytes) is out of the device's reach: expected memory of lanes_runtime_alloc, or page-locked host memory",
               name, data, static_cast<LongLong>(bytes));
}

}  // namespace lanes::cuda
