#define LANES_ISA avx512
#include "cpu/simd/simd_avx512-inl.h"
#include "cpu/simd/math-inl.h"
#include "cpu/linear/linear-inl.h"
#include "core/cpu_features.h"

namespace lanes {
namespace avx512bf16 {
void LinearRunDot(OpContext& context, const LinearArgs& args);
}
namespace avx512vnni {
void LinearS8Run(OpContext& context, const LinearArgs& args);
}
namespace avx512 {

void LinearS8Run(OpContext& context, const LinearArgs& args);

extern const LinearKernel linear_kernel;
const LinearKernel linear_kernel = {[] { return CpuFeatures().avx512_bf16 != 0; },
                                    [](OpContext& context, const LinearArgs& args) {
                                      if (args.bf16_dot) {
                                        avx512bf16::LinearRunDot(context, args);
                                      } else {
                                        LinearRun(context, args);
                                      }
                                    },
                                    [](OpContext& context, const LinearArgs& args) {
                                      if (CpuFeatures().avx512_vnni != 0) {
                                        avx512vnni::LinearS8Run(context, args);
                                      } else {
                                        LinearS8Run(context, args);
                                      }
                                    }};

}  // namespace avx512
}  // namespace lanes
