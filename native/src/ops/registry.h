// Which implementations each op has, best first, reference last.
//
// An op is a table of functions, `struct <Op>Kernel` in ops/<op>.h. Each implementation defines one constant of that type,
// `<op>_kernel`, in its ISA's namespace (lanes::reference, lanes::avx2, lanes::avx512,
// lanes::neon), in native/src/cpu/<op>/<op>_<isa>.cc; for GPUs in lanes::cuda, in native/src/cuda/<op>/<op>.cu.
// To add an op: those files, and one line in LANES_FOR_EACH_OP.
#ifndef LANES_OPS_REGISTRY_H_
#define LANES_OPS_REGISTRY_H_

#include <stdint.h>

#include "ops/attention.h"
#include "ops/combine.h"
#include "ops/embed.h"
#include "ops/gate.h"
#include "ops/gather.h"
#include "ops/kv_write.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/rope.h"
#include "ops/route.h"
#include "ops/sample.h"
#include "ops/weight.h"

#define LANES_FOR_EACH_OP(X)    \
  X(weight, WeightKernel)       \
  X(embed, EmbedKernel)         \
  X(linear, LinearKernel)       \
  X(norm, NormKernel)           \
  X(rope, RopeKernel)           \
  X(kv_write, KvWriteKernel)    \
  X(attention, AttentionKernel) \
  X(gate, GateKernel)           \
  X(combine, CombineKernel)     \
  X(sample, SampleKernel)

// Ops of a few instructions for each element of their small inputs: one implementation serves every CPU, in lanes::portable.
#define LANES_FOR_EACH_PORTABLE_OP(X) \
  X(rope_table, RopeTableKernel)      \
  X(route, RouteKernel)               \
  X(gather, GatherKernel)             \
  X(top_log_probabilities, TopLogProbabilitiesKernel)

namespace lanes {

// Numbers of the ops, as lanes_op_implementation counts them; the names are those of the header's functions.
enum class OpId : int32_t {
#define LANES_OP_ID(op, Kernel) op,
  LANES_FOR_EACH_OP(LANES_OP_ID)
  LANES_FOR_EACH_PORTABLE_OP(LANES_OP_ID)
#undef LANES_OP_ID
  kCount
};
inline constexpr int32_t kOpCount = static_cast<int32_t>(OpId::kCount);

// One implementation of each op.
struct KernelSet {
#define LANES_KERNEL_FIELD(op, Kernel) const Kernel* op;
  LANES_FOR_EACH_OP(LANES_KERNEL_FIELD)
  LANES_FOR_EACH_PORTABLE_OP(LANES_KERNEL_FIELD)
#undef LANES_KERNEL_FIELD
};

// For each op the best implementation that `isa` and this CPU allow. `isa` is available (IsaAvailable), and not AUTO.
KernelSet KernelsFor(int32_t isa);

// Name of op number `index`, nullptr past the last.
const char* OpName(int32_t index);

// Name of the implementation that KernelsFor(isa) holds for op number `index`, which must exist.
const char* OpImplementation(int32_t index, int32_t isa);

}  // namespace lanes

#endif  // LANES_OPS_REGISTRY_H_
