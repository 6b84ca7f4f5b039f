#include "ops/attention.h"

#include "cuda/attention/kernels.h"

namespace lanes::cuda {
namespace {

void Run(OpContext& context, const lanes_attention_params& params) { RunAttention(DeviceOf(context), LayoutOf(params.pool), params); }

}  // namespace

extern const AttentionKernel attention_kernel;
const AttentionKernel attention_kernel = {Run};

}  // namespace lanes::cuda
