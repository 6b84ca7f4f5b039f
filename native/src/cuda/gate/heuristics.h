// Which kernel a gate with int8 rows takes. A row's largest magnitude does not depend on an order, so the bits do not depend on this.
#ifndef LANES_CUDA_GATE_HEURISTICS_H_
#define LANES_CUDA_GATE_HEURISTICS_H_

#include <stdint.h>

namespace lanes::cuda {

struct GatePlan {
  int32_t threads;  // a row is a block's
  int32_t groups;   // of four columns that a thread has in registers at a time
  bool held;        // all of a row: it is computed once
};

// `vector`: everything is aligned for loads of 16 bytes.
inline GatePlan PlanQuantizedGate(int64_t cols, bool vector) {
  if (!vector || cols > 16384) return {256, 4, false};
  if (cols <= 2048) return {128, 4, true};
  return {cols <= 4096 ? 128 : cols <= 8192 ? 256 : 512, 8, true};
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_GATE_HEURISTICS_H_
