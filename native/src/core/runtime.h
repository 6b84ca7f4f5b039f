// What a lanes_runtime handle points to.
#ifndef LANES_CORE_RUNTIME_H_
#define LANES_CORE_RUNTIME_H_

#include <mutex>

#include "core/memory.h"
#include "core/parallel.h"
#include "core/thread_pool.h"
#include "ops/registry.h"

namespace lanes {

// The threads and the scratch memory of one runtime, as kernels see them through core/parallel.h.
class OpContext {
 public:
  explicit OpContext(int threads) : pool_(threads) {}
  ThreadPool& pool() { return pool_; }
  const ThreadPool& pool() const { return pool_; }
  void* Scratch(int64_t bytes);

 private:
  ThreadPool pool_;
  Block scratch_;
};

}  // namespace lanes

struct lanes_runtime {
  lanes_runtime(int threads, int32_t isa_in) : isa(isa_in), kernels(lanes::KernelsFor(isa_in)), context(threads) {}

  const int32_t isa;
  const lanes::KernelSet kernels;
  lanes::OpContext context;
  std::mutex turn;
};

namespace lanes {

// An op's exclusive use of a runtime.
class Turn {
 public:
  explicit Turn(lanes_runtime& runtime) : lock_(runtime.turn), runtime_(runtime) {}
  OpContext& context() const { return runtime_.context; }
  const KernelSet& kernels() const { return runtime_.kernels; }

 private:
  std::lock_guard<std::mutex> lock_;
  lanes_runtime& runtime_;
};

}  // namespace lanes

#endif  // LANES_CORE_RUNTIME_H_
