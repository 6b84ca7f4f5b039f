// Until every op has a table for GPUs: empty ones, which give way to those that exist.
#include "ops/registry.h"

namespace lanes::cuda {

#define LANES_ABSENT(op, Kernel)                         \
  extern __attribute__((weak)) const Kernel op##_kernel; \
  const Kernel op##_kernel = {};
LANES_FOR_EACH_OP(LANES_ABSENT)
LANES_FOR_EACH_PORTABLE_OP(LANES_ABSENT)
#undef LANES_ABSENT

}  // namespace lanes::cuda
