// What a lanes_weight handle points to.
#ifndef LANES_OPS_WEIGHT_STORAGE_H_
#define LANES_OPS_WEIGHT_STORAGE_H_

#include "core/memory.h"
#include "ops/weight.h"

namespace lanes {

// Bytes of a packed weight; throws Error when the shape is impossible.
int64_t WeightBytes(int64_t rows, int64_t cols, int32_t dtype);

}  // namespace lanes

struct lanes_weight {
  lanes_weight(int64_t rows, int64_t cols, int32_t dtype);

  lanes::Block block;
  lanes::WeightView view;
};

#endif  // LANES_OPS_WEIGHT_STORAGE_H_
