// Which kernel a norm takes. What of it decides about bits, the number of threads, follows from the columns alone.
#ifndef LANES_CUDA_NORM_HEURISTICS_H_
#define LANES_CUDA_NORM_HEURISTICS_H_

#include <stdint.h>

namespace lanes::cuda {

struct NormPlan {
  int32_t threads;         // of a row: a warp, or a block
  int32_t groups;          // of four columns that a thread has in registers at a time
  bool held;               // all of a row: it is read once
  int32_t rows_per_block;
};

// Few threads with much in flight each: their sums cost little, and blocks of 128 fill a multiprocessor evenly.
inline int32_t NormThreads(int64_t cols) { return cols <= 1024 ? 32 : cols <= 16384 ? 128 : 256; }

// `vector`: everything is aligned for loads of 16 bytes.
inline NormPlan PlanNorm(int64_t cols, bool vector) {
  const int32_t threads = NormThreads(cols), rows_per_block = threads == 32 ? 4 : 1;
  if (!vector || cols > 8192) return {threads, 4, false, rows_per_block};
  int32_t groups = threads == 32 ? 1 : 4;
  while (groups * threads * 4 < cols) groups *= 2;
  return {threads, groups, true, rows_per_block};
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_NORM_HEURISTICS_H_
