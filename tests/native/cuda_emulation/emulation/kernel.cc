// Blocks: their shared memory, the copies into it, and kernels from the first block to the last.
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "emulation/hopper.h"
#include "emulation/machine.h"

namespace lanes::cuda::emulation {

namespace {

constexpr uint32_t kRedzone = 1024;
constexpr unsigned char kRedzoneByte = 0xC5;

}  // namespace

// ---- cp.async ----------------------------------------------------------------------------------------------------

namespace {

void LandCopy(const CopyUnderWay& copy) {
  memcpy(copy.to, copy.from, copy.read);
  memset(copy.to + copy.read, 0, copy.bytes - copy.read);
}

void LandUntil(Thread& self, uint64_t group) {
  while (self.landed < self.copies.size() && self.copies[self.landed].group < group) LandCopy(self.copies[self.landed++]);
  if (self.landed == self.copies.size()) {
    self.copies.clear();
    self.landed = 0;
  }
}

}  // namespace

void CopyAsync(void* shared, const void* global, uint32_t bytes, uint32_t read) {
  CheckShared(shared, bytes, bytes, "cp.async");
  if (read != 0 && reinterpret_cast<uintptr_t>(global) % bytes != 0) {
    Fault("cp.async: the global address %p is not aligned to %u bytes", global, bytes);
  }
  Thread& self = *current;
  const CopyUnderWay copy = {static_cast<unsigned char*>(shared), static_cast<const unsigned char*>(global), bytes, read, self.group};
  if (Sometimes(4)) {
    LandCopy(copy);
    return;
  }
  if (self.landed > 256) {
    self.copies.erase(self.copies.begin(), self.copies.begin() + static_cast<ptrdiff_t>(self.landed));
    self.landed = 0;
  }
  self.copies.push_back(copy);
}

void CopyAsyncCommitGroup() { ++current->group; }

void CopyAsyncWaitGroup(uint32_t pending) {
  Thread& self = *current;
  if (self.group > pending) LandUntil(self, self.group - pending);
}

// ---- Shared memory -----------------------------------------------------------------------------------------------

uint32_t SharedAddressOf(const void* shared) {
  const auto offset = static_cast<uint64_t>(static_cast<const unsigned char*>(shared) - m.arena);
  const uint64_t within = offset % kSharedWindow;
  if (offset >= static_cast<uint64_t>(m.cluster.size) * kSharedWindow || within < kSharedStart ||
      within > kSharedStart + m.cluster.shared_bytes) {
    Fault("%p is not in shared memory", shared);
  }
  return static_cast<uint32_t>(offset);
}

void* SharedPointer(uint32_t address, uint32_t bytes, uint32_t alignment) {
  void* shared = m.arena + address;
  CheckShared(shared, bytes, alignment, "a shared address");
  return shared;
}

void CheckShared(const void* shared, uint32_t bytes, uint32_t alignment, const char* what) {
  const auto offset = static_cast<uint64_t>(static_cast<const unsigned char*>(shared) - m.arena);
  const uint64_t within = offset % kSharedWindow;
  if (offset >= static_cast<uint64_t>(m.cluster.size) * kSharedWindow || within < kSharedStart ||
      within + bytes > kSharedStart + m.cluster.shared_bytes) {
    Fault("%s: %u bytes at offset %lld are not inside the block's %u bytes of shared memory", what, bytes,
          static_cast<long long>(static_cast<const unsigned char*>(shared) - current->block->shared), m.cluster.shared_bytes);
  }
  if ((offset & (alignment - 1)) != 0) {
    Fault("%s: offset %llu of shared memory is not aligned to %u bytes", what, static_cast<unsigned long long>(within - kSharedStart),
          alignment);
  }
}

// ---- A kernel ----------------------------------------------------------------------------------------------------

namespace {

// Describes the threads of `blocks` blocks of the launch's shape; most launches find them so already.
void Shape(dim3 block, uint32_t blocks) {
  if (m.threads != nullptr && m.shape.x == block.x && m.shape.y == block.y && m.shape.z == block.z && blocks <= m.shape_blocks) return;
  if (blocks > m.block_capacity) {
    m.threads = std::make_unique<Thread[]>(static_cast<size_t>(blocks) * kMaxThreads);
    m.warps = std::make_unique<Warp[]>(static_cast<size_t>(blocks) * (kMaxThreads / 32));
    m.blocks = std::make_unique<Block[]>(blocks);
    m.block_capacity = blocks;
  }
  m.shape = block;
  m.shape_blocks = m.block_capacity;
  const uint32_t count = block.x * block.y * block.z;
  for (uint32_t b = 0; b < m.block_capacity; ++b) {
    Block& bl = m.blocks[b];
    bl.cluster = &m.cluster;
    bl.rank = b;
    bl.threads = &m.threads[static_cast<size_t>(b) * kMaxThreads];
    bl.warps = &m.warps[static_cast<size_t>(b) * (kMaxThreads / 32)];
    bl.warp_count = (count + 31) / 32;
    bl.shared = m.arena + static_cast<size_t>(b) * kSharedWindow + kSharedStart;
    for (uint32_t i = 0; i < count; ++i) {
      Thread& thread = bl.threads[i];
      thread.index = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
      thread.lane = i % 32;
      thread.warp = &bl.warps[i / 32];
      thread.block = &bl;
    }
    for (uint32_t w = 0; w < bl.warp_count; ++w) {
      bl.warps[w].threads = &bl.threads[w * 32];
      bl.warps[w].block = &bl;
      bl.warps[w].index = w;
    }
  }
}

size_t RedzoneBytes(uint32_t shared_bytes) { return (shared_bytes + 15) / 16 * 16 - shared_bytes + kRedzone; }

void SetRedzones(uint32_t blocks, uint32_t shared_bytes) {
  for (uint32_t b = 0; b < blocks; ++b) {
    unsigned char* shared = m.blocks[b].shared;
#ifdef LANES_ASAN
    __asan_unpoison_memory_region(shared - kSharedStart, kSharedWindow);
#endif
    memset(shared - kSharedStart, kRedzoneByte, kSharedStart);
    memset(shared + shared_bytes, kRedzoneByte, RedzoneBytes(shared_bytes));
#ifdef LANES_ASAN
    __asan_poison_memory_region(shared - kSharedStart, kSharedStart);
    __asan_poison_memory_region(shared + shared_bytes, kSharedWindow - kSharedStart - shared_bytes);
#endif
  }
}

__attribute__((no_sanitize("address"))) bool Untouched(const unsigned char* bytes, size_t count) {
  uint64_t expected;
  memset(&expected, kRedzoneByte, sizeof expected);
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    uint64_t v;
    __builtin_memcpy(&v, bytes + i, 8);
    if (v != expected) return false;
  }
  for (; i < count; ++i) {
    if (bytes[i] != kRedzoneByte) return false;
  }
  return true;
}

void StartCluster(const LaunchConfig& config, uint64_t number) {
  Cluster& cluster = m.cluster;
  const uint32_t count = config.block.x * config.block.y * config.block.z;
  ++cluster.run;
  cluster.live = count * config.cluster;
  cluster.arrived = 0;
  cluster.phase = 0;
  cluster.parked.clear();
  cluster.later.clear();
  const uint64_t first = number * config.cluster;
  for (uint32_t b = 0; b < config.cluster; ++b) {
    Block& block = m.blocks[b];
    const uint64_t linear = first + b;
    block.index = {static_cast<unsigned>(linear % config.grid.x), static_cast<unsigned>(linear / config.grid.x % config.grid.y),
                   static_cast<unsigned>(linear / config.grid.x / config.grid.y)};
    block.live = count;
    block.waited = false;
    block.runnable_warps = ~0u >> (32 - block.warp_count);
    for (uint32_t w = 0; w < block.warp_count; ++w) {
      Warp& warp = block.warps[w];
      const uint32_t lanes = std::min(count - w * 32, 32u);
      warp.live = warp.runnable = ~0u >> (32 - lanes);
      warp.meeting = 0;
    }
    for (Barrier& barrier : block.barriers) {
      if (barrier.in_use) barrier = Barrier();
    }
    memset(block.shared, 0xFF, config.shared_bytes);
  }
}

// After a fault, threads are in the middle of their stacks.
void Recover() {
  m.free.clear();
  for (auto& stack : m.stacks) {
    Prepare(*stack);
    m.free.push_back(stack.get());
  }
  for (uint32_t b = 0; b < m.block_capacity; ++b) {
    for (Barrier& barrier : m.blocks[b].barriers) barrier = Barrier();
    for (uint32_t i = 0; i < kMaxThreads; ++i) {
      Thread& thread = m.blocks[b].threads[i];
      thread.stack = nullptr;
      thread.waits_at = nullptr;
      thread.copies.clear();
      thread.landed = 0;
    }
  }
}

// The sanitizer wants to know the stack that it goes back to.
void FindHostStack() {
#ifdef LANES_ASAN
  static thread_local unsigned char* bottom = nullptr;
  static thread_local size_t bytes = 0;
  if (bottom == nullptr) {
    pthread_attr_t attributes;
    void* address = nullptr;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &address, &bytes);
    pthread_attr_destroy(&attributes);
    bottom = static_cast<unsigned char*>(address);
  }
  m.host.bottom = bottom;
  m.host.bytes = bytes;
#endif
}

