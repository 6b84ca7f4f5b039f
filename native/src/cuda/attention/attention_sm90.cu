// Prefill attention over pages of bfloat16 or IEEE halves for sm_90a: wgmma, TMA, and one block a multiprocessor that works off its list
// of row blocks.
//
// A warp of the producer warpgroup brings tiles of 128 keys (two pages) into rings of stages; each consumer warpgroup has 64 rows:
//
//   scores of tile j + 1    (wgmma, issued first)    |  the other warpgroups' products,
//   values of tile j        (wgmma)                  |  which take turns with these
//   maximum and weights of tile j + 1, while the values' product runs; then its output is scaled, and the weights are rounded
//
// When a split closes, its output goes into the totals in shared memory, where each thread has a place of its own.
//
// Tiles with keys that some row does not see (sinks, windows, the diagonal, the last keys): scores are masked; of values, the producer
// makes those zero that no row of the block sees, or that are not finite. The latter reach the rows that see them by AddUnfinite.
#include "cuda/attention/fragments.cuh"
#include "cuda/attention/sm90.h"
#include "cuda/attention/heuristics_sm90.h"
#include "cuda/common/hopper.cuh"
#include "cuda/common/quantize.cuh"
#include "cuda/common/row_power.cuh"
#include "cuda/common/tensor_map.h"

namespace lanes::cuda {
namespace {

struct AttentionArgsSm90 {
  TensorMap keys_and_values;  // of the layer: [pages, kv heads, 2 (keys, values), PAGE_TOKENS] rows of the head dimension; boxes of a
                              // page by 64 dimensions
  AttentionArgs attention;
  const AttentionItemSm90* items;
  const int32_t* item_begin;  // [blocks + 1]
};

constexpr int32_t kLineDims = 64;  // of 128 bytes
constexpr uint32_t kPageBytes = LANES_PAGE_TOKENS * 128;
constexpr uint32_t kSlabBytes = kTileKeys * 128;  // a tile's 64 dimensions
constexpr int32_t kTurnBarrier = 1, kQueryBarrier = 4;

template <int kStages>
struct Barriers {
  Barrier key_full[kStages], key_empty[kStages];
  Barrier value_full[kStages], value_empty[kStages];
  Barrier landed;                      // values that the producer looks at before it hands them on
  alignas(16) uint32_t unfinite[kStages][kTileKeys / 32];  // of a masked tile: keys with values that are not finite
};
static_assert(sizeof(Barriers<4>) <= 256);

// Tile number `n` of a block: its stage, and the parity of the phase in which it is full.
template <int kStages>
__device__ __forceinline__ uint32_t StageOf(uint32_t n) {
  return n % kStages;
}
template <int kStages>
__device__ __forceinline__ uint32_t ParityOf(uint32_t n) {
  return n / kStages & 1;
}

// ---- Producer ----------------------------------------------------------------------------------------------------

template <bool kF16>
__device__ __forceinline__ uint32_t WithoutUnfinite(uint32_t pair) {
  const uint32_t bits = UnfiniteBits<kF16>(pair);
  return pair & ((bits & 0x8000u ? 0u : 0xFFFFu) | (bits & 0x80000000u ? 0u : 0xFFFF0000u));
}

// What the producer knows of a tile: where its pages are (< 0: nothing of it is seen), and which keys.
struct TileSource {
  int32_t rows[2];  // of the tensor map
  bool whole;
  int32_t sink_end, begin, end;  // keys of the tile that some row sees: [0, sink_end) and [begin, end)
  int32_t all_begin, all_end;    // that all rows see
};

template <int kDim, bool kF16>
class Producer {
  using Shape = AttentionShapeSm90<kDim>;

 public:
  __device__ __forceinline__ Producer(const AttentionArgsSm90& args, unsigned char* shared, int32_t lane)
      : args_(args), shared_(shared), barriers_(reinterpret_cast<Barriers<Shape::kStages>*>(shared + Shape::kBarriers)), lane_(lane) {}

  // Keys run one tile ahead of values, over all items.
  __device__ __forceinline__ void Run() {
    const AttentionArgs& a = args_.attention;
    TileSource before = {};
    bool pending = false;
    for (int32_t i = args_.item_begin[blockIdx.x], end = args_.item_begin[blockIdx.x + 1]; i < end; ++i) {
      const AttentionItemSm90 item = args_.items[i];
      const RowBlock& block = a.blocks[item.block];
      const BlockView view = ViewOf(block, a.causal != 0, a.group);
      const AttentionTilesSm90 tiles = AttentionTilesOf(block, view);
      const int32_t* pages = a.page_table + block.sequence * a.page_table_stride;
      int32_t tile = tiles.First();
      for (int32_t n = tiles.Count(); n > 0; --n, tile = tiles.After(tile)) {
        TileSource source;
        const int64_t key = static_cast<int64_t>(tile) * kTileKeys;
#pragma unroll
        for (int p = 0; p < 2; ++p) {
          const int64_t of_page = key + p * LANES_PAGE_TOKENS;
          source.rows[p] = -1;
          if (view.Touches(of_page, LANES_PAGE_TOKENS)) {
            source.rows[p] = (pages[of_page / LANES_PAGE_TOKENS] * a.pool.kv_heads + item.kv_head) * 2 * LANES_PAGE_TOKENS;
          }
        }
        source.whole = tiles.Whole(tile);
        source.sink_end = static_cast<int32_t>(view.last.sink_end - key);
        source.begin = static_cast<int32_t>(view.first.begin - key);
        source.end = static_cast<int32_t>(view.last.end - key);
        source.all_begin = static_cast<int32_t>(view.last.begin - key);
        source.all_end = static_cast<int32_t>(view.first.end - key);
        LoadKeys(source);
        if (pending) LoadValues(before);
        before = source;
        pending = true;
      }
    }
    if (pending) LoadValues(before);
  }

