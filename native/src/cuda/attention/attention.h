// Attention on a GPU: its arithmetic, and what the kernels share. Host and device code include this.
//
// A row is one query of one head. Rows of a sequence that share a kv head are numbered r = token * group + (head within the group), so
// that a block of rows reads each key once for the whole group. Several kernels compute rows, with tiles and warps of different
// shapes; a row's bits are the same in all of them, since each follows what is written here. What is not written cannot matter: maxima
// do not depend on an order, and neither does which of the scores, or of the output's columns, a warp computes.
//
// 1. Query. x = q * factor, factor = float(scale * log2(e)), one float32 product. BF16: rounded half to even to bfloat16. INT8: rounded
//    to 16-bit integers times a power of two, as in lanes.h; the integer is the sum of two bfloat16 numbers, exactly: high, half to
//    even, and what is left, low. F16: times the row's power of two (common/row_power.cuh), rounded half to even to IEEE halves. Keys below
//    the sequence's number of sinks take q_sink where there is one.
// 2. Tiles are the keys [128 i, 128 i + 128), splits the keys [1024 i, 1024 i + 1024): 8 tiles.
// 3. Score of a key: a chain from 0 over the head dimension, ascending.
//      EXACT  fmaf, one dimension at a time.
//      BF16   tensor-core products of 16 dimensions, one accumulator (mma.sync m16n8k16, wgmma k16). Dimensions behind the last
//             are zero on both sides.
//      F16    the same of halves; then sum * inverse, that of the query's power.
//      INT8   the same with int8 elements as bfloat16; of each 16 dimensions first the high parts, then the low ones. Then
//             (sum * power) * key scale.
//    The score of a key that the row does not see is -infinity, whatever the key holds.
// 4. Within a split, tile by tile, from m = -infinity, l = 0, O = 0:
//      m' = max(m, the tile's scores)      (fmaxf: it passes over NaN)
//      base = m' == -infinity ? 0 : m'
//      alpha = Exp2(m - base), p = Exp2(score - base)
//      O = O * alpha                        (rounded: a product, not part of a fused operation)
//    EXACT uses Exp2 by the polynomial of softmax.cuh, the others that of ptx.cuh. BF16 and F16 round p half to even to their elements, for
//    the sums as well. F16 may fuse sum * inverse - base, which changes no bit of p: the product is exact where it is not subnormal; base is
//    NaN where m' is infinite. INT8 makes w = p == 0 ? 0 : p * value scale of it, as two bfloat16 numbers: high, half to even, low = w - high rounded half
//    to even.
// 5. Sums of weights. In each tile
//      EXACT  of lane i = 0 ... 31: ((p[i] + p[i + 32]) + p[i + 64]) + p[i + 96]; then the lanes as a tree, by
//             exchanges with lane xor 16, 8, 4, 2, 1; l = fmaf(l, alpha, sum).
//      else   there are four l, one for each thread t = 0 ... 3 of a quad: the columns of the accumulators of a tensor core that such a
//             thread holds are 8 n + 2 t and 8 n + 2 t + 1, n = 0 ... 15. With c the 32 weights in this order,
//             u[i] = (c[4 i] + c[4 i + 1]) + (c[4 i + 2] + c[4 i + 3]), i = 0 ... 7 (16 keys each);
//             sum = u[0] + u[1] + ... + u[7], from the left; l[t] = fmaf(l[t], alpha, sum).
// 6. Output: one chain for each element that goes on from O * alpha.
//      EXACT  fmaf, one key at a time, ascending, over the keys of the tile; those that the row does not see count as weight 0, value 0.
//      BF16, F16   tensor-core products of 16 keys, ascending, one accumulator.
//      INT8   of each 16 keys first the high parts, then the low ones.
//    A value that the row does not see counts as 0, whatever the page holds: NaN or infinity there must not meet the weight 0. Where
//    no row of the block sees a key, its value is not loaded, and is zero. Where some do and some do not, only a value that is
//    not finite can be told from 0: masked tiles look for such values, and take their rows one by one when there is one (values.cuh).
// 7. A split closes with l = (l[0] + l[1]) + (l[2] + l[3]) (quad exchanges xor 1, 2). Splits are merged in order into
//    (M, L, T), which begin as the first split whose l is not 0:
//      l == 0: nothing. Else A = max(M, m), f = Exp2(M - A), g = Exp2(m - A), L = fmaf(l, g, L * f), T = fmaf(O, g, T * f), M = A.
// 8. out = T * (1 / L) + 0 (one IEEE division for the row; adding 0 makes -0 into 0). No split at all, or L = 0: NaN, as 0 * infinity.
//
// A tile, or a split, in which a row sees no key changes none of its bits, so each kernel may skip those that none of its rows sees, and
// need not skip others: all scores are -infinity, m' = m, alpha = Exp2(0) = 1 (or m = -infinity, and then O and l are 0 and stay so),
// the weights and their sums are 0, and 0 added to an accumulator changes at most -0 into 0, which step 8 does anyway.
//
// 9. out_bf16: step 8's result rounded half to even to bfloat16.
//
// A kernel that walks several splits need not keep T in registers: it may wait in the rows of `out` themselves. These are q's rows where
// out is q, and a block has read its own queries before it writes, and reads no others.
#ifndef LANES_CUDA_ATTENTION_ATTENTION_H_
#define LANES_CUDA_ATTENTION_ATTENTION_H_

#include <stdint.h>

#include "cuda/attention/rows.h"
#include "cuda/common/kv_layout.h"

namespace lanes::cuda {

// Slots: [slot][kv head][slot_floats], each O [rows, row], m [rows], l [rows], with rows = slot_rows, and row that of the pool.
struct AttentionArgs {
  const float* q;
  const float* q_sink;  // or null
  float* out;  // with out_bf16: rows for T alone, null where no block of mma.sync or EXACT walks several splits
  uint16_t* out_bf16;  // or null
  int64_t q_stride, out_stride;  // out_stride: of both
  KvLayout pool;
  const RowBlock* blocks;  // thread block `block_count * kv head + i` takes blocks[i]
  int64_t block_count;
  const int32_t* page_table;
  int64_t page_table_stride;
  float* partials;
  int64_t slot_floats;
  int32_t slot_rows;
  int32_t layer;
  int32_t group;
  int32_t causal;
  float factor;    // of step 1
  int32_t stages;  // of the copies' ring in shared memory
  int32_t q_rows;  // few rows: that shared memory has room for, 16 or 8
};

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_ATTENTION_H_