// What is wrong with a block that has ended; empty: nothing.
std::string WrongAtEnd(const Block& block, uint32_t shared_bytes, bool overlap) {
  const char* const where = !Untouched(block.shared - kSharedStart, kSharedStart)                    ? "in front of"
                            : !Untouched(block.shared + shared_bytes, RedzoneBytes(shared_bytes)) ? "behind"
                                                                                                    : nullptr;
  if (where != nullptr) return std::string("a block wrote ") + where + " its " + std::to_string(shared_bytes) + " bytes of shared memory";
  if (overlap && !block.waited) return "a block ended without DependencyWait, so the next kernel could begin before the one ahead has ended";
  if (!WarpgroupsSetRegisters(block)) return "some warps of a warpgroup came to setmaxnreg and others did not";
  return "";
}

bool RunCluster(const LaunchConfig& config, uint64_t number, bool overlap) {
  StartCluster(config, number);
  Thread* first = &m.blocks[0].threads[0];
  if (m.schedule == Schedule::kBackward) {
    Block& last = m.blocks[config.cluster - 1];
    first = &last.threads[config.block.x * config.block.y * config.block.z - 1];
  } else if (m.schedule == Schedule::kRandom) {
    first = NextRandomly();
  }
  GiveStack(*first);
  current = first;
  SwitchStack(m.host, &m.host.sp, *first->stack, first->sp);
  if (m.failed) return false;
  while (!m.cluster.later.empty()) LandOne(0);
  for (uint32_t b = 0; b < config.cluster; ++b) {
    Block& block = m.blocks[b];
    const std::string wrong = WrongAtEnd(block, config.shared_bytes, overlap);
    if (wrong.empty()) continue;
    m.fault = std::string("emulated CUDA: ") + KernelName() + ": " + wrong;
    fprintf(stderr, "%s\n", m.fault.c_str());
    return false;
  }
  return true;
}

}  // namespace

