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

constexpr size_t kAlignment = 4 * sizeof(uint64_t);

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
  uint64_t a = 1, b = 2, c = 3, d = 4;
  const auto mix = [](uint64_t chain, uint64_t word) {
    chain = (chain ^ word) * kPrime;
    return chain ^ chain >> 29;
  };
  for (size_t i = 0; i < bytes_.size(); i += kAlignment) {
    uint64_t words[4];
    memcpy(words, &bytes_[i], sizeof words);
    a = mix(a, words[0]);
    b = mix(b, words[1]);
    c = mix(c, words[2]);
    d = mix(d, words[3]);
  }
  return mix(mix(mix(mix(bytes_.size(), a), b), c), d);
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
