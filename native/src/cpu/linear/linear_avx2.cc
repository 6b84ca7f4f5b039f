#define LANES_ISA avx2
#include "cpu/simd/simd_avx2-inl.h"
#include "cpu/simd/math-inl.h"
#include "cpu/linear/linear-inl.h"

namespace lanes {
namespace avx2 {

void LinearS8Run(OpContext& context, const LinearArgs& args);

extern const LinearKernel linear_kernel;
const LinearKernel linear_kernel = {[] { return false; }, LinearRun, LinearS8Run};

}  // namespace avx2
}  // namespace lanes
