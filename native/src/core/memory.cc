#include "core/memory.h"

#include <string.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

#include "core/cgroup.h"
#include "core/error.h"
#include "core/numeric.h"
#include "core/os.h"

namespace lanes {
namespace {

constexpr uint64_t kAlignment = 64;
// From here on a block is mapped by itself, and checked against free memory.
constexpr uint64_t kMapped = 1 << 20;

const char* const kTagNames[LANES_MEMORY_TAGS] = {"weights", "KV cache", "scratch", "other"};

struct Live {
  uint64_t bytes;
  int32_t tag;
  OsPages pages;  // of a block that is mapped by itself, else no pages
};

struct State {
  std::mutex mutex;
  std::unordered_map<void*, Live> blocks;
  lanes_memory_stats stats = {};
  uint64_t peak_bytes[LANES_MEMORY_TAGS] = {};
  uint64_t mapped_total = 0;
  std::atomic<uint64_t> fail_countdown{0};
};

// Never destroyed: blocks may be freed by threads that outlive static destructors.
State& GetState() {
  static State& state = *new State;
  return state;
}

// What earlier blocks were promised and the system does not know of yet, because nobody has touched it.
uint64_t PromisedBytes(const State& state) {
  uint64_t promised = 0;
  for (const auto& entry : state.blocks) {
    const OsPages& pages = entry.second.pages;
    if (pages.address != nullptr) promised += pages.bytes - std::min(pages.bytes, OsResident(pages));
  }
  return promised;
}

void CheckFree(const State& state, uint64_t bytes, int32_t tag) {
  const uint64_t available = AvailableMemory();
  if (bytes <= available && state.mapped_total <= available - bytes) return;
  const uint64_t promised = PromisedBytes(state);
  if (bytes <= available && promised <= available - bytes) return;
  ThrowOutOfMemory("%llu bytes (%.1f MiB) for %s: the system has %.1f MiB free, of which %.1f MiB are promised already",
                   static_cast<unsigned long long>(bytes), bytes / 1048576.0, kTagNames[tag], available / 1048576.0,
                   promised / 1048576.0);
}

void* Obtain(uint64_t bytes, Live* live) {
  if (bytes >= kMapped) {
    live->pages = OsMap(bytes);
    return live->pages.address;
  }
  const uint64_t wanted = std::max<uint64_t>(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  void* const memory = OsAllocate(kAlignment, wanted);
  return memory == nullptr ? nullptr : memset(memory, 0, wanted);
}

void Release(void* memory, const Live& live) {
  if (live.pages.address != nullptr) {
    OsUnmap(live.pages);
  } else {
    OsFree(memory);
  }
}

}  // namespace

const char* MemoryTagName(int32_t tag) { return kTagNames[tag]; }

void CheckAllocation(uint64_t bytes, int32_t tag) {
  if (tag < 0 || tag >= LANES_MEMORY_TAGS) ThrowInvalid("memory tag %d: expected 0 to %d", tag, LANES_MEMORY_TAGS - 1);
  std::atomic<uint64_t>& countdown = GetState().fail_countdown;
  uint64_t left = countdown;
  while (left > 0 && !countdown.compare_exchange_weak(left, left - 1)) {
  }
  if (left == 1) ThrowOutOfMemory("%llu bytes for %s: failed on request", static_cast<unsigned long long>(bytes), kTagNames[tag]);
}

void* Allocate(uint64_t bytes, int32_t tag) {
  CheckAllocation(bytes, tag);
  State& state = GetState();
  std::lock_guard<std::mutex> lock(state.mutex);
  if (bytes >= kMapped) CheckFree(state, bytes, tag);
  Live live = {bytes, tag, nullptr, 0};
  void* memory = Obtain(bytes, &live);
  if (memory == nullptr) {
    ThrowOutOfMemory("%llu bytes for %s: refused by the system", static_cast<unsigned long long>(bytes), kTagNames[tag]);
  }
  try {
    state.blocks.emplace(memory, live);
  } catch (...) {
    Release(memory, live);
    throw;
  }
  lanes_memory_stats& stats = state.stats;
  state.mapped_total += live.pages.bytes;
  stats.live_bytes[tag] += bytes;
  stats.live_blocks[tag] += 1;
  stats.live_total += bytes;
  stats.peak_total = std::max(stats.peak_total, stats.live_total);
  state.peak_bytes[tag] = std::max(state.peak_bytes[tag], stats.live_bytes[tag]);
  return memory;
}

void Free(void* memory) {
  if (memory == nullptr) return;
  State& state = GetState();
  Live live;
  {
    std::lock_guard<std::mutex> lock(state.mutex);
    const auto found = state.blocks.find(memory);
    if (found == state.blocks.end()) ThrowInvalid("lanes_free: %p is not a live block of lanes_alloc", memory);
    live = found->second;
    state.blocks.erase(found);
    state.mapped_total -= live.pages.bytes;
    state.stats.live_bytes[live.tag] -= live.bytes;
    state.stats.live_blocks[live.tag] -= 1;
    state.stats.live_total -= live.bytes;
  }
  Release(memory, live);
}

void GetMemoryStats(lanes_memory_stats* stats) {
  State& state = GetState();
  std::lock_guard<std::mutex> lock(state.mutex);
  *stats = state.stats;
  stats->size = sizeof *stats;
}

void ResetMemoryPeak() {
  State& state = GetState();
  std::lock_guard<std::mutex> lock(state.mutex);
  state.stats.peak_total = state.stats.live_total;
  std::copy_n(state.stats.live_bytes, LANES_MEMORY_TAGS, state.peak_bytes);
}

void GetMemoryByTag(lanes_runtime_memory* memory) {
  State& state = GetState();
  std::lock_guard<std::mutex> lock(state.mutex);
  for (int tag = 0; tag < LANES_MEMORY_TAGS; ++tag) {
    memory->live_bytes[tag] = state.stats.live_bytes[tag];
    memory->live_blocks[tag] = state.stats.live_blocks[tag];
    memory->peak_bytes[tag] = state.peak_bytes[tag];
  }
  memory->peak_total = state.stats.peak_total;
}

void FailAllocation(uint64_t nth) { GetState().fail_countdown = nth; }

}  // namespace lanes
