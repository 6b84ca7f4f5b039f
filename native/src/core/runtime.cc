#include "core/runtime.h"

#include <utility>

#include "core/handles.h"
#include "core/numeric.h"

namespace lanes {

void* OpContext::Scratch(int64_t bytes) {
  if (static_cast<uint64_t>(bytes) > scratch_.bytes()) {
    scratch_ = Block();
    scratch_ = Block(static_cast<uint64_t>(RoundUp(bytes, 1 << 16)), LANES_MEMORY_SCRATCH);
  }
  return scratch_.data();
}

Run::Run(lanes_runtime& runtime) : lock_(runtime.turn), runtime_(runtime), device_(runtime.context.device().get()) {
  if (device_ != nullptr) device_->Begin(runtime.profile.times());
  runtime.context.pool().turns().Take(&runtime);
  run_runtime = &runtime;
}

Run::~Run() {
  run_runtime = nullptr;
  runtime_.context.pool().turns().Give();
  if (device_ != nullptr) device_->Abandon();
}

void Run::End() {
  if (device_ != nullptr) std::exchange(device_, nullptr)->End(false);
}

void Run::Yield() {
  Turns& turns = runtime_.context.pool().turns();
  if (!turns.Wanted()) return;
  turns.Give();
  turns.Take(&runtime_);
}

Turn::Turn(lanes_runtime& runtime, OpId op)
    : runtime_(runtime),
      lock_(runtime.turn, std::defer_lock),
      op_(op),
      in_run_(run_runtime == &runtime),
      device_(runtime.context.device().get()) {
  ThreadPool& pool = runtime.context.pool();
  if (!in_run_) {
    lock_.lock();
    if (device_ != nullptr) device_->Begin(runtime.profile.times());
  }
  if (device_ != nullptr) BeginOp();
  if (!in_run_) pool.turns().Take(&runtime);
  timed_ = runtime.profile.on;
  pool.set_timing(timed_);
  if (timed_) {
    lost_ = pool.lost();
    begin_ = Clock::now();
  }
}

void Turn::BeginOp() {
  try {
    device_->BeginOp(static_cast<int32_t>(op_));
  } catch (...) {
    if (!in_run_) device_->Abandon();
    throw;
  }
}

Turn::~Turn() {
  ThreadPool& pool = runtime_.context.pool();
  if (timed_) {
    lanes_op_profile& op = runtime_.profile.ops[static_cast<int32_t>(op_)];
    op.calls += 1;
    // A device tells itself what it took.
    if (runtime_.context.device() == nullptr) op.nanos += std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin_).count();
    op.wait_nanos += pool.lost().wait - lost_.wait;
    op.idle_nanos += pool.lost().idle - lost_.idle;
  }
  if (!in_run_) pool.turns().Give();
  if (device_ == nullptr) return;
  if (in_run_) {
    device_->AbandonOp();
  } else {
    device_->Abandon();
  }
}

void Turn::End() {
  Accelerator* const device = std::exchange(device_, nullptr);
  if (device != nullptr && !in_run_) device->End(true);
}

int Workers(const OpContext& context) { return context.pool().threads(); }

void ParallelForRaw(OpContext& context, int64_t items, int64_t grain, ParallelBody body, const void* argument) {
  context.pool().Run(items, grain, body, argument);
}

void* Scratch(OpContext& context, int64_t bytes) { return context.Scratch(bytes); }

}  // namespace lanes
