// What a lanes_kv_pool handle points to: the plain struct that kernels see, and the memory behind it.
#ifndef LANES_OPS_KV_POOL_STORAGE_H_
#define LANES_OPS_KV_POOL_STORAGE_H_

#include <memory>

#include "core/accelerator.h"
#include "ops/kv_pool.h"

namespace lanes {

class KvPool : public lanes_kv_pool {
 public:
  // Checks `params`, of which it takes no runtime; throws Error. The memory is zeroed and counted as LANES_MEMORY_KV.
  KvPool(const lanes_kv_pool_params& params, std::shared_ptr<Accelerator> device);
  KvPool(const KvPool&) = delete;
  KvPool& operator=(const KvPool&) = delete;

  void PoisonPage(int32_t page);

 private:
  DeviceBlock block_;
};

// Of a pool on a device, or in host memory. Throws Error when the shape is impossible.
int64_t KvPoolBytes(const lanes_kv_pool_params& params, bool on_device);

}  // namespace lanes

#endif  // LANES_OPS_KV_POOL_STORAGE_H_
