#define LANES_ISA neon
#include "cpu/simd/simd_neon-inl.h"
#include "cpu/simd/math-inl.h"
#include "cpu/linear/linear-inl.h"
#include "core/cpu_features.h"

namespace lanes {
namespace neonbf16 {
void LinearRunDot(OpContext& context, const LinearArgs& args);
}
namespace neondot {
void LinearS8Run(OpContext& context, const LinearArgs& args);
}
namespace neoni8mm {
void LinearS8Run(OpContext& context, const LinearArgs& args);
}
namespace neon {

void LinearS8Run(OpContext& context, const LinearArgs& args);

extern const LinearKernel linear_kernel;
const LinearKernel linear_kernel = {[] { return CpuFeatures().neon_bf16 != 0; },
                                    [](OpContext& context, const LinearArgs& args) {
                                      if (args.bf16_dot) {
                                        neonbf16::LinearRunDot(context, args);
                                      } else {
                                        LinearRun(context, args);
                                      }
                                    },
                                    [](OpContext& context, const LinearArgs& args) {
                                      if (CpuFeatures().neon_i8mm != 0 && CpuFeatures().neon_dotprod != 0) {
                                        neoni8mm::LinearS8Run(context, args);
                                      } else if (CpuFeatures().neon_dotprod != 0) {
                                        neondot::LinearS8Run(context, args);
                                      } else {
                                        LinearS8Run(context, args);
                                      }
                                    }};

}  // namespace neon
}  // namespace lanes