 private:
  __device__ __forceinline__ void LoadKeys(const TileSource& source) {
    const uint32_t stage = StageOf<Shape::kStages>(keys_);
    BarrierWait(&barriers_->key_empty[stage], ParityOf<Shape::kStages>(keys_) ^ 1);
    if (lane_ == 0) Load(source, 0, shared_ + Shape::kKeys + stage * Shape::kTileBytes, &barriers_->key_full[stage]);
    ++keys_;
  }

  __device__ __forceinline__ void LoadValues(const TileSource& source) {
    const uint32_t stage = StageOf<Shape::kStages>(values_);
    unsigned char* tile = shared_ + Shape::kValues + stage * Shape::kTileBytes;
    Barrier* full = &barriers_->value_full[stage];
    BarrierWait(&barriers_->value_empty[stage], ParityOf<Shape::kStages>(values_) ^ 1);
    if (source.whole) {
      if (lane_ == 0) Load(source, LANES_PAGE_TOKENS, tile, full);
    } else {
      if (lane_ == 0) Load(source, LANES_PAGE_TOKENS, tile, &barriers_->landed);
      BarrierWait(&barriers_->landed, landed_phase_);
      landed_phase_ ^= 1;
      Clean(source, tile, barriers_->unfinite[stage]);
      ProxyFence();
      __syncwarp();
      if (lane_ == 0) BarrierArrive(full);
    }
    ++values_;
  }

  // Of the pages' keys (row 0) or values.
  __device__ __forceinline__ void Load(const TileSource& source, int32_t row, unsigned char* tile, Barrier* barrier) {
    const int32_t count = (source.rows[0] >= 0) + (source.rows[1] >= 0);
    BarrierArriveExpect(barrier, count * (kDim / kLineDims) * kPageBytes);
#pragma unroll
    for (int p = 0; p < 2; ++p) {
      if (source.rows[p] < 0) continue;
#pragma unroll
      for (int c = 0; c < kDim / kLineDims; ++c) {
        TmaLoad(tile + c * kSlabBytes + p * kPageBytes, &args_.keys_and_values, barrier, c * kLineDims, source.rows[p] + row);
      }
    }
  }

  // Values that no row sees become zero, and so do those that are not finite where not all rows see them. 8 lanes take a line.
  __device__ __forceinline__ void Clean(const TileSource& source, unsigned char* tile, uint32_t* words) {
    for (int32_t word = 0; word < kTileKeys / 32; ++word) {
      uint32_t found = 0;
      for (int32_t four = 0; four < 8; ++four) {
        const int32_t key = word * 32 + four * 4 + lane_ / 8;
        const bool seen = key < source.sink_end || (key >= source.begin && key < source.end);
        const bool by_all = key >= source.all_begin && key < source.all_end;
        bool unfinite = false;
#pragma unroll
        for (int c = 0; c < kDim / kLineDims; ++c) {
          uint4* at = reinterpret_cast<uint4*>(tile + c * kSlabBytes + key * 128 + lane_ % 8 * 16);
          if (!seen) {
            *at = make_uint4(0, 0, 0, 0);
          } else if (!by_all) {
            const uint4 x = *at;
            if ((UnfiniteBits<kF16>(x.x) | UnfiniteBits<kF16>(x.y) | UnfiniteBits<kF16>(x.z) | UnfiniteBits<kF16>(x.w)) & 0x80008000u) {
              unfinite = true;
              *at = make_uint4(WithoutUnfinite<kF16>(x.x), WithoutUnfinite<kF16>(x.y), WithoutUnfinite<kF16>(x.z),
                               WithoutUnfinite<kF16>(x.w));
            }
          }
        }
        const uint32_t lanes = __ballot_sync(0xffffffffu, unfinite);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          if (lanes >> 8 * i & 0xFFu) found |= 1u << (four * 4 + i);
        }
      }
      if (lane_ == 0) words[word] = found;
    }
  }

