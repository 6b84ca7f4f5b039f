// Pages of a KV pool on a device: what host and device code share.
//
// Pool block (layer, page, kv head): keys [LANES_PAGE_TOKENS][row], then values [LANES_PAGE_TOKENS][row], both row-major, where row is
// the head dimension rounded up to 16 elements; the padding is zero. S8 blocks end with the keys' scales [LANES_PAGE_TOKENS] and the
// values' scales, float32; their elements are plain int8.
#ifndef LANES_CUDA_COMMON_KV_LAYOUT_H_
#define LANES_CUDA_COMMON_KV_LAYOUT_H_

#include <cuda_runtime.h>
#include <stdint.h>

#include "lanes/lanes.h"

namespace lanes::cuda {

struct KvLayout {
  unsigned char* data;
  int64_t block_bytes;
  int32_t pages;
  int32_t kv_heads;
  int32_t head_dim;
  int32_t row;            // elements
  int32_t element_bytes;  // 4, 2 or 1
  int32_t dtype;          // lanes_dtype

  // Offsets are in bytes from `data`, or from the beginning of a block.
  __host__ __device__ int64_t Block(int32_t layer, int64_t page, int32_t kv_head) const {
    return ((static_cast<int64_t>(layer) * pages + page) * kv_heads + kv_head) * block_bytes;
  }
  __host__ __device__ int64_t Keys() const { return 0; }
  __host__ __device__ int64_t Values() const { return static_cast<int64_t>(LANES_PAGE_TOKENS) * row * element_bytes; }
  __host__ __device__ int64_t KeyScales() const { return 2 * Values(); }
  __host__ __device__ int64_t ValueScales() const { return KeyScales() + LANES_PAGE_TOKENS * 4; }
};

// Of a pool on a device.
KvLayout LayoutOf(const lanes_kv_pool* pool);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_KV_LAYOUT_H_
