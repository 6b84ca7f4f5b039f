// How the source of a weight goes to the device: at once where it is what the weight holds, else piece by piece through scratch memory.
#ifndef LANES_CUDA_WEIGHT_HEURISTICS_H_
#define LANES_CUDA_WEIGHT_HEURISTICS_H_

#include <stdint.h>

#include <algorithm>

#include "ops/weight.h"

namespace lanes::cuda {

inline constexpr int64_t kPackBytes = INT64_C(32) << 20;

// The elements are the weight's own, in the same order, without gaps.
inline bool CopiesAsIs(const WeightPackArgs& args) {
  const WeightView& w = args.weight;
  const bool one_row = args.row_count == 1, whole_rows = args.col_count == w.cols && w.cols == w.padded_cols;
  const bool in_order = !args.transposed || one_row || args.col_count == 1;
  // A part of one column has gaps between its rows, unless that is all there is.
  return args.src_dtype == w.dtype && in_order && (one_row || whole_rows);
}

// Rows of the source (columns of the weight when transposed) in a piece. Rows of the weight that are measured, or looked through for
// NaN, stay whole: a transposed source for them is one piece.
inline int64_t PieceRows(const WeightPackArgs& args, int64_t src_element_bytes) {
  const int64_t rows = args.transposed ? args.col_count : args.row_count, cols = args.transposed ? args.row_count : args.col_count;
  if (args.transposed && args.weight.dtype == LANES_S8 && args.src_dtype != LANES_S8) return rows;
  return std::clamp<int64_t>(kPackBytes / (cols * src_element_bytes), 1, rows);
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_WEIGHT_HEURISTICS_H_
