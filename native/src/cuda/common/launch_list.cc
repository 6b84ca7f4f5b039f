#include "cuda/common/launch_list.h"

#include <cstring>

namespace lanes::cuda {

// What stands before a kernel's arguments. A fill has no kernel, and its numbers for arguments.
struct LaunchList::Entry {
  KernelRef kernel;
  LaunchConfig config;
  uint64_t args_bytes;
};

namespace {

constexpr size_t kAlignment = 16;

struct FillArgs {
  void* memory;
  int64_t byte;
  int64_t bytes;
};

}  // namespace

void LaunchList::Add(Entry* entry, const void* args, size_t args_bytes) {
  entry->args_bytes = args_bytes;
  const size_t offset = bytes_.size();
  const size_t padded = (sizeof(Entry) + args_bytes + kAlignment - 1) / kAlignment * kAlignment;
  offsets_.reserve(offsets_.size() + 1);
  bytes_.resize(offset + padded, 0);
  memcpy(&bytes_[offset], entry, sizeof(Entry));
  memcpy(&bytes_[offset + sizeof(Entry)], args, args_bytes);
  offsets_.push_back(offset);
}

void LaunchList::AddLaunch(const KernelRef& kernel, const LaunchConfig& config, const void* args, size_t args_bytes) {
  Entry entry;
  memset(static_cast<void*>(&entry), 0, sizeof entry);
  entry.kernel = kernel;
  entry.config = config;
  Add(&entry, args, args_bytes);
}

void LaunchList::AddFill(void* memory, int byte, int64_t bytes) {
  if (bytes == 0) return;
  Entry entry;
  memset(static_cast<void*>(&entry), 0, sizeof entry);
  const FillArgs args = {memory, byte, bytes};
  Add(&entry, &args, sizeof args);
}

void LaunchList::Truncate(size_t size) {
  if (size >= offsets_.size()) return;
  bytes_.resize(offsets_[size]);
  offsets_.resize(size);
}

uint64_t LaunchList::Hash() const {
  // Four chains side by side: a step of a model is some hundred kilobytes.
  constexpr uint64_t kPrime = UINT64_C(0x9E3779B97F4A7C15);
  uint64_t chains[4] = {1, 2, 3, 4};
  const size_t words = bytes_.size() / sizeof(uint64_t);
  for (size_t i = 0; i < words; ++i) {
    uint64_t word;
    memcpy(&word, &bytes_[i * sizeof word], sizeof word);
    uint64_t& chain = chains[i % 4];
    chain = (chain ^ word) * kPrime;
    chain ^= chain >> 29;
  }
  uint64_t hash = words;
  for (const uint64_t chain : chains) hash = (hash ^ chain) * kPrime;
  return hash ^ hash >> 32;
}

cudaError_t LaunchList::Run(size_t begin, size_t end, bool overlap, cudaStream_t stream) const {
  bool behind_kernel = false;
  for (size_t i = begin; i < end; ++i) {
    Entry entry;
    memcpy(static_cast<void*>(&entry), &bytes_[offsets_[i]], sizeof entry);
    const unsigned char* const args = &bytes_[offsets_[i] + sizeof entry];
    cudaError_t status;
    if (entry.kernel.function != nullptr) {
      status = LaunchKernel(entry.kernel, entry.config, args, overlap && behind_kernel, stream);
      behind_kernel = true;
    } else {
      FillArgs fill;
      memcpy(&fill, args, sizeof fill);
      status = cudaMemsetAsync(fill.memory, static_cast<int>(fill.byte), static_cast<size_t>(fill.bytes), stream);
      behind_kernel = false;
    }
    if (status != cudaSuccess) return status;
  }
  return cudaSuccess;
}

}  // namespace lanes::cuda
