#define LANES_ISA avx2
#include "cpu/simd/simd_avx2-inl.h"
#include "cpu/attention/attention-inl.h"

namespace lanes {
namespace avx2 {

extern const AttentionKernel attention_kernel;
const AttentionKernel attention_kernel = {AttentionRun};

}  // namespace avx2
}  // namespace lanes
