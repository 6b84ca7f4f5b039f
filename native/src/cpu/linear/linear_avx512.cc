#define LANES_ISA avx512
#include "cpu/simd/simd_avx512-inl.h"
#include "cpu/simd/math-inl.h"
#include "cpu/linear/linear-inl.h"
#include "core/cpu_features.h"

namespace lanes {
namespace avx512bf16 {
void LinearRunDot(OpContext& context, const LinearArgs& args);
}
namespace avx512 {

extern const LinearKernel linear_kernel;
const LinearKernel linear_kernel = {[] { return CpuFeatures().avx512_bf16 != 0; },
                                    [](OpContext& context, const LinearArgs& args) {
                                      if (args.bf16_dot) {
                                        avx512bf16::LinearRunDot(context, args);
                                      } else {
                                        LinearRun(context, args);
                                      }
                                    }};

}  // namespace avx512
}  // namespace lanes
