#include "emulation/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <map>

#include "emulation/control.h"

namespace lanes::cuda::emulation {

namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kRedzone = 64;
constexpr unsigned char kRedzoneByte = 0xC5;
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kOwnRedzone = 0;  // the sanitizer has a better one
#else
constexpr size_t kOwnRedzone = kRedzone;
#endif

struct Memory {
  std::map<uintptr_t, Allocation> allocations;
  size_t used = 0;
  size_t limit = size_t{8} << 30;
  Memory() {
    if (const char* text = getenv("LANES_EMULATE_MEMORY")) limit = strtoull(text, nullptr, 10);
  }
};

Memory& memory_state() {
  static Memory& state = *new Memory;
  return state;
}

}  // namespace

void* Allocate(cudaMemoryType type, size_t bytes) {
  Memory& state = memory_state();
  const bool device = type == cudaMemoryTypeDevice;
  if (device && (bytes > state.limit || state.used > state.limit - bytes)) return nullptr;
  void* memory = nullptr;
  if (posix_memalign(&memory, kAlignment, bytes + kOwnRedzone) != 0) return nullptr;
  memset(memory, 0xFF, bytes);
  memset(static_cast<unsigned char*>(memory) + bytes, kRedzoneByte, kOwnRedzone);
  state.allocations[reinterpret_cast<uintptr_t>(memory)] = {bytes, type, false};
  if (device) state.used += bytes;
  return memory;
}

bool Release(cudaMemoryType type, void* memory) {
  Memory& state = memory_state();
  const auto found = state.allocations.find(reinterpret_cast<uintptr_t>(memory));
  if (found == state.allocations.end() || found->second.type != type || found->second.registered) return false;
  const size_t bytes = found->second.bytes;
  for (size_t i = 0; i < kOwnRedzone; ++i) {
    if (static_cast<unsigned char*>(memory)[bytes + i] == kRedzoneByte) continue;
    fprintf(stderr, "emulated CUDA: something wrote %zu bytes behind an allocation of %zu\n", i, bytes);
    abort();
  }
  if (type == cudaMemoryTypeDevice) state.used -= bytes;
  state.allocations.erase(found);
  free(memory);
  return true;
}

bool Register(void* memory, size_t bytes) {
  return memory_state().allocations.insert({reinterpret_cast<uintptr_t>(memory), {bytes, cudaMemoryTypeHost, true}}).second;
}

bool Unregister(void* memory) {
  Memory& state = memory_state();
  const auto found = state.allocations.find(reinterpret_cast<uintptr_t>(memory));
  if (found == state.allocations.end() || !found->second.registered) return false;
  state.allocations.erase(found);
  return true;
}

const Allocation* Find(const void* memory, const void** begin) {
  const auto& allocations = memory_state().allocations;
  const auto address = reinterpret_cast<uintptr_t>(memory);
  auto after = allocations.upper_bound(address);
  if (after == allocations.begin()) return nullptr;
  --after;
  if (address - after->first >= after->second.bytes && address != after->first) return nullptr;
  if (begin != nullptr) *begin = reinterpret_cast<const void*>(after->first);
  return &after->second;
}

size_t DeviceBytes() { return memory_state().used; }
size_t DeviceLimit() { return memory_state().limit; }
void SetMemory(int64_t bytes) { memory_state().limit = static_cast<size_t>(bytes); }

}  // namespace lanes::cuda::emulation
