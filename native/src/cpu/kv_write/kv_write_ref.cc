#include "ops/kv_write.h"

#include "cpu/scalar.h"

namespace lanes {
namespace reference {
namespace {

void KvWrite(OpContext& context, const lanes_kv_write_params& p) {
  const lanes_kv_pool* pool = p.pool;
  ParallelFor(context, p.tokens, 16, [&p, pool](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      if (p.slots[t] < 0) continue;
      const int64_t page = p.slots[t] / LANES_PAGE_TOKENS, j = p.slots[t] % LANES_PAGE_TOKENS;
      for (int32_t h = 0; h < pool->kv_heads; ++h) {
        unsigned char* block = KvBlock(pool, p.layer, page, h);
        const float* k = p.k + t * p.k_stride + static_cast<int64_t>(h) * pool->head_dim;
        const float* v = p.v + t * p.v_stride + static_cast<int64_t>(h) * pool->head_dim;
        for (int64_t d = 0; d < pool->key_dims; ++d) {
          const float key = d < pool->head_dim ? k[d] : 0.0f;
          if (pool->dtype == LANES_F32) {
            reinterpret_cast<float*>(block)[KeyIndex(pool, j, d)] = key;
          } else {
            reinterpret_cast<uint16_t*>(block)[KeyIndex(pool, j, d)] = FloatToBf16(key);
          }
        }
        unsigned char* values = block + pool->key_bytes;
        for (int64_t d = 0; d < pool->head_dim; ++d) {
          if (pool->dtype == LANES_F32) {
            reinterpret_cast<float*>(values)[ValueIndex(pool, j, d)] = v[d];
          } else {
            reinterpret_cast<uint16_t*>(values)[ValueIndex(pool, j, d)] = FloatToBf16(v[d]);
          }
        }
      }
    }
  });
}

}  // namespace

extern const KvWriteKernel kv_write_kernel;
const KvWriteKernel kv_write_kernel = {KvWrite};

}  // namespace reference
}  // namespace lanes
