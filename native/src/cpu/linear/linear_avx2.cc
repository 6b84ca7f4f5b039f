#define LANES_ISA avx2
#include "cpu/simd/simd_avx2-inl.h"
#include "cpu/simd/math-inl.h"
#include "cpu/linear/linear-inl.h"

namespace lanes {
namespace avx2 {

extern const LinearKernel linear_kernel;
const LinearKernel linear_kernel = {[] { return false; }, LinearRun};

}  // namespace avx2
}  // namespace lanes
