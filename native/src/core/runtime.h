// What a lanes_runtime handle points to.
#ifndef LANES_CORE_RUNTIME_H_
#define LANES_CORE_RUNTIME_H_

#include <chrono>
#include <memory>
#include <mutex>

#include "core/accelerator.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/thread_pool.h"
#include "ops/registry.h"

namespace lanes {

// The threads and the scratch memory of one runtime, as kernels see them through core/parallel.h, or its device, as those of a GPU see
// it through cuda/common/device.h.
class OpContext {
 public:
  OpContext(std::shared_ptr<ThreadPool> pool, std::shared_ptr<Accelerator> device)
      : pool_(std::move(pool)), device_(std::move(device)) {}
  ThreadPool& pool() { return *pool_; }
  const ThreadPool& pool() const { return *pool_; }
  void* Scratch(int64_t bytes);
  // Null on the CPU.
  const std::shared_ptr<Accelerator>& device() const { return device_; }

 private:
  const std::shared_ptr<ThreadPool> pool_;
  const std::shared_ptr<Accelerator> device_;
  Block scratch_;
};

// What ops took since profiling was switched on.
struct Profile {
  bool on = false;
  lanes_op_profile ops[kOpCount] = {};
  lanes_op_profile* times() { return on ? ops : nullptr; }
};

}  // namespace lanes

struct lanes_runtime {
  // On the CPU.
  lanes_runtime(std::shared_ptr<lanes::ThreadPool> pool, int32_t isa_in)
      : isa(isa_in), kernels(lanes::KernelsFor(isa_in)), context(std::move(pool), nullptr) {}
  // On a device; one thread of the host lists what it is to do.
  lanes_runtime(std::shared_ptr<lanes::Accelerator> device, const lanes::KernelSet& device_kernels)
      : isa(LANES_ISA_AUTO), kernels(device_kernels), context(std::make_shared<lanes::ThreadPool>(1), std::move(device)) {}

  const int32_t isa;  // AUTO on a device
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
  // A device runs what the ops have listed; without, nothing of it happens. Throws Error.
  void End();

 private:
  const std::lock_guard<std::mutex> lock_;
  lanes_runtime& runtime_;
  Accelerator* device_;  // null on the CPU, and after End
};

// An op's exclusive use of a runtime and of its threads.
class Turn {
 public:
  Turn(lanes_runtime& runtime, OpId op);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  // The op has succeeded: outside a Run, a device carries it out. Without this nothing of it happens there. Throws Error.
  void End();
  OpContext& context() const { return runtime_.context; }
  const KernelSet& kernels() const { return runtime_.kernels; }

 private:
  using Clock = std::chrono::steady_clock;

  void BeginOp();

  lanes_runtime& runtime_;
  std::unique_lock<std::mutex> lock_;
  const OpId op_;
  const bool in_run_;
  Accelerator* device_;  // null on the CPU, and after End
  bool timed_;
  Clock::time_point begin_;
  ThreadPool::Lost lost_;
};

}  // namespace lanes

#endif  // LANES_CORE_RUNTIME_H_
