// Prefill of bfloat16 pages with wgmma and TMA: attention_sm90.cu. The arithmetic is that of attention.h.
#ifndef LANES_CUDA_ATTENTION_SM90_H_
#define LANES_CUDA_ATTENTION_SM90_H_

#include "cuda/attention/attention.h"
#include "cuda/common/device.h"

namespace lanes::cuda {

// Rows of its blocks for such a pool; 0: there is no kernel for it, or not on this device.
int32_t Sm90Rows(const DeviceLimits& limits, const KvLayout& pool);

// Appends the kernel for the first `count` of args.blocks and each kv head; `blocks` is where they were staged from. Asked only where
// Sm90Rows > 0. False: not for these arguments, and nothing was appended.
bool LaunchSm90(Device& device, const AttentionArgs& args, const RowBlock* blocks, int32_t count);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_SM90_H_
