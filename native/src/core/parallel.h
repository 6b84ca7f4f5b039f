// What a kernel needs of the machine: other threads, and scratch memory. Kernels of every ISA include this header, so it
// holds nothing that could be compiled into a function shared with other translation units.
#ifndef LANES_CORE_PARALLEL_H_
#define LANES_CORE_PARALLEL_H_

#include <stdint.h>

namespace lanes {

class OpContext;

// Items [begin, end) on worker number `worker`, 0 <= worker < Workers(context). Must not throw.
using ParallelBody = void (*)(const void* body, int64_t begin, int64_t end, int worker);

int Workers(const OpContext& context);

// Calls `body` for pieces of [0, items) of at most `grain` items, beginning at multiples of `grain`; returns when all are
// done. Which worker gets which piece is not fixed, so a piece must not depend on it, except for its scratch.
// A single piece runs on the caller and wakes nobody.
void ParallelForRaw(OpContext& context, int64_t items, int64_t grain, ParallelBody body, const void* argument);

// The runtime's scratch memory, 64-byte aligned, uninitialised, valid until this op's next call of Scratch or its end.
// Throws Error (OUT_OF_MEMORY).
void* Scratch(OpContext& context, int64_t bytes);

// `body` is a callable (int64_t begin, int64_t end, int worker).
template <class Body>
static inline void ParallelFor(OpContext& context, int64_t items, int64_t grain, const Body& body) {
  ParallelForRaw(
      context, items, grain,
      [](const void* argument, int64_t begin, int64_t end, int worker) {
        (*static_cast<const Body*>(argument))(begin, end, worker);
      },
      &body);
}

}  // namespace lanes

#endif  // LANES_CORE_PARALLEL_H_
