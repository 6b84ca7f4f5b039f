#include "emulation/threads.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include <new>
#include <utility>

#include "emulation/machine.h"

extern "C" void lanes_emulation_begin();
asm(R"(
.text
.type lanes_emulation_switch, @function
.hidden lanes_emulation_switch
.globl lanes_emulation_switch
lanes_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size lanes_emulation_switch, .-lanes_emulation_switch
.type lanes_emulation_begin, @function
.hidden lanes_emulation_begin
.globl lanes_emulation_begin
lanes_emulation_begin:
  xorl %ebp, %ebp
  andq $-16, %rsp
  call lanes_emulation_stack_main
  ud2
.size lanes_emulation_begin, .-lanes_emulation_begin
)");

namespace lanes::cuda::emulation {

Thread* current = nullptr;
dim3 current_grid, current_block;

namespace {

#ifdef LANES_ASAN
constexpr size_t kStackBytes = 256 << 10;  // redzones around every local
#else
constexpr size_t kStackBytes = 64 << 10;
#endif
constexpr size_t kGuardBytes = 4096;

}  // namespace

Machine& m = *new Machine;

uint64_t NextRandom() {
  m.random ^= m.random << 13;
  m.random ^= m.random >> 7;
  m.random ^= m.random << 17;
  return m.random;
}

namespace {

uint32_t RandomBelow(uint32_t n) { return static_cast<uint32_t>(((NextRandom() >> 32) * n) >> 32); }

}  // namespace

void Prepare(Stack& stack) {
#ifdef LANES_ASAN
  __asan_unpoison_memory_region(stack.bottom, stack.bytes);
#endif
  // Tops at different distances from a page's end: else all would share a few sets of the cache.
  auto* top = reinterpret_cast<void**>(stack.bottom + stack.bytes - 64 - (stack.number * 576) % 8192);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(&lanes_emulation_begin);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  stack.sp = top;
  stack.fake = nullptr;
}

namespace {

Stack* NewStack() {
  auto stack = std::make_unique<Stack>();
  void* memory = mmap(nullptr, kStackBytes + kGuardBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, kGuardBytes, PROT_NONE);
  stack->bottom = static_cast<unsigned char*>(memory) + kGuardBytes;
  stack->bytes = kStackBytes;
  stack->number = m.stacks.size();
  Prepare(*stack);
  m.stacks.push_back(std::move(stack));
  return m.stacks.back().get();
}

Stack* TakeStack() {
  if (m.free.empty()) return NewStack();
  Stack* stack = m.free.back();
  m.free.pop_back();
  return stack;
}

}  // namespace

void GiveStack(Thread& thread) {
  thread.stack = TakeStack();
  thread.sp = thread.stack->sp;
}

// ---- Who runs next -----------------------------------------------------------------------------------------------

namespace {

uint32_t Lowest(uint32_t bits) { return static_cast<uint32_t>(__builtin_ctz(bits)); }
uint32_t Highest(uint32_t bits) { return 31 - static_cast<uint32_t>(__builtin_clz(bits)); }
uint32_t Any(uint32_t bits) {
  for (uint32_t skip = RandomBelow(static_cast<uint32_t>(__builtin_popcount(bits))); skip > 0; --skip) bits &= bits - 1;
  return Lowest(bits);
}

}  // namespace

void LandOne(size_t which) {
  const Later later = m.cluster.later[which];
  m.cluster.later.erase(m.cluster.later.begin() + static_cast<ptrdiff_t>(which));
  later.land(later.state);
}

namespace {

// In ascending order after `from`, so that the lanes of a warp come to an instruction one after the other, then around.
Thread* NextForward(const Thread* from) {
  Cluster& cluster = m.cluster;
  const Warp* warp = from->warp;
  if (uint32_t runnable = warp->runnable; runnable != 0) {
    const uint32_t after = runnable & (~1u << from->lane);
    return &warp->threads[Lowest(after != 0 ? after : runnable)];
  }
  for (uint32_t i = 0; i < cluster.size; ++i) {
    uint32_t rank = from->block->rank + i;
    if (rank >= cluster.size) rank -= cluster.size;
    Block& block = cluster.blocks[rank];
    if (uint32_t warps = block.runnable_warps; warps != 0) {
      const uint32_t after = i == 0 ? warps & (~1u << warp->index) : warps;
      const Warp& next = block.warps[Lowest(after != 0 ? after : warps)];
      return &next.threads[Lowest(next.runnable)];
    }
  }
  return nullptr;
}

Thread* NextBackward(const Thread* from) {
  Cluster& cluster = m.cluster;
  const Warp* warp = from->warp;
  if (uint32_t runnable = warp->runnable; runnable != 0) {
    const uint32_t before = runnable & ((1u << from->lane) - 1);
    return &warp->threads[Highest(before != 0 ? before : runnable)];
  }
  for (uint32_t i = 0; i < cluster.size; ++i) {
    const uint32_t rank = (from->block->rank + cluster.size - i) % cluster.size;
    Block& block = cluster.blocks[rank];
    if (uint32_t warps = block.runnable_warps; warps != 0) {
      const uint32_t before = i == 0 ? warps & ((1u << warp->index) - 1) : warps;
      const Warp& next = block.warps[Highest(before != 0 ? before : warps)];
      return &next.threads[Highest(next.runnable)];
    }
  }
  return nullptr;
}

}  // namespace

Thread* NextRandomly() {
  Cluster& cluster = m.cluster;
  const uint32_t first = cluster.size == 1 ? 0 : RandomBelow(cluster.size);
  for (uint32_t i = 0; i < cluster.size; ++i) {
    Block& block = cluster.blocks[(first + i) % cluster.size];
    if (block.runnable_warps == 0) continue;
    const Warp& warp = block.warps[Any(block.runnable_warps)];
    return &warp.threads[Any(warp.runnable)];
  }
  return nullptr;
}

namespace {

// Null when nobody can run, and nothing is under way that could change it.
Thread* Next(const Thread* from) {
  for (;;) {
    Thread* next = nullptr;
    switch (m.schedule) {
      case Schedule::kForward: next = NextForward(from); break;
      case Schedule::kBackward: next = NextBackward(from); break;
      case Schedule::kRandom:
        if (!m.cluster.later.empty() && RandomBelow(8) == 0) LandOne(RandomBelow(static_cast<uint32_t>(m.cluster.later.size())));
        next = NextRandomly();
        break;
    }
    if (next != nullptr || m.cluster.later.empty()) return next;
    const auto pending = static_cast<uint32_t>(m.cluster.later.size());
    LandOne(m.schedule == Schedule::kForward ? 0 : m.schedule == Schedule::kBackward ? pending - 1 : RandomBelow(pending));
  }
}

}  // namespace

// Of "... [with Args = lanes::cuda::NormArgs]" what is in the brackets.
std::string KernelName() {
  std::string name = m.kernel->name;
  const size_t begin = name.find("Args = ");
  if (begin == std::string::npos) return name;
  name = name.substr(begin + 7);
  return "kernel of " + name.substr(0, name.find_last_of(']'));
}

namespace {

std::string Position(const Thread& thread) {
  char text[160];
  const uint3 b = thread.block->index, t = thread.index;
  snprintf(text, sizeof text, "block (%u, %u, %u) thread (%u, %u, %u)", b.x, b.y, b.z, t.x, t.y, t.z);
  return text;
}

// Whether threads that are left wait for something that cannot come. Says who, in runs of threads that wait for the same.
[[noreturn]] void Deadlock() {
  std::string& text = m.report;  // this stack will never be left in order: nothing on it may own memory
  text = "deadlock: no thread can run\n";
  int lines = 0;
  for (uint32_t rank = 0; rank < m.cluster.size; ++rank) {
    Block& block = m.cluster.blocks[rank];
    const uint32_t threads = current_block.x * current_block.y * current_block.z;
    for (uint32_t i = 0; i < threads && lines < 40;) {
      auto state = [&](uint32_t t) -> const char* {
        const Thread& thread = block.threads[t];
        if ((thread.warp->live >> thread.lane & 1) == 0) return "has ended";
        return thread.waits_for;
      };
      uint32_t end = i + 1;
      while (end < threads && state(end) == state(i) && block.threads[end].waits_at == block.threads[i].waits_at) ++end;
      text += "  " + Position(block.threads[i]) + (end - i > 1 ? " and the next " + std::to_string(end - i - 1) : "") + ": ";
      text += block.threads[i].waits_for == state(i) ? std::string("waits for ") + state(i) : state(i);
      text += '\n';
      ++lines;
      i = end;
    }
  }
  Fault("%s", text.c_str());
}

// Takes a thread off those that can run.
void Leave(Thread& self) {
  Warp& warp = *self.warp;
  warp.runnable &= ~(1u << self.lane);
  if (warp.runnable == 0) self.block->runnable_warps &= ~(1u << warp.index);
}

void Wake(Thread& thread) {
  thread.warp->runnable |= 1u << thread.lane;
  thread.block->runnable_warps |= 1u << thread.warp->index;
}

inline void SwitchTo(Thread& self, Thread& next) {
  current = &next;
  SwitchStack(*self.stack, &self.sp, *next.stack, next.sp);
}

// Lets others run until the current thread, which was taken off the runnable ones, is chosen again.
void Wait(const char* what) {
  Thread* self = current;
  self->waits_for = what;
  Thread* next = Next(self);
  if (next == nullptr) Deadlock();
  if (next == self) return;
  if (next->stack == nullptr) GiveStack(*next);
  SwitchTo(*self, *next);
}

void CompleteBarrier(Block& block, Barrier& barrier) {
  for (uint32_t warps = barrier.warps; warps != 0; warps &= warps - 1) {
    const uint32_t w = Lowest(warps);
    block.warps[w].runnable |= barrier.waiting[w];
    block.runnable_warps |= 1u << w;
    barrier.waiting[w] = 0;
  }
  barrier.result_count = barrier.count;
  barrier.result_all = barrier.count == static_cast<int>(barrier.arrived);
  barrier.warps = barrier.arrived = 0;
  barrier.count = 0;
  barrier.in_use = false;
}

bool Arrive(uint32_t id, uint32_t expected, int predicate, const char* name) {
  if (id >= kBarriers) Fault("%s: barrier %u of %u", name, id, kBarriers);
  if (expected % 32 != 0) Fault("%s: %u threads, which is no multiple of 32", name, expected);
  Block& block = *current->block;
  Barrier& barrier = block.barriers[id];
  if (barrier.in_use && barrier.expected != expected) {
    Fault("%s: barrier %u expects %u threads here and %u elsewhere", name, id, expected, barrier.expected);
  }
  barrier.in_use = true;
  barrier.expected = expected;
  barrier.count += predicate != 0;
  ++barrier.arrived;
  return barrier.arrived == (expected == 0 ? block.live : expected);
}

void CompleteCluster(Cluster& cluster) {
  cluster.arrived = 0;
  ++cluster.phase;
  Notify(&cluster.phase);
}

void EndThread() {
  Thread& self = *current;
  Block& block = *self.block;
  Warp& warp = *self.warp;
  Leave(self);
  warp.live &= ~(1u << self.lane);
  --block.live;
  --m.cluster.live;
  if (self.landed < self.copies.size() || !self.copies.empty()) {
    self.copies.clear();  // what nobody waited for never lands
    self.landed = 0;
  }
  for (Barrier& barrier : block.barriers) {
    if (barrier.in_use && barrier.expected == 0 && barrier.arrived == block.live && block.live > 0) CompleteBarrier(block, barrier);
  }
  if (m.cluster.arrived > 0 && m.cluster.arrived == m.cluster.live) CompleteCluster(m.cluster);
}

}  // namespace

// What every stack runs: threads, one after the other while they come to their end, so that a kernel without barriers needs one stack.
extern "C" __attribute__((used, visibility("hidden"), no_sanitize("address"))) void lanes_emulation_stack_main() {
#ifdef LANES_ASAN
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  for (;;) {
    m.kernel->call(m.kernel->function, m.args);
    EndThread();
    Thread* self = current;
    Stack* stack = self->stack;
    self->stack = nullptr;
    Thread* next = Next(self);
    if (next == nullptr) {
      if (m.cluster.live > 0) Deadlock();
      m.free.push_back(stack);
      SwitchStack(*stack, &stack->sp, m.host, m.host.sp);
      continue;
    }
    current = next;
    if (next->stack == nullptr) {
      next->stack = stack;
      continue;
    }
    m.free.push_back(stack);
    SwitchStack(*stack, &stack->sp, *next->stack, next->sp);
  }
}

void Fault(const char* format, ...) {
  va_list list;
  va_start(list, format);
  char text[8192];
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  m.fault = std::string("emulated CUDA: ") + KernelName() + ", " + Position(*current) + ": " + text;
  fprintf(stderr, "%s\n", m.fault.c_str());
  m.failed = true;
  Stack lost;
  SwitchStack(lost, &lost.sp, m.host, m.host.sp);
  __builtin_unreachable();
}

namespace {

// That all lanes of `lane`'s mask are at its instruction, with its mask.
inline void CheckMeeting(const Warp& warp, uint32_t lane) {
  const uint32_t mask = warp.mask[lane];
  const Instruction* instruction = warp.instruction[lane];
  uintptr_t differ = 0;
  uint32_t masks_differ = 0;
  for (uint32_t i = 0; i < 32; ++i) {
    differ |= reinterpret_cast<uintptr_t>(warp.instruction[i]) ^ reinterpret_cast<uintptr_t>(instruction);
    masks_differ |= warp.mask[i] ^ mask;
  }
  if (differ == 0 && masks_differ == 0) return;
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const uint32_t other = Lowest(rest);
    if (warp.instruction[other] == instruction && warp.mask[other] == mask) continue;
    Fault("divergence: lane %u is at %s with mask %08x while lane %u is at %s with mask %08x", lane, instruction->name, mask, other,
          warp.instruction[other]->name, warp.mask[other]);
  }
}

}  // namespace

