// What a lanes_weight handle points to.
#ifndef LANES_OPS_WEIGHT_STORAGE_H_
#define LANES_OPS_WEIGHT_STORAGE_H_

#include <memory>

#include "core/accelerator.h"
#include "ops/weight.h"

namespace lanes {

// Bytes of a weight on a device, or in host memory; throws Error when the shape is impossible.
int64_t WeightBytes(int64_t rows, int64_t cols, int32_t dtype, bool on_device);

}  // namespace lanes

struct lanes_weight {
  // `device` null: host memory.
  lanes_weight(int64_t rows, int64_t cols, int32_t dtype, std::shared_ptr<lanes::Accelerator> device);

  lanes::DeviceBlock block;
  lanes::WeightView view;
};

#endif  // LANES_OPS_WEIGHT_STORAGE_H_
