#include "ops/registry.h"

#include "core/cpu_features.h"

// Declarations of every implementation that this build has.
namespace lanes {

#define LANES_DECLARE(op, Kernel) extern const Kernel op##_kernel;
namespace reference {
LANES_FOR_EACH_OP(LANES_DECLARE)
}
namespace portable {
LANES_FOR_EACH_PORTABLE_OP(LANES_DECLARE)
}
#if defined(LANES_HAVE_AVX2)
namespace avx2 {
LANES_FOR_EACH_OP(LANES_DECLARE)
}
#endif
#if defined(LANES_HAVE_AVX512)
namespace avx512 {
LANES_FOR_EACH_OP(LANES_DECLARE)
}
#endif
#if defined(LANES_HAVE_NEON)
namespace neon {
LANES_FOR_EACH_OP(LANES_DECLARE)
}
#endif
#undef LANES_DECLARE

namespace {

struct Implementation {
  int32_t isa;
  KernelSet kernels;
};

#define LANES_PORTABLE_ADDRESS(op, Kernel) &portable::op##_kernel,
#define LANES_PORTABLE_KERNELS LANES_FOR_EACH_PORTABLE_OP(LANES_PORTABLE_ADDRESS)

// Best first, reference last.
const Implementation kImplementations[] = {
#if defined(LANES_HAVE_AVX512)
    {LANES_ISA_AVX512,
     {
#define LANES_ADDRESS(op, Kernel) &avx512::op##_kernel,
         LANES_FOR_EACH_OP(LANES_ADDRESS)
#undef LANES_ADDRESS
             LANES_PORTABLE_KERNELS
     }},
#endif
#if defined(LANES_HAVE_AVX2)
    {LANES_ISA_AVX2,
     {
#define LANES_ADDRESS(op, Kernel) &avx2::op##_kernel,
         LANES_FOR_EACH_OP(LANES_ADDRESS)
#undef LANES_ADDRESS
             LANES_PORTABLE_KERNELS
     }},
#endif
#if defined(LANES_HAVE_NEON)
    {LANES_ISA_NEON,
     {
#define LANES_ADDRESS(op, Kernel) &neon::op##_kernel,
         LANES_FOR_EACH_OP(LANES_ADDRESS)
#undef LANES_ADDRESS
             LANES_PORTABLE_KERNELS
     }},
#endif
    {LANES_ISA_REFERENCE,
     {
#define LANES_ADDRESS(op, Kernel) &reference::op##_kernel,
         LANES_FOR_EACH_OP(LANES_ADDRESS)
#undef LANES_ADDRESS
             LANES_PORTABLE_KERNELS
     }},
};

#undef LANES_PORTABLE_KERNELS
#undef LANES_PORTABLE_ADDRESS

const char* const kOpNames[] = {
#define LANES_NAME(op, Kernel) #op,
    LANES_FOR_EACH_OP(LANES_NAME)
    LANES_FOR_EACH_PORTABLE_OP(LANES_NAME)
#undef LANES_NAME
};

// Those with a kernel for each ISA come first.
#define LANES_COUNT(op, Kernel) +1
constexpr int32_t kIsaOps = 0 LANES_FOR_EACH_OP(LANES_COUNT);
#undef LANES_COUNT

const Implementation& Find(int32_t isa) {
  for (const Implementation& implementation : kImplementations) {
    if (implementation.isa == isa) return implementation;
  }
  return kImplementations[sizeof kImplementations / sizeof kImplementations[0] - 1];
}

}  // namespace

KernelSet KernelsFor(int32_t isa) { return Find(isa).kernels; }

const char* OpName(int32_t index) { return index < 0 || index >= kOpCount ? nullptr : kOpNames[index]; }

const char* OpImplementation(int32_t index, int32_t isa) {
  return index < kIsaOps ? IsaName(Find(isa).isa) : "portable";
}

}  // namespace lanes
