#include "emulation/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <iterator>
#include <map>

#include "emulation/control.h"

namespace lanes::cuda::emulation {

namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kPage = 4096;
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kPages = false;
#else
constexpr bool kPages = true;
#endif

size_t RoundUp(size_t n, size_t to) { return (n + to - 1) / to * to; }

// Addresses of device memory, cut into pieces of whole pages; the last page of a piece can never be touched.
class Region {
 public:
  // Null where there is no piece of this size.
  unsigned char* Take(size_t bytes) {
    if (begin_ == nullptr) {
      void* memory = mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (memory == MAP_FAILED) return nullptr;
      begin_ = end_ = static_cast<unsigned char*>(memory);
    }
    const size_t piece = RoundUp(bytes, kPage) + kPage;
    unsigned char* memory = nullptr;
    const auto fits = free_.lower_bound(piece);
    if (fits != free_.end() && fits->first <= 2 * piece) {
      memory = fits->second;
      pieces_[memory] = fits->first;
      free_.erase(fits);
    } else {
      if (piece > kBytes - static_cast<size_t>(end_ - begin_)) return nullptr;
      memory = end_;
      end_ += piece;
      pieces_[memory] = piece;
    }
    const size_t length = pieces_[memory];
    if (open_ > 0) Protect(memory, length - kPage, true);
    return memory + (length - kPage - RoundUp(bytes, kAlignment));
  }

  void Give(const unsigned char* inside) {
    const auto after = pieces_.upper_bound(const_cast<unsigned char*>(inside));
    const auto piece = std::prev(after);
    Protect(piece->first, piece->second, false);
    madvise(piece->first, piece->second, MADV_DONTNEED);
    free_.emplace(piece->second, piece->first);
    pieces_.erase(piece);
  }

  void Open() {
    if (open_++ == 0) ProtectAll(true);
  }
  void Close() {
    if (--open_ == 0) ProtectAll(false);
  }

 private:
  static constexpr size_t kBytes = size_t{64} << 30;

  static void Protect(unsigned char* memory, size_t bytes, bool open) { mprotect(memory, bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE); }
  void ProtectAll(bool open) {
    for (const auto& piece : pieces_) Protect(piece.first, piece.second - kPage, open);
  }

  unsigned char *begin_ = nullptr, *end_ = nullptr;
  std::map<unsigned char*, size_t> pieces_;
  std::multimap<size_t, unsigned char*> free_;
  int open_ = 0;
};

struct Memory {
  std::map<uintptr_t, Allocation> allocations;
  Region region;
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

DeviceAccess::DeviceAccess() {
  if (kPages) memory_state().region.Open();
}
DeviceAccess::~DeviceAccess() {
  if (kPages) memory_state().region.Close();
}

void* Allocate(cudaMemoryType type, size_t bytes) {
  Memory& state = memory_state();
  const bool device = type == cudaMemoryTypeDevice;
  if (device && (bytes > state.limit || state.used > state.limit - bytes)) return nullptr;
  const DeviceAccess access;
  void* memory = nullptr;
  if (device && kPages) {
    memory = state.region.Take(bytes);
    if (memory == nullptr) return nullptr;
  } else if (posix_memalign(&memory, kAlignment, bytes) != 0) {
    return nullptr;
  }
  memset(memory, 0xFF, bytes);
  state.allocations[reinterpret_cast<uintptr_t>(memory)] = {bytes, type, false};
  if (device) state.used += bytes;
  return memory;
}

bool Release(cudaMemoryType type, void* memory) {
  Memory& state = memory_state();
  const auto found = state.allocations.find(reinterpret_cast<uintptr_t>(memory));
  if (found == state.allocations.end() || found->second.type != type || found->second.registered) return false;
  const bool device = type == cudaMemoryTypeDevice;
  if (device) state.used -= found->second.bytes;
  state.allocations.erase(found);
  if (device && kPages) {
    state.region.Give(static_cast<unsigned char*>(memory));
  } else {
    free(memory);
  }
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