  const AttentionArgsSm90& args_;
  unsigned char* const shared_;
  Barriers<Shape::kStages>* const barriers_;
  const int32_t lane_;
  uint32_t keys_ = 0, values_ = 0;  // tiles so far
  uint32_t landed_phase_ = 0;
};

// ---- Consumers ---------------------------------------------------------------------------------------------------

// The keys of the row that sees none from `end` on.
__device__ __forceinline__ Visible VisibleUpTo(const RowBlock& block, int32_t end) {
  RowBlock row = block;
  row.base = 0;
  return block.window == 0 ? Visible{0, 0, end} : VisibleTo(row, true, end - 1);  // windows are causal
}

// `end`: behind the last key that a thread's two rows see; `first`: the key of element 0.
__device__ __forceinline__ void MaskScores(float (&s)[kTileKeys / 2], const int32_t (&end)[2], int32_t first, const RowBlock& block) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
#pragma unroll
    for (int j = 0; j < kTileKeys / 8; ++j) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        if (8 * j + e >= end[r] - first) s[4 * j + 2 * r + e] = MinusInfinity();
      }
    }
  }
  if (block.window == 0) return;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const Visible visible = VisibleUpTo(block, end[r]);
    const int32_t begin = static_cast<int32_t>(visible.begin) - first, sink_end = static_cast<int32_t>(visible.sink_end) - first;
#pragma unroll
    for (int j = 0; j < kTileKeys / 8; ++j) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        if (8 * j + e < begin && 8 * j + e >= sink_end) s[4 * j + 2 * r + e] = MinusInfinity();
      }
    }
  }
}

// Row `row` of the block: its first element in q or out, whose tokens are `stride` apart.
__device__ __forceinline__ int64_t Place(const RowBlock& block, int32_t kv_head, int32_t group, int32_t dim, int32_t row, int64_t stride) {
  const uint32_t of_sequence = static_cast<uint32_t>(block.row_begin) + row, token = of_sequence / static_cast<uint32_t>(group);
  return (block.first_token + token) * stride + static_cast<int64_t>(kv_head * group + of_sequence - token * group) * dim;
}

// The thread's index in its warpgroup. `item` is not negative, which the compiler does not know: so it computes again for each item what
// comes of the index, and keeps no registers for it while tiles are multiplied.
__device__ __forceinline__ int32_t ThreadFor(int32_t item) { return static_cast<int32_t>(threadIdx.x % 128) + (item < 0 ? 1 : 0); }
// The first of a thread's two rows in its block. The other one comes 8 rows later.
__device__ __forceinline__ int32_t FirstRow(int32_t warpgroup, int32_t thread) {
  return warpgroup * 64 + thread / 32 * 16 + thread % 32 / 4;
}

// A warpgroup's queries pass through registers, 8 elements of a row at a time. Behind the block's rows its last one comes again.
template <int kDim, bool kF16>
struct Queries {
  static constexpr int kUnits = 64 * kDim / 8 / 128;
  float4 low[kUnits], high[kUnits];

  __device__ __forceinline__ void Fetch(const AttentionArgs& args, const AttentionItemSm90& item, int32_t warpgroup, int32_t thread) {
    const RowBlock block = args.blocks[item.block];
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      const int32_t unit = thread + u * 128, row = warpgroup * 64 + unit / (kDim / 8);
      const float* q = args.q + Place(block, item.kv_head, args.group, kDim, row < block.rows ? row : block.rows - 1, args.q_stride) +
                       unit % (kDim / 8) * 8;
      low[u] = *reinterpret_cast<const float4*>(q);
      high[u] = *reinterpret_cast<const float4*>(q + 4);
    }
  }

  // `powers`: [64], what scores are divided by; of F16.
  __device__ __forceinline__ void Store(float factor, unsigned char* tile, float* powers, int32_t thread) const {
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      const int32_t unit = thread + u * 128, row = unit / (kDim / 8), column = unit % (kDim / 8);
      float x[8] = {low[u].x * factor,  low[u].y * factor,  low[u].z * factor,  low[u].w * factor,
                    high[u].x * factor, high[u].y * factor, high[u].z * factor, high[u].w * factor};
      if constexpr (kF16) {
        // The kDim / 8 threads of a row stand side by side.
        uint32_t largest = 0;
#pragma unroll
        for (int i = 0; i < 8; ++i) largest = max(largest, MagnitudeBits(x[i]));
#pragma unroll
        for (int step = kDim / 16; step > 0; step /= 2) largest = max(largest, __shfl_xor_sync(0xffffffffu, largest, step));
        const RowPower power = RowPowerOf(largest);
        if (column == 0) powers[row] = power.inverse;
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] *= power.power;
      }
      *reinterpret_cast<uint4*>(tile + column / 8 * 64 * 128 + row * 128 + ((column ^ row) % 8) * 16) =
          make_uint4(PackPair<kF16>(x[0], x[1]), PackPair<kF16>(x[2], x[3]), PackPair<kF16>(x[4], x[5]), PackPair<kF16>(x[6], x[7]));
    }
  }
};

// What has been written to these registers stays before the next product.
template <int kOutputs>
__device__ __forceinline__ void HoldOperands(float (&o)[kOutputs], uint32_t (&p)[kTileKeys / 16][4]) {
  WgmmaHold(o);
#pragma unroll
  for (int k = 0; k < kTileKeys / 16; ++k) WgmmaHold(p[k]);
}

