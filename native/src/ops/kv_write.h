// Keys and values of new tokens into their pages (layout: ops/kv_pool.h). Contract: lanes_kv_write_params; arguments have
// been checked.
#ifndef LANES_OPS_KV_WRITE_H_
#define LANES_OPS_KV_WRITE_H_

#include "core/parallel.h"
#include "lanes/lanes.h"
#include "ops/kv_pool.h"

namespace lanes {

struct KvWriteKernel {
  void (*run)(OpContext& context, const lanes_kv_write_params& params);
};

}  // namespace lanes

#endif  // LANES_OPS_KV_WRITE_H_
