#define LANES_ISA neon
#include "cpu/simd/simd_neon-inl.h"
#include "cpu/attention/attention-inl.h"
#include "core/cpu_features.h"

namespace lanes {
namespace neonbf16 {
void AttentionRunDot(OpContext& context, const lanes_attention_params& params);
}
namespace neon {

static void AttentionRunBest(OpContext& context, const lanes_attention_params& params) {
  if (params.compute == LANES_COMPUTE_BF16 && CpuFeatures().neon_bf16) {
    neonbf16::AttentionRunDot(context, params);
  } else {
    AttentionRun(context, params);
  }
}

extern const AttentionKernel attention_kernel;
const AttentionKernel attention_kernel = {AttentionRunBest};

}  // namespace neon
}  // namespace lanes
