// The threads of a block as fibers on one thread of the host, and the ways they wait for each other. What instructions are made of
// (cuda_runtime.h, ptx.cuh, hopper.cuh) is here; kernels never include it themselves.
//
// Nothing here locks: kernels run one after the other (runtime.cc), the blocks of a cluster together, clusters one after the other.
// A thread runs until it has to wait, so everything between two waits is one step, and the schedule decides about the order of steps.
#ifndef LANES_TESTS_CUDA_EMULATION_THREADS_H_
#define LANES_TESTS_CUDA_EMULATION_THREADS_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>
#include <vector>

#include "emulation/types.h"

namespace lanes::cuda::emulation {

struct Stack;
struct Warp;
struct Block;
struct Cluster;

// A cp.async under way: `read` of its bytes come from global memory, the rest are zeros.
struct CopyUnderWay {
  unsigned char* to;
  const unsigned char* from;
  uint32_t bytes;
  uint32_t read;
  uint64_t group;
};

struct Thread {
  void* sp = nullptr;      // of its stack, while it is switched off
  Stack* stack = nullptr;  // none before it begins and after it has ended
  uint3 index = {};
  uint32_t lane = 0;
  Warp* warp = nullptr;
  Block* block = nullptr;
  const char* waits_for = nullptr;  // while it cannot run
  const void* waits_at = nullptr;   // while it is parked
  uint64_t cluster_phase = 0;
  std::vector<CopyUnderWay> copies;
  size_t landed = 0;   // copies before it are done
  uint64_t group = 0;  // the one that is open
};

// A warp-wide instruction: `args` of every lane in `mask`, which it reads and writes, are at args[lane].
struct Instruction {
  const char* name;
  void (*run)(void* const* args, uint32_t mask);
};

struct Warp {
  Thread* threads = nullptr;
  Block* block = nullptr;
  uint32_t index = 0;
  uint32_t live = 0;      // lanes that have not ended
  uint32_t runnable = 0;  // of these, those that wait for nothing
  uint32_t meeting = 0;   // and those that have come to a warp-wide instruction
  const Instruction* instruction[32] = {};
  uint32_t mask[32] = {};
  void* args[32] = {};
};

struct Barrier {
  uint32_t arrived = 0;
  uint32_t expected = 0;  // 0: every thread that lives
  bool in_use = false;
  uint32_t warps = 0;     // that have waiting lanes
  uint32_t waiting[32] = {};
  int count = 0;          // of the predicates so far that are not zero
  int result_count = 0, result_all = 0;
};

inline constexpr uint32_t kBarriers = 16;

struct Block {
  uint3 index = {};
  Cluster* cluster = nullptr;
  uint32_t rank = 0;           // within its cluster
  uint32_t live = 0;           // threads that have not ended
  uint32_t runnable_warps = 0;
  unsigned char* shared = nullptr;
  Thread* threads = nullptr;
  Warp* warps = nullptr;
  uint32_t warp_count = 0;
  bool waited = false;         // for the kernels ahead, in some thread
  Barrier barriers[kBarriers];
};

// Something that lands as late as it may: after all threads have come to wait, or, with the random schedule, at any time before.
struct Later {
  void (*land)(const void* state);
  alignas(16) unsigned char state[240];
};

struct Cluster {
  uint64_t run = 0;  // counts clusters that have begun, for who keeps something until the end of one
  Block* blocks = nullptr;
  uint32_t size = 0;
  uint32_t live = 0;     // threads of all its blocks
  uint32_t arrived = 0;  // at the cluster's barrier
  uint64_t phase = 0;
  uint32_t shared_bytes = 0;
  std::vector<Thread*> parked;
  std::vector<Later> later;
};

extern Thread* current;  // the one that runs
extern dim3 current_grid, current_block;

// Ends the kernel, with words for the user; the launch becomes a sticky cudaErrorLaunchFailure.
[[noreturn]] __attribute__((format(printf, 1, 2))) void Fault(const char* format, ...);

// ---- Waiting -----------------------------------------------------------------------------------------------------

// Waits for the lanes of `mask`, which must come to the same instruction with the same mask; the last one runs it for all.
void WarpMeet(const Instruction& instruction, uint32_t mask, void* args);

enum class Vote { kCount, kAll, kAny };

// bar.sync and bar.arrive: `expected` threads, a multiple of 32, or 0 for all that live. Votes on the predicates.
int BarrierSync(uint32_t barrier, uint32_t expected, int predicate, Vote vote, const char* name);
void BarrierArrive(uint32_t barrier, uint32_t expected);

// barrier.cluster.arrive and .wait.
void ClusterArrive();
void ClusterWait();

// Waits until Notify(address); use WaitUntil.
void Park(const void* address, const char* what);
void Notify(const void* address);

template <class Ready>
void WaitUntil(const void* address, const char* what, Ready ready) {
  while (!ready()) Park(address, what);
}

// Runs `land`, a small trivially copyable lambda, as late as may be.
void AddLater(const Later& later);
template <class Land>
void RunLater(const Land& land) {
  static_assert(std::is_trivially_copyable_v<Land> && sizeof(Land) <= sizeof(Later::state));
  Later later;
  later.land = [](const void* state) { (*static_cast<const Land*>(state))(); };
  memcpy(static_cast<void*>(later.state), &land, sizeof land);
  AddLater(later);
}

// With the random schedule, true now and then (once in `n`), for whoever may do something early; else never.
bool Sometimes(uint32_t n);

// ---- Copies of a thread's own (cp.async) -------------------------------------------------------------------------

void CopyAsync(void* shared, const void* global, uint32_t bytes, uint32_t read);
void CopyAsyncCommitGroup();
void CopyAsyncWaitGroup(uint32_t pending);

// ---- Shared memory -----------------------------------------------------------------------------------------------

// Every block of a cluster has a window of 256 KiB of shared addresses, in the order of their ranks; its memory begins after 1 KiB.
inline constexpr uint32_t kSharedWindow = 0x40000;
inline constexpr uint32_t kSharedStart = 1024;

uint32_t SharedAddressOf(const void* shared);  // faults unless `shared` is in the memory of a block of this cluster
void* SharedPointer(uint32_t address, uint32_t bytes, uint32_t alignment);  // likewise, the bytes there
void CheckShared(const void* shared, uint32_t bytes, uint32_t alignment, const char* what);

inline unsigned char* OwnShared() { return current->block->shared; }

}  // namespace lanes::cuda::emulation

#endif  // LANES_TESTS_CUDA_EMULATION_THREADS_H_