void WarpMeet(const Instruction& instruction, uint32_t mask, void* args) {
  Thread& self = *current;
  Warp& warp = *self.warp;
  const uint32_t lane = self.lane;
  const uint32_t bit = 1u << lane;
  warp.instruction[lane] = &instruction;
  warp.mask[lane] = mask;
  warp.args[lane] = args;
  warp.meeting |= bit;
  if ((mask & bit) == 0) Fault("%s: the mask %08x does not name lane %u, which calls", instruction.name, mask, lane);
  if ((warp.meeting & mask) != mask) {
#ifndef LANES_ASAN
    // The usual way, without a detour: to the next lane, which comes from the instruction before.
    const uint32_t others = warp.runnable & ~bit;
    if (others != 0 && m.schedule == Schedule::kForward) {
      const uint32_t after = others & (~1u << lane);
      Thread& next = warp.threads[Lowest(after != 0 ? after : others)];
      if (next.stack != nullptr) {
        self.waits_for = instruction.name;
        warp.runnable = others;
        current = &next;
        lanes_emulation_switch(&self.sp, next.sp);
        return;
      }
    }
#endif
    Leave(self);
    Wait(instruction.name);
    return;
  }
  CheckMeeting(warp, lane);
  instruction.run(warp.args, mask);
  warp.meeting &= ~mask;
  warp.runnable |= mask;
}

