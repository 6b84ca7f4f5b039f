// Keys and values into pages. Values are rows, and copied as such. Keys are columns of a page: the tokens of a run (neighbours
// in the batch and in the page) are written side by side, so that each stretch of a page's row is touched once. That is
// bound by stores, not by arithmetic: shuffles in registers would save nothing. Include after the SIMD layer.
#include "ops/kv_write.h"

namespace lanes {
namespace LANES_ISA {
namespace {

constexpr int64_t kMaxRun = 16;

// Tokens [t, t + count) go to keys [j, j + count) of `page`.
struct KvRun {
  int64_t t, count, page, j;
};

void WriteRunF32(const lanes_kv_write_params& p, const KvRun& run, int32_t head) {
  const lanes_kv_pool& pool = *p.pool;
  unsigned char* block = KvBlock(&pool, p.layer, run.page, head);
  const int64_t dims = pool.head_dim;
  const float* k = p.k + run.t * p.k_stride + head * dims;
  float* keys = reinterpret_cast<float*>(block) + run.j;
  for (int64_t d = 0; d < dims; ++d) {
    for (int64_t i = 0; i < run.count; ++i) keys[d * LANES_PAGE_TOKENS + i] = k[i * p.k_stride + d];
  }
  for (int64_t i = 0; i < run.count; ++i) {
    const float* v = p.v + (run.t + i) * p.v_stride + head * dims;
    float* to = reinterpret_cast<float*>(block + pool.key_bytes) + (run.j + i) * pool.value_cols;
    int64_t d = 0;
    for (; d + kLanes <= dims; d += kLanes) Store(to + d, Load(v + d));
    if (d < dims) StoreN(to + d, LoadN(v + d, dims - d), dims - d);
  }
}

// Rounds a row; behind its end up to a pair there is 0.
void RoundRow(const float* from, int64_t dims, uint16_t* to) {
  int64_t d = 0;
  for (; d + kLanes <= dims; d += kLanes) StoreBf16(to + d, Load(from + d));
  if (d < dims) StoreBf16N(to + d, LoadN(from + d, dims - d), dims - d);
  if (dims % 2 != 0) to[dims] = 0;
}

void WriteRunBf16(const lanes_kv_write_params& p, const KvRun& run, int32_t head) {
  const lanes_kv_pool& pool = *p.pool;
  unsigned char* block = KvBlock(&pool, p.layer, run.page, head);
  const int64_t dims = pool.head_dim;
  // A pair of dimensions of one key is one 32-bit element of the page.
  alignas(64) uint16_t rows[kMaxRun][LANES_MAX_HEAD_DIM];
  for (int64_t i = 0; i < run.count; ++i) RoundRow(p.k + (run.t + i) * p.k_stride + head * dims, dims, rows[i]);
  uint16_t* keys = reinterpret_cast<uint16_t*>(block);
  for (int64_t d = 0; d < pool.key_dims; d += 2) {
    uint16_t* to = keys + d * LANES_PAGE_TOKENS + 2 * run.j;
    for (int64_t i = 0; i < run.count; ++i) __builtin_memcpy(to + 2 * i, &rows[i][d], 4);
  }
  for (int64_t i = 0; i < run.count; ++i) {
    RoundRow(p.v + (run.t + i) * p.v_stride + head * dims, dims, rows[0]);
    const int64_t j = run.j + i;
    uint16_t* to = reinterpret_cast<uint16_t*>(block + pool.key_bytes) + (j / 2 * pool.value_cols) * 2 + j % 2;
    for (int64_t d = 0; d < dims; ++d) to[2 * d] = rows[0][d];
  }
}

void KvWriteRun(OpContext& context, const lanes_kv_write_params& p) {
  ParallelFor(context, p.tokens, kMaxRun, [&p](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end;) {
      const int64_t slot = p.slots[t];
      KvRun run = {t, 1, slot / LANES_PAGE_TOKENS, slot % LANES_PAGE_TOKENS};
      if (slot >= 0) {
        while (t + run.count < end && run.j + run.count < LANES_PAGE_TOKENS && p.slots[t + run.count] == slot + run.count) {
          ++run.count;
        }
        for (int32_t head = 0; head < p.pool->kv_heads; ++head) {
          if (p.pool->dtype == LANES_F32) {
            WriteRunF32(p, run, head);
          } else {
            WriteRunBf16(p, run, head);
          }
        }
      }
      t += run.count;
    }
  });
}

}  // namespace

extern const KvWriteKernel kv_write_kernel;
const KvWriteKernel kv_write_kernel = {KvWriteRun};

}  // namespace LANES_ISA
}  // namespace lanes
