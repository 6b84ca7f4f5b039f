// The part of the NEON implementation that needs bfloat16 instructions.
#define LANES_ISA neonbf16
#include "cpu/simd/simd_neon-inl.h"
#include "cpu/simd/math-inl.h"
#include "cpu/linear/linear-inl.h"

namespace lanes {
namespace neonbf16 {

void LinearRunDot(OpContext& context, const LinearArgs& args);
void LinearRunDot(OpContext& context, const LinearArgs& args) { RunWeights<Bf16DotWeights>(context, args); }

}  // namespace neonbf16
}  // namespace lanes