bool RunKernel(const KernelRef& kernel, const LaunchConfig& config, const void* args, bool overlap) {
  if (m.arena == nullptr) {
    void* memory = mmap(nullptr, static_cast<size_t>(kMaxCluster) * kSharedWindow, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    m.arena = static_cast<unsigned char*>(memory);
  }
  Shape(config.block, config.cluster);
  m.kernel = &kernel;
  m.args = args;
  m.failed = false;
  m.cluster.blocks = m.blocks.get();
  m.cluster.size = config.cluster;
  m.cluster.shared_bytes = config.shared_bytes;
  FindHostStack();
  current_grid = config.grid;
  current_block = config.block;
  SetRedzones(config.cluster, config.shared_bytes);
  const uint64_t clusters = static_cast<uint64_t>(config.grid.x) * config.grid.y * config.grid.z / config.cluster;
  const uint64_t rotation = m.schedule == Schedule::kRandom ? NextRandom() % clusters : 0;
  for (uint64_t i = 0; i < clusters; ++i) {
    const uint64_t number = m.schedule == Schedule::kBackward ? clusters - 1 - i : (i + rotation) % clusters;
    if (!RunCluster(config, number, overlap)) {
      Recover();
      return false;
    }
  }
  return true;
}

}  // namespace lanes::cuda::emulation