// RoundWeights in two steps: the first one ends with rounded weights that are still in s, so that it can be done while p is being
// multiplied; the second one only moves halves of registers, or rounds again what is rounded already.
template <bool kF16>
__device__ __forceinline__ void SumRounded(float (&s)[kTileKeys / 2], const float (&alpha)[2], RowState* rows) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float sum = 0.f;
#pragma unroll
    for (int i = 0; i < kTileKeys / 16; ++i) {
      uint32_t p[4];
      const float of_16 = RoundWeightsOf16<kF16>(s, i, r, p);
      sum = i == 0 ? of_16 : sum + of_16;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float2 pair = UnpackPair<kF16>(p[2 * half + r]);
        s[8 * i + 4 * half + 2 * r] = pair.x;
        s[8 * i + 4 * half + 2 * r + 1] = pair.y;
      }
    }
    rows->sum[r] = fmaf(rows->sum[r], alpha[r], sum);
  }
}
template <bool kF16>
__device__ __forceinline__ void PackRounded(const float (&s)[kTileKeys / 2], uint32_t (&p)[kTileKeys / 16][4]) {
#pragma unroll
  for (int i = 0; i < kTileKeys / 16; ++i) {
#pragma unroll
    for (int q = 0; q < 4; ++q) {
      const float first = s[8 * i + 2 * q], second = s[8 * i + 2 * q + 1];
      p[i][q] = kF16 ? PackF16(first, second) : __byte_perm(__float_as_uint(first), __float_as_uint(second), 0x7632);
    }
  }
}

// ptxas moves arithmetic behind a WgmmaWait that does not need it; then nothing would be left to do while products run. It cannot move
// what a branch depends on. Sums of weights are not negative, so this one is never taken.
__device__ __forceinline__ void FinishBefore(const float (&sum)[2]) {
  if (fminf(sum[0], sum[1]) < 0.f) __threadfence_block();
}

// Powers of F16 are found and read for each tile anew, as ThreadFor is: registers are short.
template <int kDim, bool kF16>
__device__ __forceinline__ void RaiseMaximumOf(float (&s)[kTileKeys / 2], int32_t tile, RowState* rows, float (&alpha)[2]) {
  if constexpr (kF16) {
    const uint32_t thread = threadIdx.x + (tile < 0 ? 1 : 0);
    const unsigned char* const powers = SharedMemory() + AttentionShapeSm90<kDim>::kPowers + (thread / 32 - 4) * 64 + thread % 32 / 4 * 4;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float power = *reinterpret_cast<const volatile float*>(powers + 32 * r);
      MakeWeights<true>(s, r, LargestScore(s, r), rows, alpha, power);
    }
  } else {
    RaiseMaximum(s, rows, alpha);
  }
}

// s = queries times keys.
template <int kDim, bool kF16>
__device__ __forceinline__ void MultiplyKeys(float (&s)[kTileKeys / 2], uint64_t queries, uint64_t keys) {
  WgmmaFence();
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) {
    const uint64_t a = WgmmaAdvance(queries, k / 4 * 64 * 128 + k % 4 * 32), b = WgmmaAdvance(keys, k / 4 * kSlabBytes + k % 4 * 32);
    if constexpr (kF16) {
      WgmmaF16(s, a, b, k > 0);
    } else {
      WgmmaBf16(s, a, b, k > 0);
    }
  }
  WgmmaCommit();
}

// o += weights times values.
template <bool kF16, int kOutputs>
__device__ __forceinline__ void MultiplyValues(float (&o)[kOutputs], const uint32_t (&p)[kTileKeys / 16][4], uint64_t values) {
  WgmmaFence();
#pragma unroll
  for (int k = 0; k < kTileKeys / 16; ++k) {
    if constexpr (kF16) {
      WgmmaF16<Major::kOther>(o, p[k], WgmmaAdvance(values, k * 16 * 128), true);
    } else {
      WgmmaBf16<Major::kOther>(o, p[k], WgmmaAdvance(values, k * 16 * 128), true);
    }
  }
  WgmmaCommit();
}

// Infinite and NaN values of a masked tile, which were zero in the product, to the rows that see them. Of the weights it only matters
// which are zero: the others make infinity of infinity.
template <bool kF16, int kOutputs>
__device__ __forceinline__ void AddUnfinite(const AttentionArgs& args, const AttentionItemSm90& item, int32_t tile, const int32_t (&end)[2],
                                            const uint32_t* unfinite, const uint32_t (&p)[kTileKeys / 16][4], float (&o)[kOutputs]) {
  constexpr int kDim = 2 * kOutputs;
  const uint4 words = *reinterpret_cast<const uint4*>(unfinite);
  __syncwarp();  // all have read them before one says that the tile is free
  if ((words.x | words.y | words.z | words.w) == 0) return;
  const RowBlock& block = args.blocks[item.block];
  const int32_t* pages = args.page_table + block.sequence * args.page_table_stride;
  const Visible visible[2] = {VisibleUpTo(block, end[0]), VisibleUpTo(block, end[1])};
  uint32_t weighs[2] = {0, 0};  // bit i + 16 e: the weight of key 8 i + 2 (lane % 4) + e is not 0
#pragma unroll
  for (int i = 0; i < kTileKeys / 8; ++i) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      // What is added carries into the sign of whatever is not 0.
      const uint32_t pair = (p[i / 2][i % 2 * 2 + r] & 0x7FFF7FFFu) + 0x7FFF7FFFu;
      weighs[r] |= pair >> (15 - i) & 0x00010001u << i;
    }
  }
