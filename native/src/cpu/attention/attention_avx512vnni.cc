// The part of the AVX-512 implementation that needs dot products of small integers.
#define LANES_ISA avx512vnni
#include "cpu/simd/simd_avx512-inl.h"
#include "cpu/attention/attention-inl.h"

namespace lanes {
namespace avx512vnni {

void AttentionRunS8(OpContext& context, const lanes_attention_params& params);
void AttentionRunS8(OpContext& context, const lanes_attention_params& params) { RunFormat<S8Format>(context, params); }

}  // namespace avx512vnni
}  // namespace lanes
