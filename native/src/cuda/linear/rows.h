// Rows of x: as the caller has them, and as the products take them, in scratch memory of the op, padded with zeros to `row_bytes` and
// 16-byte aligned.
#ifndef LANES_CUDA_LINEAR_ROWS_H_
#define LANES_CUDA_LINEAR_ROWS_H_

#include "cuda/common/device.h"
#include "ops/linear.h"

namespace lanes::cuda {

// Rows of x as the caller has them.
struct InputRows {
  const void* data;
  bool bf16;       // else float32
  int64_t stride;  // elements
  int64_t cols;
  bool vectors;  // four elements (eight of bfloat16) lie at 16-byte aligned addresses
};
InputRows InputOf(const LinearArgs& args);

// Rounded to bf16, half to even; those that are bf16 already as they are.
const unsigned char* RoundRows(Device& device, const LinearArgs& args, int64_t row_bytes);

// Scaled and rounded to f16 (row_power.cuh); `*scale` is what takes sums back.
const unsigned char* RoundF16Rows(Device& device, const LinearArgs& args, int64_t row_bytes, const float** scale);

// Quantized; `*scale` is their scales.
const unsigned char* QuantizeRows(Device& device, const LinearArgs& args, int64_t row_bytes, const float** scale);

// As they are: of x, widened where it is bf16, or of xq.
const float* CopyRows(Device& device, const LinearArgs& args, int64_t row_bytes);
const unsigned char* CopyS8Rows(Device& device, const LinearArgs& args, int64_t row_bytes);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_LINEAR_ROWS_H_
