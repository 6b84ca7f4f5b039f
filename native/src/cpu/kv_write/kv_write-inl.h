// Keys and values into pages. Values are rows, and copied as such. Keys are columns of a page: the tokens of a run (neighbours
// in the batch and in the page) are written side by side, so that each stretch of a page's row is touched once. That is
// bound by stores, not by arithmetic: shuffles in registers would save nothing. Keys that are rotated go through a buffer, a head of a
// run at a time. Include after the SIMD layer.
#include "cpu/rope/rotate-inl.h"
#include "ops/kv_write.h"

namespace lanes {
namespace LANES_ISA {
namespace {

constexpr int64_t kMaxRun = 16;

// Tokens [t, t + count) go to keys [j, j + count) of `page`.
struct KvRun {
  int64_t t, count, page, j;
};

// Tokens of a run and the kv head that is written.
struct KvRows {
  const lanes_kv_pool& pool;
  const KvRun& run;
  const float* k;  // of the run's first token
  const float* v;
  int64_t k_stride, v_stride;
  unsigned char* block;

  unsigned char* Values(const ValuePanel& panel) const {
    return block + pool.key_bytes + panel.column * static_cast<int64_t>(LANES_PAGE_TOKENS) * pool.unit_bytes / pool.per_unit;
  }
};

// A panel's part of a row of values, of which each element is a unit.
void StoreRow(const float* from, int64_t cols, float* to) {
  int64_t d = 0;
  for (; d + kLanes <= cols; d += kLanes) Store(to + d, Load(from + d));
  if (d < cols) StoreN(to + d, LoadN(from + d, cols - d), cols - d);
}
void StoreRow(const float* from, int64_t cols, uint16_t* to) {
  int64_t d = 0;
  for (; d + kLanes <= cols; d += kLanes) StoreF16(to + d, Load(from + d));
  if (d < cols) StoreF16N(to + d, LoadN(from + d, cols - d), cols - d);
}

template <class Element>
void WriteValueRows(const KvRows& rows) {
  const lanes_kv_pool& pool = rows.pool;
  for (int32_t p = 0; p < ValuePanels(&pool); ++p) {
    const ValuePanel panel = ValuePanelAt(&pool, p);
    const int64_t cols = panel.width < pool.head_dim - panel.column ? panel.width : pool.head_dim - panel.column;
    for (int64_t i = 0; i < rows.run.count; ++i) {
      Element* to = reinterpret_cast<Element*>(rows.Values(panel)) + (rows.run.j + i) * panel.width;
      StoreRow(rows.v + i * rows.v_stride + panel.column, cols, to);
    }
  }
}

void WriteRunF32(const KvRows& rows) {
  float* keys = reinterpret_cast<float*>(rows.block) + rows.run.j;
  for (int64_t d = 0; d < rows.pool.head_dim; ++d) {
    for (int64_t i = 0; i < rows.run.count; ++i) keys[d * LANES_PAGE_TOKENS + i] = rows.k[i * rows.k_stride + d];
  }
  WriteValueRows<float>(rows);
}

void WriteRunF16(const KvRows& rows) {
  const int64_t dims = rows.pool.head_dim;
  alignas(64) uint16_t rounded[kMaxRun][LANES_MAX_HEAD_DIM];
  for (int64_t i = 0; i < rows.run.count; ++i) StoreRow(rows.k + i * rows.k_stride, dims, rounded[i]);
  uint16_t* keys = reinterpret_cast<uint16_t*>(rows.block) + rows.run.j;
  for (int64_t d = 0; d < dims; ++d) {
    for (int64_t i = 0; i < rows.run.count; ++i) keys[d * LANES_PAGE_TOKENS + i] = rounded[i][d];
  }
  WriteValueRows<uint16_t>(rows);
}

// Units of a key, already rounded, to their places. `Element` elements make a unit.
template <class Element>
void WriteKeyUnits(const KvRows& rows, const Element (&keys)[kMaxRun][LANES_MAX_HEAD_DIM]) {
  constexpr int64_t kPerUnit = 4 / sizeof(Element);
  for (int64_t u = 0; u < rows.pool.key_units; ++u) {
    unsigned char* to = rows.block + (u * LANES_PAGE_TOKENS + rows.run.j) * 4;
    for (int64_t i = 0; i < rows.run.count; ++i) __builtin_memcpy(to + 4 * i, &keys[i][u * kPerUnit], 4);
  }
}

// A row of values, already rounded, to its place in the units of key j.
template <class Element>
void WriteValueElements(const KvRows& rows, int64_t j, const Element* row) {
  constexpr int64_t kPerUnit = 4 / sizeof(Element);
  const lanes_kv_pool& pool = rows.pool;
  for (int32_t p = 0; p < ValuePanels(&pool); ++p) {
    const ValuePanel panel = ValuePanelAt(&pool, p);
    const int64_t cols = panel.width < pool.head_dim - panel.column ? panel.width : pool.head_dim - panel.column;
    Element* to = reinterpret_cast<Element*>(rows.Values(panel)) + j / kPerUnit * panel.width * kPerUnit + PlaceInUnit(&pool, j);
    for (int64_t d = 0; d < cols; ++d) to[kPerUnit * d] = row[panel.column + d];
  }
}

// Rounds a row; behind its end up to a unit there is 0.
void RoundRow(const float* from, int64_t dims, uint16_t* to) {
  int64_t d = 0;
  for (; d + kLanes <= dims; d += kLanes) StoreBf16(to + d, Load(from + d));
  if (d < dims) StoreBf16N(to + d, LoadN(from + d, dims - d), dims - d);
  if (dims % 2 != 0) to[dims] = 0;
}

void WriteRunBf16(const KvRows& rows) {
  const int64_t dims = rows.pool.head_dim;
  alignas(64) uint16_t rounded[kMaxRun][LANES_MAX_HEAD_DIM];
  for (int64_t i = 0; i < rows.run.count; ++i) RoundRow(rows.k + i * rows.k_stride, dims, rounded[i]);
  WriteKeyUnits(rows, rounded);
  for (int64_t i = 0; i < rows.run.count; ++i) {
    RoundRow(rows.v + i * rows.v_stride, dims, rounded[0]);
    WriteValueElements(rows, rows.run.j + i, rounded[0]);
  }
}

// Quantizes a row as lanes_kv_write_params says, into bytes, and returns its scale; behind its end up to a unit there is 0.
float QuantizeRow(const float* from, int64_t dims, uint8_t* to) {
  alignas(64) int32_t rounded[LANES_MAX_HEAD_DIM];
  // The bits of magnitudes are in the order of the magnitudes, with infinity and NaN above all.
  I32 largest = SetI(0);
  int64_t d = 0;
  for (; d + kLanes <= dims; d += kLanes) largest = MaxU(largest, AsInt(Abs(Load(from + d))));
  if (d < dims) largest = MaxU(largest, AsInt(Abs(LoadN(from + d, dims - d))));
  const uint32_t bits = ReduceMaxU(largest);
  for (d = dims; d % 4 != 0; ++d) to[d] = kS8Offset;
  float scale = __builtin_nanf("");
  if (bits < 0x7F800000) {
    __builtin_memcpy(&scale, &bits, sizeof scale);
    scale /= 127.0f;
  }
  if (!(scale > 0)) {
    for (d = 0; d < dims; ++d) to[d] = kS8Offset;
    return scale;
  }
  const F32 divisor = Set(scale), lowest = Set(-127.0f), highest = Set(127.0f);
  for (d = 0; d < dims; d += kLanes) {
    const F32 x = d + kLanes <= dims ? Load(from + d) : LoadN(from + d, dims - d);
    StoreI(rounded + d, ToInt(Min(highest, Max(lowest, Div(x, divisor)))));
  }
  for (d = 0; d < dims; ++d) to[d] = static_cast<uint8_t>(rounded[d] + kS8Offset);
  return scale;
}

void WriteRunS8(const KvRows& rows) {
  const int64_t dims = rows.pool.head_dim;
  float* scales = reinterpret_cast<float*>(rows.block + ScaleOffset(&rows.pool)) + rows.run.j;
  alignas(64) uint8_t rounded[kMaxRun][LANES_MAX_HEAD_DIM];
  for (int64_t i = 0; i < rows.run.count; ++i) {
    scales[i] = QuantizeRow(rows.k + i * rows.k_stride, dims, rounded[i]);
    // The order of a unit.
    for (int64_t d = 0; d < dims; d += 4) {
      const uint8_t second = rounded[i][d + 1];
      rounded[i][d + 1] = rounded[i][d + 2];
      rounded[i][d + 2] = second;
    }
  }
  WriteKeyUnits(rows, rounded);
  for (int64_t i = 0; i < rows.run.count; ++i) {
    scales[LANES_PAGE_TOKENS + i] = QuantizeRow(rows.v + i * rows.v_stride, dims, rounded[0]);
    WriteValueElements(rows, rows.run.j + i, rounded[0]);
  }
}

void WriteRun(const lanes_kv_write_params& p, const KvRun& run) {
  const HeadRotation rotation = {p.pairing, p.pool->head_dim, p.half};
  // Rows lie close together: a power of two between them would have them share few sets of the first-level cache.
  alignas(64) float rotated[kMaxRun * LANES_MAX_HEAD_DIM];
  for (int32_t head = 0; head < p.pool->kv_heads; ++head) {
    const int64_t column = head * static_cast<int64_t>(p.pool->head_dim);
    const float* k = p.k + run.t * p.k_stride + column;
    int64_t k_stride = p.k_stride;
    if (p.half > 0) {
      for (int64_t i = 0; i < run.count; ++i) {
        const int64_t angles = (run.t + i) * p.half;
        RotateHeads(rotation, p.cos + angles, p.sin + angles, 1, k + i * k_stride, rotated + i * rotation.head_dim);
      }
      k = rotated;
      k_stride = rotation.head_dim;
    }
    const KvRows rows = {*p.pool, run, k, p.v + run.t * p.v_stride + column, k_stride, p.v_stride, KvBlock(p.pool, p.layer, run.page, head)};
    switch (p.pool->dtype) {
      case LANES_F32:
        WriteRunF32(rows);
        break;
      case LANES_BF16:
        WriteRunBf16(rows);
        break;
      case LANES_F16:
        WriteRunF16(rows);
        break;
      default:
        WriteRunS8(rows);
        break;
    }
  }
}

void RotateQueries(const lanes_kv_write_params& p, int64_t begin, int64_t end) {
  const HeadRotation rotation = {p.pairing, p.pool->head_dim, p.half};
  for (int64_t t = begin; t < end; ++t) {
    float* const q = p.q + t * p.q_stride;
    RotateHeads(rotation, p.cos + t * p.half, p.sin + t * p.half, p.q_heads, q, q);
  }
}

// Tokens of a piece: whole runs, but fewer where the queries of a few tokens are worth sharing out.
int64_t KvGrain(const OpContext& context, const lanes_kv_write_params& p) {
  if (p.q == nullptr || p.tokens >= kMaxRun * Workers(context)) return kMaxRun;
  const int64_t tokens = 4096 / (static_cast<int64_t>(p.q_heads) * p.pool->head_dim);
  return tokens < 1 ? 1 : tokens < kMaxRun ? tokens : kMaxRun;
}

void KvWriteRun(OpContext& context, const lanes_kv_write_params& p) {
  ParallelFor(context, p.tokens, KvGrain(context, p), [&p](int64_t begin, int64_t end, int) {
    if (p.q != nullptr) RotateQueries(p, begin, end);
    for (int64_t t = begin; t < end;) {
      const int64_t slot = p.slots[t];
      KvRun run = {t, 1, slot / LANES_PAGE_TOKENS, slot % LANES_PAGE_TOKENS};
      if (slot >= 0) {
        while (t + run.count < end && run.j + run.count < LANES_PAGE_TOKENS && p.slots[t + run.count] == slot + run.count) {
          ++run.count;
        }
        WriteRun(p, run);
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
