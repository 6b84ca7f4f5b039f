// Page writes, as tests call them too.
#ifndef LANES_CUDA_KV_WRITE_KV_WRITE_H_
#define LANES_CUDA_KV_WRITE_KV_WRITE_H_

#include "cuda/common/device.h"
#include "cuda/common/kv_layout.h"

namespace lanes::cuda {

// Into `pool`, whatever the pool of `params`.
void WriteKv(Device& device, const KvLayout& pool, const lanes_kv_write_params& params);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_KV_WRITE_KV_WRITE_H_
