// Pool of KV pages: memory layout, creation and poisoning.
//
// Block (page, layer, kv head): the keys of LANES_PAGE_TOKENS tokens, then their values. Keys are transposed, so that SIMD
// lanes run over keys; values are row-major, so that lanes run over the head dimension. The bfloat16 pages interleave what
// bfloat16 dot products multiply in pairs.
//
//   f32   keys   [headDim][64]          values [64][headDim rounded up to 16]
//   bf16  keys   [headDim / 2][64][2]   values [64 / 2][headDim rounded up to 16][2]
//
// Kernels of every ISA include this header: it holds plain data and static functions only.
#ifndef LANES_OPS_KV_POOL_H_
#define LANES_OPS_KV_POOL_H_

#include <stdint.h>

#include "lanes/lanes.h"

struct lanes_kv_pool {
  int32_t pages;
  int32_t layers;
  int32_t kv_heads;
  int32_t head_dim;
  int32_t dtype;
  int32_t key_dims;      // head_dim, for bf16 rounded up to a pair: the padding is written, and zero
  int32_t value_cols;    // head_dim rounded up to 16: the padding is multiplied, and never looked at
  int64_t key_bytes;     // of a block
  int64_t block_bytes;   // keys and values
  unsigned char* data;   // [layers][pages][kv_heads] blocks
};

namespace lanes {

static inline unsigned char* KvBlock(const lanes_kv_pool* pool, int32_t layer, int64_t page, int32_t kv_head) {
  return pool->data + ((static_cast<int64_t>(layer) * pool->pages + page) * pool->kv_heads + kv_head) * pool->block_bytes;
}

// Element index of dimension `d` of key `j`, from the start of a block; and of a value, from its value part.
static inline int64_t KeyIndex(const lanes_kv_pool* pool, int64_t j, int64_t d) {
  if (pool->dtype == LANES_F32) return d * LANES_PAGE_TOKENS + j;
  return ((d >> 1) * LANES_PAGE_TOKENS + j) * 2 + (d & 1);
}

static inline int64_t ValueIndex(const lanes_kv_pool* pool, int64_t j, int64_t d) {
  if (pool->dtype == LANES_F32) return j * pool->value_cols + d;
  return ((j >> 1) * pool->value_cols + d) * 2 + (j & 1);
}

// Checked; throw Error. CreateKvPool gives memory that is zeroed and counted as LANES_MEMORY_KV.
int64_t KvPoolBytes(const lanes_kv_pool_params& params);
lanes_kv_pool* CreateKvPool(const lanes_kv_pool_params& params);
void DestroyKvPool(lanes_kv_pool* pool);
void PoisonKvPage(lanes_kv_pool* pool, int32_t page);

}  // namespace lanes

#endif  // LANES_OPS_KV_POOL_H_