#pragma unroll 1
  for (int32_t key = 0; key < kTileKeys; ++key) {
    const uint32_t word = key < 32 ? words.x : key < 64 ? words.y : key < 96 ? words.z : words.w;
    if ((word >> key % 32 & 1) == 0) continue;
    const int32_t index = tile * kTileKeys + key;
    const unsigned char* row = args.pool.data + args.pool.Block(args.layer, pages[index / LANES_PAGE_TOKENS], item.kv_head) +
                               args.pool.Values() + static_cast<int64_t>(index % LANES_PAGE_TOKENS) * kDim * 2;
    float weight[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const uint32_t of_owner = __shfl_sync(0xffffffffu, weighs[r], threadIdx.x % 32 / 4 * 4 + key % 8 / 2);
      weight[r] = of_owner >> (key / 8 + key % 2 * 16) & 1 ? 1.f : 0.f;
    }
    const bool sees[2] = {visible[0].Sees(index), visible[1].Sees(index)};
#pragma unroll
    for (int j = 0; j < kDim / 8; ++j) {
      const uint32_t pair = *reinterpret_cast<const uint32_t*>(row + (8 * j + threadIdx.x % 4 * 2) * 2);
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const auto bits = static_cast<uint16_t>(pair >> e * 16);
        const float value = kF16 ? FromF16(bits) : FromBf16(bits);
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          const float sum = fmaf(weight[r], value, o[4 * j + 2 * r + e]);
          o[4 * j + 2 * r + e] = sees[r] && !isfinite(value) ? sum : o[4 * j + 2 * r + e];
        }
      }
    }
  }
}

// What a warpgroup keeps in shared memory until an item ends, since its registers are full of the split at hand: T, of which each thread
// has a place of its own, and for each row (M, L) of the splits before and (m, l) of the one that closes.
template <int kOutputs>
class Totals {
 public:
  // `tile`: [kOutputs / 4][128] float4, `sums`: [64] float4, of this warpgroup.
  __device__ __forceinline__ Totals(unsigned char* tile, unsigned char* sums, int32_t thread)
      : tile_(reinterpret_cast<float4*>(tile) + thread), sums_(reinterpret_cast<float4*>(sums) + FirstRow(0, thread)) {}

  __device__ __forceinline__ void Reset() {
    if (threadIdx.x % 4 == 0) sums_[0] = sums_[8] = make_float4(MinusInfinity(), 0.f, 0.f, 0.f);
    __syncwarp();
  }

  // First its maximum and sum, so that their registers are free again, ...
  __device__ __forceinline__ void BeginClose(const RowState& split) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float sum = SumOfQuad(split.sum[r]);
      if (threadIdx.x % 4 == 0) reinterpret_cast<float2*>(sums_ + 8 * r)[1] = make_float2(split.maximum[r], sum);
    }
    __syncwarp();
  }
  // ... then its output, which begins with zero again.
  __device__ __forceinline__ void EndClose(float (&o)[kOutputs]) {
    RowTotal rows[2];
    const Empty empty = Load(rows);
    __syncwarp();
    if (threadIdx.x % 4 == 0) {
      *reinterpret_cast<float2*>(sums_) = make_float2(rows[0].maximum, rows[0].sum);
      *reinterpret_cast<float2*>(sums_ + 8) = make_float2(rows[1].maximum, rows[1].sum);
    }
#pragma unroll
    for (int j = 0; j < kOutputs / 4; ++j) {
      tile_[j * 128] = Merge(rows, empty, j, &o[4 * j]);
      o[4 * j] = o[4 * j + 1] = o[4 * j + 2] = o[4 * j + 3] = 0.f;
    }
  }

  struct Empty {
    bool row[2];
  };
  // (M, L) with the closed split, and whether there was any before it.
  __device__ __forceinline__ Empty Load(RowTotal (&rows)[2]) const {
    Empty empty;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float4 sums = sums_[8 * r];
      rows[r].maximum = sums.x;
      rows[r].sum = sums.y;
      empty.row[r] = sums.y == 0.f;
      rows[r].Add(sums.z, sums.w);
    }
    return empty;
  }
  __device__ __forceinline__ float4 Merge(const RowTotal (&rows)[2], const Empty& empty, int j, const float* o) const {
    float4 t = tile_[j * 128];
    if (empty.row[0]) t.x = t.y = 0.f;
    if (empty.row[1]) t.z = t.w = 0.f;
    return make_float4(rows[0].Merge(t.x, o[0]), rows[0].Merge(t.y, o[1]), rows[1].Merge(t.z, o[2]), rows[1].Merge(t.w, o[3]));
  }
  // (m, l) of the closed split.
  __device__ __forceinline__ float2 Split(int r) const { return reinterpret_cast<const float2*>(sums_ + 8 * r)[1]; }

 private:
  float4* const tile_;
  float4* const sums_;
};

