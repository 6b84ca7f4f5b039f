// The part of the NEON implementation that needs bfloat16 instructions.
#define LANES_ISA neonbf16
#include "cpu/simd/simd_neon-inl.h"
#include "cpu/attention/attention-inl.h"

namespace lanes {
namespace neonbf16 {

void AttentionRunDot(OpContext& context, const lanes_attention_params& params);
void AttentionRunDot(OpContext& context, const lanes_attention_params& params) { RunFormat<Bf16DotFormat>(context, params); }

}  // namespace neonbf16
}  // namespace lanes
