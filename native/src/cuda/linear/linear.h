// What the kernels of linear on a GPU share. Host structs only; device code is in the .cuh files.
//
// In all of them the weight's rows (features) are the rows of the product, and the rows of x (tokens) its columns: y^T = weight x^T.
// Tensor cores then take 16 features by 8 tokens at a time, so that a single token wastes least.
//
// Each y[i, j] of a bf16 weight with BF16, or an f16 weight with F16, is one chain of tensor-core products, k ascending in steps of 16,
// over the row's padded length, whichever kernel computes it; a row is scaled for f16 by itself (row_power.cuh). Sums of int8 are
// exact. EXACT follows ops/linear.h. So m changes no bit.
#ifndef LANES_CUDA_LINEAR_LINEAR_H_
#define LANES_CUDA_LINEAR_LINEAR_H_

#include <stdint.h>

#include "cuda/common/device.h"
#include "cuda/linear/heuristics.h"
#include "cuda/linear/rows.h"
#include "ops/linear.h"

namespace lanes::cuda {

// From sums to y. All pointers are device memory.
struct EpilogueArgs {
  float* y;          // [m, n], or null
  uint16_t* y_bf16;  // then the same of bfloat16
  int64_t y_stride;
  const float* residual;  // [m, n] or null; may be y
  int64_t residual_stride;
  const float* bias;     // [n] or null
  const float* x_scale;  // [m], of int8 rows and of f16, else null
  const float* w_scale;  // [n], of int8
  int64_t m, n;
  int32_t activation;
  bool vectors;  // four features of y, residual and bias lie at addresses that are aligned to their size
};

// Rows for tensor cores. A row of the weight has `row_bytes`, a multiple of 128, zeros behind its last column; a row of x has
// `x_bytes`, a multiple of 16, and what is missing to `row_bytes` counts as zeros. Rows of both begin at 16-byte aligned addresses.
struct GemmProblem {
  Products products;
  const unsigned char* weight;  // [n] rows
  int64_t row_bytes;
  const unsigned char* x;  // [m] rows
  int64_t x_bytes;
  int64_t x_stride;  // bytes
  EpilogueArgs epilogue;
};

// linear_sm90.cu: by wgmma, where that is faster and gives the same bits. False: not taken, and nothing was launched. Int8 rows are
// at most kMostS8Sums long.
bool LaunchSm90(Device& device, const GemmProblem& problem);

// gemm.cu: any problem.
void LaunchGemm(Device& device, const GemmProblem& problem);

// gemv.cu: few tokens, whose rows of x stay in shared memory. With `input`, not for int8, the kernel rounds x itself and `problem.x` is
// null. False: not taken.
bool LaunchGemv(Device& device, const GemmProblem& problem, const InputRows* input);

// exact.cu: float32 sums as the CPU takes them, of f32, bf16 and f16 weights.
void LaunchExact(Device& device, const LinearArgs& args, const EpilogueArgs& epilogue);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_LINEAR_LINEAR_H_
