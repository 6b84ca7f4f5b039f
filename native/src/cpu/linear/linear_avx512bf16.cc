// The part of the AVX-512 implementation that needs bfloat16 instructions.
#define LANES_ISA avx512bf16
#include "cpu/simd/simd_avx512-inl.h"
#include "cpu/simd/math-inl.h"
#include "cpu/linear/linear-inl.h"

namespace lanes {
namespace avx512bf16 {

void LinearRunDot(OpContext& context, const LinearArgs& args);
void LinearRunDot(OpContext& context, const LinearArgs& args) { RunWeights<Bf16DotWeights>(context, args); }

}  // namespace avx512bf16
}  // namespace lanes
