#include <cmath>

#include "cpu/scalar.h"
#include "ops/kv_write.h"

namespace lanes {
namespace reference {
namespace {

// The scale of a row: NaN where it holds NaN or infinity.
float RowScale(const float* x, int64_t dims) {
  float largest = 0;
  for (int64_t d = 0; d < dims; ++d) {
    if (!std::isfinite(x[d])) return std::nanf("");
    largest = std::fmax(largest, std::fabs(x[d]));
  }
  return largest / 127.0f;
}

uint8_t Quantize(float x, float scale) {
  if (!(scale > 0)) return kS8Offset;
  return static_cast<uint8_t>(std::nearbyint(std::fmin(127.0f, std::fmax(-127.0f, x / scale))) + kS8Offset);
}

void Put(const lanes_kv_pool* pool, unsigned char* data, int64_t index, float x, float scale) {
  if (pool->dtype == LANES_S8) {
    data[index] = Quantize(x, scale);
  } else {
    StoreElement(reinterpret_cast<char*>(data), pool->dtype, index, x);
  }
}

void WriteToken(const lanes_kv_pool* pool, unsigned char* block, int64_t j, const float* k, const float* v) {
  float k_scale = 1, v_scale = 1;
  if (pool->dtype == LANES_S8) {
    k_scale = RowScale(k, pool->head_dim);
    v_scale = RowScale(v, pool->head_dim);
    float* scales = reinterpret_cast<float*>(block + ScaleOffset(pool));
    scales[j] = k_scale;
    scales[LANES_PAGE_TOKENS + j] = v_scale;
  }
  for (int64_t d = 0; d < static_cast<int64_t>(pool->key_units) * pool->per_unit; ++d) {
    Put(pool, block, KeyIndex(pool, j, d), d < pool->head_dim ? k[d] : 0.0f, k_scale);
  }
  for (int64_t d = 0; d < pool->head_dim; ++d) Put(pool, block + pool->key_bytes, ValueIndex(pool, j, d), v[d], v_scale);
}

void KvWrite(OpContext& context, const lanes_kv_write_params& p) {
  const lanes_kv_pool* pool = p.pool;
  ParallelFor(context, p.tokens, 16, [&p, pool](int64_t begin, int64_t end, int) {
    const auto rotate = [&p, pool](int64_t t, const float* x, float* y) {
      RotateHead(p.pairing, pool->head_dim, p.half, p.cos + t * p.half, p.sin + t * p.half, x, y);
    };
    for (int64_t t = begin; t < end; ++t) {
      for (int32_t h = 0; h < p.q_heads; ++h) {
        float* q = p.q + t * p.q_stride + static_cast<int64_t>(h) * pool->head_dim;
        rotate(t, q, q);
      }
      if (p.slots[t] < 0) continue;
      const int64_t page = p.slots[t] / LANES_PAGE_TOKENS, j = p.slots[t] % LANES_PAGE_TOKENS;
      for (int32_t h = 0; h < pool->kv_heads; ++h) {
        const int64_t column = static_cast<int64_t>(h) * pool->head_dim;
        const float* k = p.k + t * p.k_stride + column;
        float rotated[LANES_MAX_HEAD_DIM];
        if (p.half > 0) {
          rotate(t, k, rotated);
          k = rotated;
        }
        WriteToken(pool, KvBlock(pool, p.layer, page, h), j, k, p.v + t * p.v_stride + column);
      }
    }
  });
}

}  // namespace

extern const KvWriteKernel kv_write_kernel;
const KvWriteKernel kv_write_kernel = {KvWrite};

}  // namespace reference
}  // namespace lanes
