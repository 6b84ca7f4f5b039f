#include <cstring>
#include <utility>

#include "core/numeric.h"
#include "ops/kv_pool_storage.h"

namespace lanes {
namespace {

void CheckField(int32_t value, int32_t highest, const char* name) {
  if (value < 1 || value > highest) ThrowInvalid("%s is %d: expected 1 to %d", name, value, highest);
}

void CheckParams(const lanes_kv_pool_params& params) {
  CheckField(params.pages, INT32_MAX, "pages");
  CheckField(params.layers, INT32_MAX, "layers");
  CheckField(params.kv_heads, INT32_MAX, "kv_heads");
  CheckField(params.head_dim, LANES_MAX_HEAD_DIM, "head_dim");
  if (!IsDtype(params.dtype)) {
    ThrowInvalid("dtype is %d: KV pages are f32 (%d), bf16 (%d), f16 (%d) or s8 (%d)", params.dtype, LANES_F32, LANES_BF16, LANES_F16,
                 LANES_S8);
  }
}

// All but the memory.
lanes_kv_pool Layout(const lanes_kv_pool_params& params, bool on_device) {
  CheckParams(params);
  lanes_kv_pool pool = {};
  pool.pages = params.pages;
  pool.layers = params.layers;
  pool.kv_heads = params.kv_heads;
  pool.head_dim = params.head_dim;
  pool.dtype = params.dtype;
  pool.value_cols = static_cast<int32_t>(RoundUp(params.head_dim, 16));
  const int64_t scale_bytes = params.dtype == LANES_S8 ? 2 * LANES_PAGE_TOKENS * static_cast<int64_t>(sizeof(float)) : 0;
  const int64_t value_bytes = DtypeBytes(params.dtype) * LANES_PAGE_TOKENS * pool.value_cols;
  if (on_device) {
    pool.block_bytes = 2 * value_bytes + scale_bytes;
    return pool;
  }
  pool.unit_bytes = params.dtype == LANES_F16 ? 2 : 4;
  pool.per_unit = static_cast<int32_t>(pool.unit_bytes / DtypeBytes(params.dtype));
  pool.key_units = static_cast<int32_t>(CeilDiv(params.head_dim, pool.per_unit));
  pool.key_bytes = ScaleOffset(&pool) + scale_bytes;
  pool.block_bytes = pool.key_bytes + value_bytes;
  return pool;
}

// Of one page of one layer; fits, whatever the heads.
int64_t PageBytes(const lanes_kv_pool& pool) { return pool.block_bytes * pool.kv_heads; }

}  // namespace

int64_t KvPoolBytes(const lanes_kv_pool_params& params, bool on_device) {
  const lanes_kv_pool pool = Layout(params, on_device);
  return CheckedMul(CheckedMul(PageBytes(pool), pool.pages, "pool bytes"), pool.layers, "pool bytes");
}

KvPool::KvPool(const lanes_kv_pool_params& params, std::shared_ptr<Accelerator> accelerator)
    : lanes_kv_pool(Layout(params, accelerator != nullptr)),
      block_(std::move(accelerator), static_cast<uint64_t>(KvPoolBytes(params, accelerator != nullptr)), LANES_MEMORY_KV) {
  data = static_cast<unsigned char*>(block_.data());
  device = block_.device();
}

void KvPool::PoisonPage(int32_t page) {
  // All bits set is a NaN in float32, bfloat16 and IEEE half.
  for (int32_t layer = 0; layer < layers; ++layer) {
    unsigned char* const blocks = KvBlock(this, layer, page, 0);
    if (device == nullptr) {
      std::memset(blocks, 0xFF, static_cast<size_t>(PageBytes(*this)));
    } else {
      device->FillNow(blocks, 0xFF, PageBytes(*this));
    }
  }
}

}  // namespace lanes