// The last split, which has begun to close, and with it the results; or a split that is all of the item.
template <int kOutputs>
__device__ __forceinline__ void Finish(const AttentionArgs& args, const AttentionItemSm90& item, int32_t first_row, int32_t column,
                                       const float (&o)[kOutputs], const Totals<kOutputs>& totals) {
  constexpr int kDim = 2 * kOutputs;
  const RowBlock block = args.blocks[item.block];
  const bool stores[2] = {first_row < block.rows, first_row + 8 < block.rows};
  RowTotal rows[2];
  const typename Totals<kOutputs>::Empty empty = totals.Load(rows);
  if (block.partial >= 0) {
    float* slot = args.partials + (static_cast<int64_t>(block.partial) * args.pool.kv_heads + item.kv_head) * args.slot_floats;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int32_t row = first_row + 8 * r;
      if (!stores[r]) continue;
      if (column == 0) {
        const float2 split = totals.Split(r);
        slot[static_cast<int64_t>(args.slot_rows) * kDim + row] = split.x;
        slot[static_cast<int64_t>(args.slot_rows) * (kDim + 1) + row] = split.y;
      }
#pragma unroll
      for (int j = 0; j < kOutputs / 4; ++j) {
        *reinterpret_cast<float2*>(slot + row * kDim + 8 * j + column) = make_float2(o[4 * j + 2 * r], o[4 * j + 2 * r + 1]);
      }
    }
    return;
  }
  const float reciprocal[2] = {1.f / rows[0].sum, 1.f / rows[1].sum};
  const bool bf16 = args.out_bf16 != nullptr;
  int64_t at[2];  // of pairs
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    at[r] = (Place(block, item.kv_head, args.group, kDim, first_row + 8 * r, args.out_stride) + column) / 2;
  }
#pragma unroll
  for (int j = 0; j < kOutputs / 4; ++j) {
    const float4 t = totals.Merge(rows, empty, j, &o[4 * j]);
    const float2 of_first = make_float2(FinishOutput(t.x, reciprocal[0]), FinishOutput(t.y, reciprocal[0]));
    const float2 of_second = make_float2(FinishOutput(t.z, reciprocal[1]), FinishOutput(t.w, reciprocal[1]));
    if (bf16) {
      auto* const out = reinterpret_cast<uint32_t*>(args.out_bf16) + 4 * j;
      if (stores[0]) out[at[0]] = PackBf16(of_first.x, of_first.y);
      if (stores[1]) out[at[1]] = PackBf16(of_second.x, of_second.y);
    } else {
      auto* const out = reinterpret_cast<float2*>(args.out) + 4 * j;
      if (stores[0]) out[at[0]] = of_first;
      if (stores[1]) out[at[1]] = of_second;
    }
  }
}

