// What threads.cc, which lets threads run and wait, and kernel.cc, which makes and ends them, know together.
#ifndef LANES_TESTS_CUDA_EMULATION_MACHINE_H_
#define LANES_TESTS_CUDA_EMULATION_MACHINE_H_

#include <memory>
#include <string>
#include <vector>

#include "emulation/control.h"
#include "emulation/kernel.h"
#include "emulation/threads.h"

#if defined(__SANITIZE_ADDRESS__)
#define LANES_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LANES_ASAN 1
#endif
#endif
#ifdef LANES_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// Saves what a call must preserve and the stack pointer, and takes over those of another stack. It returns to where that one called
// from: mostly the same place, since lanes do the same, so that calls and returns stay in step for the processor's prediction.
extern "C" void lanes_emulation_switch(void** save, void* load);

namespace lanes::cuda::emulation {

inline constexpr uint32_t kMaxThreads = 1024;
inline constexpr uint32_t kMaxCluster = 16;

struct Stack {
  void* sp = nullptr;  // while no thread has it
  unsigned char* bottom = nullptr;
  size_t bytes = 0;
  size_t number = 0;
  void* fake = nullptr;  // the sanitizer's
};

struct Machine {
  Stack host;
  std::vector<std::unique_ptr<Stack>> stacks;
  std::vector<Stack*> free;
  std::unique_ptr<Thread[]> threads;
  std::unique_ptr<Warp[]> warps;
  std::unique_ptr<Block[]> blocks;
  uint32_t block_capacity = 0;
  dim3 shape = {0, 0, 0};  // of the blocks that `threads` describes
  uint32_t shape_blocks = 0;
  unsigned char* arena = nullptr;  // of shared memory
  Cluster cluster;
  const KernelRef* kernel = nullptr;
  const void* args = nullptr;
  bool failed = false;
  std::string fault, report;
  Schedule schedule = Schedule::kForward;
  uint64_t random = 1;
};

extern Machine& m;

// From the stack `from`, whose stack pointer goes to `save`, to another one that was left with `load`.
inline void SwitchStack([[maybe_unused]] Stack& from, void** save, [[maybe_unused]] Stack& to, void* load) {
#ifdef LANES_ASAN
  __sanitizer_start_switch_fiber(&from.fake, to.bottom, to.bytes);
#endif
  lanes_emulation_switch(save, load);
#ifdef LANES_ASAN
  __sanitizer_finish_switch_fiber(from.fake, nullptr, nullptr);
#endif
}

// As new: no thread has it.
void Prepare(Stack& stack);
// For a thread that begins.
void GiveStack(Thread& thread);

uint64_t NextRandom();
// Any thread that can run; null without one.
Thread* NextRandomly();
// Lets what is pending at this place of the cluster's list happen.
void LandOne(size_t which);
// The kernel's, for reports.
std::string KernelName();

}  // namespace lanes::cuda::emulation

#endif  // LANES_TESTS_CUDA_EMULATION_MACHINE_H_
