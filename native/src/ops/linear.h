// y = residual + activation(x * weight^T + bias). Arguments have been checked (abi/linear.cc).
//
// Every implementation sums y[i, j] over runs of 256 k, each one chain of fused multiply-adds that starts at zero, adds the runs in
// order, then adds the bias, applies the activation and adds the residual, each with one rounding; the last may be one more, to
// bfloat16. With bfloat16 dot products a chain takes two k at a time. So m, the blocking and the threads change no bit. Error bound: docs/numerics.md.
//
// With an s8 weight the sum over k is exact, in integers; it is rounded to float32 once and multiplied by the rounded product of
// the two scales. All that is float32 happens in that order everywhere, so every ISA gives the same bits before an activation.
#ifndef LANES_OPS_LINEAR_H_
#define LANES_OPS_LINEAR_H_

#include <stdint.h>

#include "core/parallel.h"
#include "ops/weight.h"

namespace lanes {

struct LinearArgs {
  WeightView weight;  // [n, k]
  int64_t m;
  const float* x;          // [m, k], or null
  const uint16_t* x_bf16;  // else, of bfloat16; not with s8 weights
  int64_t x_stride;        // of the one that is given
  const float* bias;      // [n] or null
  const float* residual;  // [m, n] or null; may be y
  int64_t residual_stride;
  float* y;          // [m, n], or null
  uint16_t* y_bf16;  // else the same, rounded to bfloat16
  int64_t y_stride;  // of the one that is given
  int32_t activation;
  bool bf16_dot;  // the weight is bf16, the CPU has the instruction, and the caller wants it
  bool f16_dot;   // the weight is f16, and the caller wants it; without such instructions the sum is exact
  // Of s8 weights, where x is null: quantized rows.
  const int8_t* xq;  // [m, k]
  int64_t xq_stride;
  const float* x_scale;  // [m]
  // Else how x is quantized: with this static scale, or by its rows when it is 0.
  float input_scale;
};

struct LinearKernel {
  // Whether this CPU has bfloat16 dot products, for this implementation to use.
  bool (*bf16_dot)();
  void (*run)(OpContext& context, const LinearArgs& args);
  // With an s8 weight.
  void (*run_s8)(OpContext& context, const LinearArgs& args);
};

}  // namespace lanes

#endif  // LANES_OPS_LINEAR_H_
