// What a lanes_runtime handle points to.
#ifndef LANES_CORE_RUNTIME_H_
#define LANES_CORE_RUNTIME_H_

#include <chrono>
#include <memory>
#include <mutex>

#include "core/memory.h"
#include "core/parallel.h"
#include "core/thread_pool.h"
#include "ops/registry.h"

namespace lanes {

// The threads and the scratch memory of one runtime, as kernels see them through core/parallel.h.
class OpContext {
 public:
  explicit OpContext(std::shared_ptr<ThreadPool> pool) : pool_(std::move(pool)) {}
  ThreadPool& pool() { return *pool_; }
  const ThreadPool& pool() const { return *pool_; }
  void* Scratch(int64_t bytes);

 private:
  const std::shared_ptr<ThreadPool> pool_;
  Block scratch_;
};

// What ops took since profiling was switched on.
struct Profile {
  bool on = false;
  lanes_op_profile ops[kOpCount] = {};
};

}  // namespace lanes

struct lanes_runtime {
  lanes_runtime(std::shared_ptr<lanes::ThreadPool> pool, int32_t isa_in)
      : isa(isa_in), kernels(lanes::KernelsFor(isa_in)), context(std::move(pool)) {}

  const int32_t isa;
  const lanes::KernelSet kernels;
  lanes::OpContext context;
  lanes::Profile profile;
  // Of callers of this runtime, who share its scratch memory; the pool's turns are among runtimes.
  std::mutex turn;
};

namespace lanes {

// A thread's exclusive use of a runtime and of its threads over several ops, whose own Turn and Pinned then cost nothing.
class Run {
 public:
  // The runtime is pinned, and this thread has no other run.
  explicit Run(lanes_runtime& runtime);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // Between two ops: lets other runtimes use the threads when they want to.
  void Yield();

 private:
  const std::lock_guard<std::mutex> lock_;
  lanes_runtime& runtime_;
};

// An op's exclusive use of a runtime and of its threads.
class Turn {
 public:
  Turn(lanes_runtime& runtime, OpId op);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  OpContext& context() const { return runtime_.context; }
  const KernelSet& kernels() const { return runtime_.kernels; }

 private:
  using Clock = std::chrono::steady_clock;

  lanes_runtime& runtime_;
  std::unique_lock<std::mutex> lock_;
  const OpId op_;
  const bool in_run_;
  bool timed_;
  Clock::time_point begin_;
  ThreadPool::Lost lost_;
};

}  // namespace lanes

#endif  // LANES_CORE_RUNTIME_H_
