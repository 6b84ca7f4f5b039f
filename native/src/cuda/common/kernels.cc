// The kernels of this backend, and the pages they work on.
#include "core/numeric.h"
#include "cuda/common/kv_layout.h"
#include "cuda/cuda.h"

namespace lanes::cuda {

#define LANES_DECLARE(op, Kernel) extern const Kernel op##_kernel;
LANES_FOR_EACH_OP(LANES_DECLARE)
LANES_FOR_EACH_PORTABLE_OP(LANES_DECLARE)
#undef LANES_DECLARE

KernelSet Kernels() {
#define LANES_ADDRESS(op, Kernel) &op##_kernel,
  return {LANES_FOR_EACH_OP(LANES_ADDRESS) LANES_FOR_EACH_PORTABLE_OP(LANES_ADDRESS)};
#undef LANES_ADDRESS
}

KvLayout LayoutOf(const lanes_kv_pool* pool) {
  return {pool->data,     pool->block_bytes, pool->pages, pool->kv_heads, pool->head_dim, pool->value_cols,
          static_cast<int32_t>(DtypeBytes(pool->dtype)), pool->dtype};
}

}  // namespace lanes::cuda