int BarrierSync(uint32_t id, uint32_t expected, int predicate, Vote vote, const char* name) {
  Thread& self = *current;
  Barrier& barrier = self.block->barriers[id < kBarriers ? id : 0];
  if (Arrive(id, expected, predicate, name)) {
    CompleteBarrier(*self.block, barrier);
  } else {
    barrier.waiting[self.warp->index] |= 1u << self.lane;
    barrier.warps |= 1u << self.warp->index;
    Leave(self);
    Wait(name);
  }
  return vote == Vote::kCount ? barrier.result_count : vote == Vote::kAll ? barrier.result_all : barrier.result_count != 0;
}

void BarrierArrive(uint32_t id, uint32_t expected) {
  if (Arrive(id, expected, 0, "bar.arrive")) CompleteBarrier(*current->block, current->block->barriers[id]);
}

void ClusterArrive() {
  current->cluster_phase = m.cluster.phase;
  if (++m.cluster.arrived == m.cluster.live) CompleteCluster(m.cluster);
}

void ClusterWait() {
  WaitUntil(&m.cluster.phase, "the cluster's barrier", [] { return current->cluster_phase != m.cluster.phase; });
}

void Park(const void* address, const char* what) {
  Thread& self = *current;
  self.waits_at = address;
  m.cluster.parked.push_back(&self);
  Leave(self);
  Wait(what);
}

void Notify(const void* address) {
  auto& parked = m.cluster.parked;
  size_t kept = 0;
  for (Thread* thread : parked) {
    if (thread->waits_at != address) {
      parked[kept++] = thread;
      continue;
    }
    thread->waits_at = nullptr;
    Wake(*thread);
  }
  parked.resize(kept);
}

void AddLater(const Later& later) { m.cluster.later.push_back(later); }

bool Sometimes(uint32_t n) { return m.schedule == Schedule::kRandom && RandomBelow(n) == 0; }

void SetSchedule(Schedule schedule, uint64_t seed) {
  m.schedule = schedule;
  m.random = seed * 0x9E3779B97F4A7C15u + 1;
}
Schedule CurrentSchedule() { return m.schedule; }
const std::string& LastFault() { return m.fault; }

}  // namespace lanes::cuda::emulation