// Warpgroup number `warpgroup` of the consumers.
template <int kDim, bool kF16>
__device__ __forceinline__ void Consume(const AttentionArgsSm90& sm90, unsigned char* shared, int32_t warpgroup) {
  using Shape = AttentionShapeSm90<kDim>;
  constexpr int32_t kSplitTiles = kSplitKeys / kTileKeys;
  constexpr int kStages = Shape::kStages;
  const AttentionArgs& args = sm90.attention;
  auto* barriers = reinterpret_cast<Barriers<Shape::kStages>*>(shared + Shape::kBarriers);
  unsigned char* const query_tile = shared + warpgroup * Shape::kQueryBytes;
  unsigned char* const total_tile = shared + Shape::kTotals + warpgroup * Shape::kTotalBytes;
  unsigned char* const total_sums = shared + Shape::kSums + warpgroup * Shape::kSumBytes;
  const uint64_t query_descriptor = WgmmaDescriptor(query_tile), key_descriptor = WgmmaDescriptor(shared + Shape::kKeys),
                 value_descriptor = WgmmaDescriptorOther(shared + Shape::kValues, kSlabBytes);
  const int32_t query_barrier = kQueryBarrier + warpgroup, turn = kTurnBarrier + warpgroup;
  const int32_t next_turn = kTurnBarrier + (warpgroup + 1 == Shape::kConsumers ? 0 : warpgroup + 1);
  uint32_t n = 0;

  // Products are issued in turns, which begin with the first warpgroup: here is the arrival that it waits for, and at the end the wait
  // that takes the last one away.
  if (warpgroup == Shape::kConsumers - 1) NamedBarrierArrive(next_turn, 256);

  Queries<kDim, kF16> queries;
  int32_t i = sm90.item_begin[blockIdx.x];
  queries.Fetch(args, sm90.items[i], warpgroup, ThreadFor(i));
#pragma unroll 1
  for (;;) {
    const int32_t thread = ThreadFor(i), column = thread % 4 * 2;
    queries.Store(args.factor, query_tile, reinterpret_cast<float*>(shared + Shape::kPowers + warpgroup * Shape::kPowerBytes), thread);
    ProxyFence();
    NamedBarrierSync(query_barrier, 128);

    AttentionTilesSm90 tiles;
    int32_t end[2];
    {
      const RowBlock& block = args.blocks[sm90.items[i].block];
      const BlockView view = ViewOf(block, args.causal != 0, args.group);
      tiles = AttentionTilesOf(block, view);
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int32_t of_thread = FirstRow(warpgroup, thread) + 8 * r, row = of_thread < block.rows ? of_thread : block.rows - 1;
        const uint32_t token = (static_cast<uint32_t>(block.row_begin) + row) / static_cast<uint32_t>(args.group);
        end[r] = static_cast<int32_t>(VisibleTo(block, args.causal != 0, token).end);
      }
    }

    float s[kTileKeys / 2], o[kDim / 2] = {}, alpha[2];
    uint32_t p[kTileKeys / 16][4];
    RowState rows = EmptyRows();
    Totals<kDim / 2> totals(total_tile, total_sums, thread);
    totals.Reset();
    int32_t tile = tiles.First();
    BarrierWait(&barriers->key_full[StageOf<kStages>(n)], ParityOf<kStages>(n));
    MultiplyKeys<kDim, kF16>(s, query_descriptor, WgmmaAdvance(key_descriptor, StageOf<kStages>(n) * Shape::kTileBytes));
    WgmmaWait<0>();
    WgmmaHold(s);
    if (threadIdx.x % 32 == 0) BarrierArrive(&barriers->key_empty[StageOf<kStages>(n)]);
    if (!tiles.Whole(tile)) MaskScores(s, end, tile * kTileKeys + column, args.blocks[sm90.items[i].block]);
    RaiseMaximumOf<kDim, kF16>(s, tile, &rows, alpha);
    RoundWeights<kF16>(s, alpha, &rows, p);

    // Tile `tile`, number n of the block, has its weights; `left` more are to come.
#pragma unroll 1
    for (int32_t left = tiles.Count() - 1; left > 0; --left) {
      const uint32_t stage = StageOf<kStages>(n), next_stage = StageOf<kStages>(n + 1);
      const int32_t next = tiles.After(tile);
      BarrierWait(&barriers->key_full[next_stage], ParityOf<kStages>(n + 1));
      NamedBarrierSync(turn, 256);
      HoldOperands(o, p);
      MultiplyKeys<kDim, kF16>(s, query_descriptor, WgmmaAdvance(key_descriptor, next_stage * Shape::kTileBytes));
      BarrierWait(&barriers->value_full[stage], ParityOf<kStages>(n));
      MultiplyValues<kF16>(o, p, WgmmaAdvance(value_descriptor, stage * Shape::kTileBytes));
      NamedBarrierArrive(next_turn, 256);
      WgmmaWait<1>();
      WgmmaHold(s);
      if (threadIdx.x % 32 == 0) BarrierArrive(&barriers->key_empty[next_stage]);
      if (!tiles.Whole(next)) MaskScores(s, end, next * kTileKeys + column, args.blocks[sm90.items[i].block]);
      const bool closes = next / kSplitTiles != tile / kSplitTiles;
      if (closes) {
        totals.BeginClose(rows);
        rows = EmptyRows();
      }
      RaiseMaximumOf<kDim, kF16>(s, next, &rows, alpha);
      if constexpr (Shape::kRoundsEarly) {
        SumRounded<kF16>(s, alpha, &rows);
        FinishBefore(rows.sum);
      }

      WgmmaWait<0>();
      WgmmaHold(o);
      if (!tiles.Whole(tile)) AddUnfinite<kF16>(args, sm90.items[i], tile, end, barriers->unfinite[stage], p, o);
      if (threadIdx.x % 32 == 0) BarrierArrive(&barriers->value_empty[stage]);
      if (closes) {
        totals.EndClose(o);
      } else {
        ScaleOutput(o, alpha);
      }
      if constexpr (Shape::kRoundsEarly) {
        PackRounded<kF16>(s, p);
      } else {
        RoundWeights<kF16>(s, alpha, &rows, p);
      }
      tile = next;
      ++n;
    }

    BarrierWait(&barriers->value_full[StageOf<kStages>(n)], ParityOf<kStages>(n));
    HoldOperands(o, p);
    MultiplyValues<kF16>(o, p, WgmmaAdvance(value_descriptor, StageOf<kStages>(n) * Shape::kTileBytes));
    WgmmaWait<0>();
    WgmmaHold(o);
    if (!tiles.Whole(tile)) AddUnfinite<kF16>(args, sm90.items[i], tile, end, barriers->unfinite[StageOf<kStages>(n)], p, o);
    if (threadIdx.x % 32 == 0) BarrierArrive(&barriers->value_empty[StageOf<kStages>(n)]);
    ++n;
    totals.BeginClose(rows);

    // The next queries are on their way while this item ends. (After the last one they are this item's again: a branch would move them
    // to memory.)
    const bool last = ++i == sm90.item_begin[blockIdx.x + 1];
    const int32_t again = ThreadFor(i);
    queries.Fetch(args, sm90.items[last ? i - 1 : i], warpgroup, again);
    Finish(args, sm90.items[i - 1], FirstRow(warpgroup, again), again % 4 * 2, o, Totals<kDim / 2>(total_tile, total_sums, again));
    if (last) break;
    NamedBarrierSync(query_barrier, 128);  // all have read the queries in shared memory
  }
  if (warpgroup == 0) NamedBarrierSync(turn, 256);
}

