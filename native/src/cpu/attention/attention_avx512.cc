#define LANES_ISA avx512
#include "cpu/simd/simd_avx512-inl.h"
#include "cpu/attention/attention-inl.h"
#include "core/cpu_features.h"

namespace lanes {
namespace avx512bf16 {
void AttentionRunDot(OpContext& context, const lanes_attention_params& params);
}
namespace avx512vnni {
void AttentionRunS8(OpContext& context, const lanes_attention_params& params);
}
namespace avx512 {

static void AttentionRunBest(OpContext& context, const lanes_attention_params& params) {
  if (params.compute == LANES_COMPUTE_BF16 && CpuFeatures().avx512_bf16) {
    avx512bf16::AttentionRunDot(context, params);
  } else if (params.compute == LANES_COMPUTE_INT8 && CpuFeatures().avx512_vnni) {
    avx512vnni::AttentionRunS8(context, params);
  } else {
    AttentionRun(context, params);
  }
}

extern const AttentionKernel attention_kernel;
const AttentionKernel attention_kernel = {AttentionRunBest};

}  // namespace avx512
}  // namespace lanes
