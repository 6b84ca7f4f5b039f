// Where a row's result goes: a slot of partial results, or `out`, in which the total of the splits so far waits for the next one.
#ifndef LANES_CUDA_ATTENTION_OUTPUT_CUH_
#define LANES_CUDA_ATTENTION_OUTPUT_CUH_

#include "cuda/attention/attention.h"
#include "cuda/attention/fragments.cuh"

namespace lanes::cuda {

__device__ __forceinline__ float* SlotOf(const AttentionArgs& args, int64_t slot, int32_t kv_head) {
  return args.partials + (slot * args.pool.kv_heads + kv_head) * args.slot_floats;
}

// Of row `r` of a block: where it begins in a matrix [tokens, heads * head_dim] with this stride.
__device__ __forceinline__ int64_t OutOf(const AttentionArgs& args, const RowBlock& block, int32_t kv_head, int32_t r, int64_t stride) {
  const int64_t row = block.row_begin + r, head = kv_head * static_cast<int64_t>(args.group) + row % args.group;
  return (block.first_token + row / args.group) * stride + head * args.pool.head_dim;
}

// A row's (M, L) from one split to the next. While L is 0, T is 0, and has no place in `out` yet.
struct RunningTotal {
  float maximum = MinusInfinity();
  float sum = 0.f;
};

// A row at the end of a split; its elements may be in any threads, but always in the same.
class RowOutput {
 public:
  __device__ RowOutput(const AttentionArgs& args, const RowBlock& block, int32_t kv_head, int32_t r)
      : dims_(args.pool.head_dim), partial_(block.partial >= 0) {
    if (partial_) {
      float* const slot = SlotOf(args, block.partial, kv_head);
      to_ = slot + static_cast<int64_t>(r) * args.pool.row;
      state_ = slot + static_cast<int64_t>(args.slot_rows) * args.pool.row + r;
      slot_rows_ = args.slot_rows;
    } else {
      if (args.out != nullptr) to_ = args.out + OutOf(args, block, kv_head, r, args.out_stride);
      if (args.out_bf16 != nullptr) to_bf16_ = args.out_bf16 + OutOf(args, block, kv_head, r, args.out_bf16_stride);
    }
  }

  // What Write does with a split's elements. `total` holds the splits before this one; the last of them, this one included, is `last`.
  // `writer` in one of the row's threads.
  template <float (*kExp2)(float) = Exp2>
  __device__ void Close(float maximum, float sum, bool last, bool writer, RunningTotal* total) {
    if (partial_) {
      if (writer) {
        state_[0] = maximum;
        state_[slot_rows_] = sum;
      }
      return;
    }
    first_ = total->sum == 0.f;
    total_.maximum = total->maximum;
    total_.sum = total->sum;
    total_.Add<kExp2>(maximum, sum);
    *total = {total_.maximum, total_.sum};
    last_ = last;
    reciprocal_ = 1.0f / total_.sum;
  }

  __device__ void Write(int32_t d, float output) const {
    if (d >= dims_) return;
    if (!partial_) {
      output = total_.Merge(first_ ? 0.0f : to_[d], output);
      if (last_) output = FinishOutput(output, reciprocal_);
      if (last_ && to_bf16_ != nullptr) {
        to_bf16_[d] = ToBf16(output);
        return;
      }
    }
    to_[d] = output;
  }

 private:
  const int32_t dims_;
  const bool partial_;
  bool first_ = true, last_ = false;
  float reciprocal_ = 0;
  float* to_ = nullptr;
  uint16_t* to_bf16_ = nullptr;
  float* state_ = nullptr;
  int32_t slot_rows_ = 0;
  RowTotal total_;
};

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_OUTPUT_CUH_
