#include "core/runtime.h"

#include "core/numeric.h"

namespace lanes {

void* OpContext::Scratch(int64_t bytes) {
  if (static_cast<uint64_t>(bytes) > scratch_.bytes()) {
    scratch_ = Block();
    scratch_ = Block(static_cast<uint64_t>(RoundUp(bytes, 1 << 16)), LANES_MEMORY_SCRATCH);
  }
  return scratch_.data();
}

Turn::Turn(lanes_runtime& runtime, OpId op) : lock_(runtime.turn), runtime_(runtime), op_(op), timed_(runtime.profile.on) {
  ThreadPool& pool = runtime.context.pool();
  pool.turns().Take(&runtime);
  pool.set_timing(timed_);
  if (timed_) {
    lost_ = pool.lost();
    begin_ = Clock::now();
  }
}

Turn::~Turn() {
  ThreadPool& pool = runtime_.context.pool();
  if (timed_) {
    lanes_op_profile& op = runtime_.profile.ops[static_cast<int32_t>(op_)];
    op.calls += 1;
    op.nanos += std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin_).count();
    op.wait_nanos += pool.lost().wait - lost_.wait;
    op.idle_nanos += pool.lost().idle - lost_.idle;
  }
  pool.turns().Give();
}

int Workers(const OpContext& context) { return context.pool().threads(); }

void ParallelForRaw(OpContext& context, int64_t items, int64_t grain, ParallelBody body, const void* argument) {
  context.pool().Run(items, grain, body, argument);
}

void* Scratch(OpContext& context, int64_t bytes) { return context.Scratch(bytes); }

}  // namespace lanes
