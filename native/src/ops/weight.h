// Packed weights.
//
// A matrix [rows, cols] is cut into panels of kPanelRows rows (output features); the last may be narrower, a multiple of
// kPanelStep. Inside a panel the rows run along SIMD lanes and the columns (the summed dimension) one after the other:
//   f32, f16: element (r, c) at  c * width + r
//   bf16:     columns in pairs,  (c / 2) * 2 * width + 2 * r + c % 2, so that one 32-bit lane holds a pair
//   s8:       columns in fours,  (c / 4) * 4 * width + 4 * r + c % 4, so that one 32-bit lane holds four
// Rows are padded with zeros to the width, bf16 columns to an even number, s8 columns to a multiple of 4. Element (r, c)
// stands where it stands for every ISA. Padding must stay zero: dot products multiply the padded columns.
//
// On a device (cuda/common) a weight is row-major instead: `padded_cols` is the distance between rows, which are padded with zeros to a
// multiple of 128 bytes, and there are no sums.
//
// Behind its panels an s8 weight holds, for each row (padded to kPanelStep), the scale and the sum of the row's elements. The
// sum serves instructions that multiply unsigned by signed bytes: with u = q + 128, sum u w = sum q w + 128 sum w.
#ifndef LANES_OPS_WEIGHT_H_
#define LANES_OPS_WEIGHT_H_

#include <stdint.h>

#include "core/parallel.h"
#include "lanes/lanes.h"

namespace lanes {

inline constexpr int64_t kPanelRows = 64;
inline constexpr int64_t kPanelStep = 16;
// So that the sum of a row fits 32 bits.
inline constexpr int64_t kMaxS8Cols = INT64_C(1) << 23;

// The plain view of a weight, which kernels work on.
struct WeightView {
  int64_t rows;
  int64_t cols;
  int32_t dtype;
  int32_t element_bytes;
  int64_t padded_cols;
  char* data;
  float* scales;  // of s8, else null
  int32_t* sums;  // of s8, else null
};

// Bytes before panel number `panel`.
static inline int64_t PanelOffset(const WeightView& w, int64_t panel) {
  return panel * kPanelRows * w.padded_cols * w.element_bytes;
}

// Rows of panel number `panel`, padding included: kPanelRows, or less for the last one.
static inline int64_t PanelWidth(const WeightView& w, int64_t panel) {
  const int64_t left = w.rows - panel * kPanelRows;
  return left >= kPanelRows ? kPanelRows : (left + kPanelStep - 1) / kPanelStep * kPanelStep;
}

static inline int64_t PanelCount(const WeightView& w) { return (w.rows + kPanelRows - 1) / kPanelRows; }

struct WeightPackArgs {
  WeightView weight;
  const char* src;
  int32_t src_dtype;
  bool transposed;
  int64_t row_begin, row_count;
  int64_t col_begin, col_count;
  const float* scales;  // [row_count] or null
};

struct WeightKernel {
  // Copies a part of a matrix into its panels, converting each element with one rounding, half to even. Of an s8 weight it also
  // sets the rows' scales and sums.
  void (*pack)(OpContext& context, const WeightPackArgs& args);
};

}  // namespace lanes

#endif  // LANES_OPS_WEIGHT_H_
