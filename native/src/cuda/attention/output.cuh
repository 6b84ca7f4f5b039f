// Where a row's result goes: a slot of partial results, or `out`, in which the total of the splits so far waits for the next one.
#ifndef LANES_CUDA_ATTENTION_OUTPUT_CUH_
#define LANES_CUDA_ATTENTION_OUTPUT_CUH_

#include "cuda/attention/attention.h"
#include "cuda/attention/fragments.cuh"

namespace lanes::cuda {

__device__ __forceinline__ float* SlotOf(const AttentionArgs& args, int64_t slot, int32_t kv_head) {
  return args.partials + (slot * args.pool.kv_heads + kv_head) * args.slot_floats;
}

// Of row `r` of a block: where it begins in `out` and `out_bf16`.
__device__ __forceinline__ int64_t OutOf(const AttentionArgs& args, const RowBlock& block, int32_t kv_head, int32_t r) {
  const int64_t row = block.row_begin + r, head = kv_head * static_cast<int64_t>(args.group) + row % args.group;
  return (block.first_token + row / args.group) * args.out_stride + head * args.pool.head_dim;
}

// A row's (M, L) from one split to the next. While L is 0, T is 0, and has no place in `out` yet.
struct RunningTotal {
  float maximum = MinusInfinity();
  float sum = 0.f;

  // With a closed split.
  template <float (*kExp2)(float)>
  __device__ __forceinline__ RowTotal With(float split_maximum, float split_sum) const {
    RowTotal total;
    total.maximum = maximum;
    total.sum = sum;
    total.Add<kExp2>(split_maximum, split_sum);
    return total;
  }
};

// A row at the end of a split; its elements may be in any threads, but always in the same.
class RowOutput {
 public:
  __device__ RowOutput(const AttentionArgs& args, const RowBlock& block, int32_t kv_head, int32_t r)
      : args_(args), partial_(block.partial >= 0) {
    if (partial_) {
      const int64_t slot = SlotOf(args, block.partial, kv_head) - args.partials;
      at_ = slot + static_cast<int64_t>(r) * args.pool.row;
      state_ = slot + static_cast<int64_t>(args.slot_rows) * args.pool.row + r;
    } else {
      at_ = OutOf(args, block, kv_head, r);
    }
  }

  // What Write does with a split's elements. `total` holds the splits before this one; the last of them, this one included, is `last`.
  // `writer` in one of the row's threads.
  template <float (*kExp2)(float) = Exp2>
  __device__ void Close(float maximum, float sum, bool last, bool writer, RunningTotal* total) {
    if (partial_) {
      if (writer) {
        args_.partials[state_] = maximum;
        args_.partials[state_ + args_.slot_rows] = sum;
      }
      return;
    }
    first_ = total->sum == 0.f;
    total_ = total->template With<kExp2>(maximum, sum);
    *total = {total_.maximum, total_.sum};
    last_ = last;
    reciprocal_ = 1.0f / total_.sum;
  }

  __device__ void Write(int32_t d, float output) const {
    if (d >= args_.pool.head_dim) return;
    if (partial_) {
      args_.partials[at_ + d] = output;
      return;
    }
    output = total_.Merge(first_ ? 0.0f : args_.out[at_ + d], output);
    if (last_) output = FinishOutput(output, reciprocal_);
    if (last_ && args_.out_bf16 != nullptr) {
      args_.out_bf16[at_ + d] = ToBf16(output);
    } else {
      args_.out[at_ + d] = output;
    }
  }

 private:
  const AttentionArgs& args_;
  const bool partial_;
  bool first_ = true, last_ = false;
  float reciprocal_ = 0;
  int64_t at_, state_ = 0;  // elements of `partials`, or of what is written
  RowTotal total_;
};

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_OUTPUT_CUH_
