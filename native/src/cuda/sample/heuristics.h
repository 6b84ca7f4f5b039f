// How a vocabulary is divided among blocks, what they need, and how many rows go at a time.
#ifndef LANES_CUDA_SAMPLE_HEURISTICS_H_
#define LANES_CUDA_SAMPLE_HEURISTICS_H_

#include <stdint.h>

#include <algorithm>

namespace lanes::cuda {

// Tokens of a segment, a block's work, and of a stretch, a warp's. A row's results depend on neither the grid nor the rows beside it:
// segments are the same for every row of a vocabulary.
inline constexpr int32_t kSegment = 4096, kStretch = 512;

struct SamplePlan {
  int64_t segments, stretches;  // of a row
  int32_t threads;              // of a block
  int32_t mass_bits;            // a weight w counts round(w 2^mass_bits)
  int64_t row_bytes;            // of scratch memory
  int64_t rows;                 // at a time
};

inline SamplePlan PlanSample(int64_t rows, int64_t vocabulary) {
  constexpr int64_t kScratchBytes = INT64_C(128) << 20, kMaxBlocks = 0x7FFFFFFF;
  SamplePlan plan = {};
  plan.segments = (vocabulary + kSegment - 1) / kSegment;
  plan.stretches = (vocabulary + kStretch - 1) / kStretch;
  plan.threads = static_cast<int32_t>(std::min<int64_t>(plan.stretches, kSegment / kStretch)) * 32;
  // So that a row's sum stays below 2^63.
  plan.mass_bits = 62;
  while ((INT64_C(1) << (62 - plan.mass_bits)) < vocabulary) --plan.mass_bits;
  // The best of each stretch; of each segment its tokens, how many, their mass, the largest logit and the sum of exponentials.
  plan.row_bytes = plan.stretches * 8 + plan.segments * (kSegment * 8 + 4 + 8 + 4 + 8);
  plan.rows = std::clamp<int64_t>(std::min(kScratchBytes / plan.row_bytes, kMaxBlocks / plan.segments), 1, rows);
  return plan;
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_SAMPLE_HEURISTICS_H_
