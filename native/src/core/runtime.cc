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

int Workers(const OpContext& context) { return context.pool().threads(); }

void ParallelForRaw(OpContext& context, int64_t items, int64_t grain, ParallelBody body, const void* argument) {
  context.pool().Run(items, grain, body, argument);
}

void* Scratch(OpContext& context, int64_t bytes) { return context.Scratch(bytes); }

}  // namespace lanes