template <int kDim, bool kF16>
__global__ void __launch_bounds__(AttentionShapeSm90<kDim>::kThreads, 1)
    AttentionSm90Kernel(const __grid_constant__ AttentionArgsSm90 args) {
  using Shape = AttentionShapeSm90<kDim>;
  unsigned char* shared = SharedMemory();
  auto* barriers = reinterpret_cast<Barriers<Shape::kStages>*>(shared + Shape::kBarriers);
  if (threadIdx.x == 0) {
    TmaPrefetch(&args.keys_and_values);
    for (int32_t i = 0; i < Shape::kStages; ++i) {
      BarrierInit(&barriers->key_full[i], 1);
      BarrierInit(&barriers->value_full[i], 1);
      BarrierInit(&barriers->key_empty[i], Shape::kConsumers * 4);
      BarrierInit(&barriers->value_empty[i], Shape::kConsumers * 4);
    }
    BarrierInit(&barriers->landed, 1);
    BarrierInitFence();
  }
  __syncthreads();
  DependencyWait();
  DependencyLaunch();
  const int32_t warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0);
  if (warp < 4) {
    DecreaseRegisters<Shape::kProducerRegisters>();
    if (warp == 0) Producer<kDim, kF16>(args, shared, threadIdx.x).Run();
  } else {
    IncreaseRegisters<Shape::kConsumerRegisters>();
    Consume<kDim, kF16>(args, shared, warp / 4 - 1);
  }
}

template <int kDim, bool kF16>
void Launch(Device& device, const AttentionArgsSm90& args, int32_t grid) {
  using Shape = AttentionShapeSm90<kDim>;
  device.Launch({dim3(grid), dim3(Shape::kThreads), Shape::kSharedBytes, 1}, AttentionSm90Kernel<kDim, kF16>, args);
}

}  // namespace

int32_t Sm90Rows(const DeviceLimits& limits, const KvLayout& pool) {
  if (!limits.hopper || pool.element_bytes != 2 || !(pool.dtype == LANES_F16 ? limits.hopper_f16_bits : limits.hopper_bits)) return 0;
  if (pool.head_dim != pool.row || pool.block_bytes != 2 * pool.Values()) return 0;
  if (static_cast<int64_t>(pool.pages) * pool.kv_heads * 2 * LANES_PAGE_TOKENS > INT32_MAX) return 0;
  return pool.row == 64 ? AttentionShapeSm90<64>::kRows : pool.row == 128 ? AttentionShapeSm90<128>::kRows : 0;
}

bool LaunchSm90(Device& device, const AttentionArgs& args, const RowBlock* blocks, int32_t count) {
  const KvLayout& pool = args.pool;
  if (args.q_sink != nullptr || args.q_stride % 4 != 0 || reinterpret_cast<uintptr_t>(args.q) % 16 != 0) return false;
  // Results are written in pairs.
  if (args.out_stride % 2 != 0 || reinterpret_cast<uintptr_t>(args.out_bf16) % 4 != 0) return false;
  if (args.out_bf16 == nullptr && reinterpret_cast<uintptr_t>(args.out) % 8 != 0) return false;
  for (int32_t i = 0; i < count; ++i) {
    if (blocks[i].kv_len > INT32_MAX / args.group - kTileKeys) return false;  // rows and keys are counted in 32 bits
  }
  AttentionArgsSm90 sm90 = {};
  TensorMapParams map = {};
  const bool f16 = pool.dtype == LANES_F16;
  map.type = f16 ? TensorMapType::kF16 : TensorMapType::kBf16;
  map.rank = 2;
  map.data = pool.data + pool.Block(args.layer, 0, 0);
  map.size[0] = pool.row;
  map.size[1] = static_cast<uint64_t>(pool.pages) * pool.kv_heads * 2 * LANES_PAGE_TOKENS;
  map.stride_bytes[1] = static_cast<uint64_t>(pool.row) * 2;
  map.box[0] = kLineDims;
  map.box[1] = LANES_PAGE_TOKENS;
  map.swizzle = TensorMapSwizzle::k128;
  if (!EncodeTensorMap(map, &sm90.keys_and_values)) return false;
  const DeviceLimits& limits = device.limits();
  const AttentionScheduleSm90 schedule = PlanAttentionSm90(
      {blocks, count, args.causal != 0, args.group, pool.kv_heads, pool.row * 2, limits.l2_bytes, limits.multiprocessors});
  if (schedule.items.empty()) return false;
  sm90.attention = args;
  sm90.items = device.Stage(schedule.items.data(), static_cast<int64_t>(schedule.items.size()));
  sm90.item_begin = device.Stage(schedule.begin.data(), static_cast<int64_t>(schedule.begin.size()));
  const auto grid = static_cast<int32_t>(schedule.begin.size() - 1);
  if (pool.row == 64) {
    f16 ? Launch<64, true>(device, sm90, grid) : Launch<64, false>(device, sm90, grid);
  } else {
    f16 ? Launch<128, true>(device, sm90, grid) : Launch<128, false>(device, sm90, grid);
  }
  return true;
}

}  // namespace lanes::cuda
