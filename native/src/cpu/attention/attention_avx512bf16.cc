// The part of the AVX-512 implementation that needs bfloat16 instructions.
#define LANES_ISA avx512bf16
#include "cpu/simd/simd_avx512-inl.h"
#include "cpu/attention/attention-inl.h"

namespace lanes {
namespace avx512bf16 {

void AttentionRunDot(OpContext& context, const lanes_attention_params& params);
void AttentionRunDot(OpContext& context, const lanes_attention_params& params) { RunFormat<Bf16DotFormat>(context, params); }

}  // namespace avx512bf16
}  // namespace lanes
