// Pool of KV pages: memory layout, creation and poisoning.
//
// Block (page, layer, kv head): the keys of LANES_PAGE_TOKENS tokens, then their values, both made of units of 32 bits, in the
// order in which attention reads them. A unit of a key holds 1, 2 or 4 of its dimensions, and the units of neighbouring keys
// lie side by side: SIMD lanes run over keys. A unit of values holds one dimension of 1, 2 or 4 neighbouring keys: lanes run
// over the head dimension. The columns of values are divided into panels of up to kPanelCols, stored one after the other.
// IEEE halves are widened by instructions that take them side by side: their units have 16 bits, and hold one.
//
//   f32   keys [headDim][64]         values, for each panel, [64][panel width]
//   f16   the same
//   bf16  keys [headDim / 2][64][2]  values, for each panel, [64 / 2][panel width][2]
//   s8    keys [headDim / 4][64][4]  values, for each panel, [64 / 4][panel width][4]
//         between them the keys' scales [64] and the values' scales [64], float32
//
// An s8 element is stored as a byte, element + 128: widening it then takes no sign. The four bytes of a unit stand in the
// order 0, 2, 1, 3: those at even places are the pair (0, 1), those at odd ones the pair (2, 3).
//
// That is host memory. A device's pages are described in cuda/common/kv_layout.h.
//
// Kernels of every ISA include this header: it holds plain data and static functions only.
#ifndef LANES_OPS_KV_POOL_H_
#define LANES_OPS_KV_POOL_H_

#include <stdint.h>

#include "lanes/lanes.h"

namespace lanes {
class Accelerator;
}

struct lanes_kv_pool {
  int32_t pages;
  int32_t layers;
  int32_t kv_heads;
  int32_t head_dim;
  int32_t dtype;
  int32_t per_unit;      // elements in a unit: 1, 2 or 4
  int32_t unit_bytes;    // 4 or 2
  int32_t key_units;     // of a key: head_dim / per_unit, rounded up; the padding is written, and zero
  int32_t value_cols;    // head_dim rounded up to 16: the padding is multiplied, and never looked at
  int64_t key_bytes;     // of a block: keys and, in s8 pages, all scales
  int64_t block_bytes;   // keys and values
  unsigned char* data;   // [layers][pages][kv_heads] blocks
  lanes::Accelerator* device;  // whose memory this is, or null; then per_unit, unit_bytes, key_units and key_bytes are 0
};

namespace lanes {

constexpr int32_t kPanelCols = 64;
constexpr int32_t kS8Offset = 128;

static inline unsigned char* KvBlock(const lanes_kv_pool* pool, int32_t layer, int64_t page, int32_t kv_head) {
  return pool->data + ((static_cast<int64_t>(layer) * pool->pages + page) * pool->kv_heads + kv_head) * pool->block_bytes;
}

// Of an s8 block: where the keys' scales begin; those of the values follow them.
static inline int64_t ScaleOffset(const lanes_kv_pool* pool) {
  return static_cast<int64_t>(pool->key_units) * LANES_PAGE_TOKENS * pool->unit_bytes;
}

// Columns [column, column + width) of the values. Panels are of nearly equal width, in groups of 16 columns.
struct ValuePanel {
  int32_t column, width;
};
static inline int32_t ValuePanels(const lanes_kv_pool* pool) { return (pool->value_cols + kPanelCols - 1) / kPanelCols; }
static inline ValuePanel ValuePanelAt(const lanes_kv_pool* pool, int32_t index) {
  const int32_t panels = ValuePanels(pool), groups = pool->value_cols / 16, wide = groups % panels, width = groups / panels;
  return {(index * width + (index < wide ? index : wide)) * 16, (index < wide ? width + 1 : width) * 16};
}

// Where an element stands in its unit.
static inline int64_t PlaceInUnit(const lanes_kv_pool* pool, int64_t element) {
  const int64_t i = element % pool->per_unit;
  return pool->per_unit == 4 ? i / 2 + i % 2 * 2 : i;
}

// Element index of dimension `d` of key `j`, from the start of a block; and of a value, from its value part.
static inline int64_t KeyIndex(const lanes_kv_pool* pool, int64_t j, int64_t d) {
  return (d / pool->per_unit * LANES_PAGE_TOKENS + j) * pool->per_unit + PlaceInUnit(pool, d);
}
static inline int64_t ValueIndex(const lanes_kv_pool* pool, int64_t j, int64_t d) {
  ValuePanel panel = ValuePanelAt(pool, 0);
  for (int32_t i = 1; d >= panel.column + panel.width; ++i) panel = ValuePanelAt(pool, i);
  return panel.column * static_cast<int64_t>(LANES_PAGE_TOKENS) +
         (j / pool->per_unit * panel.width + d - panel.column) * pool->per_unit + PlaceInUnit(pool, j);
}

}  // namespace lanes

#endif  // LANES_OPS_KV_POOL_H_
