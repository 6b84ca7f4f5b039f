// Attention's kernels as the launcher sees them. Host code.
#ifndef LANES_CUDA_ATTENTION_KERNELS_H_
#define LANES_CUDA_ATTENTION_KERNELS_H_

#include "cuda/attention/attention.h"
#include "cuda/attention/heuristics.h"
#include "cuda/common/device.h"

namespace lanes::cuda {

// attention_launch.cu: all of it. `pool` is that of the params, which are not asked for theirs.
void RunAttention(Device& device, const KvLayout& pool, const lanes_attention_params& params);

// A list of row blocks for one kernel.
struct AttentionLaunch {
  AttentionArgs args;
  int32_t rows;  // of a block, at most
  int32_t shared_bytes;

  dim3 Grid() const { return dim3(static_cast<uint32_t>(args.block_count * args.pool.kv_heads)); }
};

void LaunchPrefill(Device& device, const AttentionLaunch& launch);  // attention_prefill.cu
void LaunchWide(Device& device, const AttentionLaunch& launch);     // attention_wide.cu: prompts of wide heads
void LaunchDecode(Device& device, const AttentionLaunch& launch);   // attention_decode.cu
void LaunchExact(Device& device, const AttentionLaunch& launch);    // attention_exact.cu

// attention_merge.cu: merges partial results and writes `out`.
struct MergeArgs {
  AttentionArgs attention;
  const MergeBlock* merges;  // thread block `merge_count * kv head + i` takes merges[i]
  int64_t merge_count;
  bool exact;  // which 2^x
};
void LaunchMerge(Device& device, const MergeArgs& args);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_KERNELS_H_
