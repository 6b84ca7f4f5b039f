// Keys and values on their way from pages to shared memory.
//
// They come in units: 128 keys, or the values of 128 keys, by kUnitDims dimensions; of each tile first all keys, then all values. A unit
// lies in shared memory as bfloat16 [kUnitDims / 64][128][64], rows of 128 bytes whose 16-byte chunks are permuted (chunk c of row r at
// c ^ (r & 7)), so that the eight rows of an 8x8 matrix lie in different banks.
#ifndef LANES_CUDA_ATTENTION_STREAM_CUH_
#define LANES_CUDA_ATTENTION_STREAM_CUH_

#include "cuda/attention/attention.h"
#include "cuda/common/ptx.cuh"

namespace lanes::cuda {

constexpr int kChunkDims = 64;       // of a row of 128 bytes
constexpr int kChunkBytes = kTileKeys * kChunkDims * 2;
constexpr int kScaleBytes = 2 * kTileKeys * 4;  // of a tile: its keys' scales, then its values'

// Byte offset of 8 elements in rows of 128 bytes.
__device__ __forceinline__ uint32_t Swizzled(uint32_t row, uint32_t chunk) { return row * 128 + ((chunk ^ (row & 7)) << 4); }

// Tiles that a block visits, ascending: those of sinks, then those of windows.
struct Tiles {
  int32_t sink_end, first, end;

  __device__ Tiles(const RowBlock& block, const BlockView& view) {
    constexpr int kTiles = kSplitKeys / kTileKeys;
    const int32_t split_end = block.split_end * kTiles;
    first = static_cast<int32_t>(view.first.begin / kTileKeys);
    end = static_cast<int32_t>((view.last.end + kTileKeys - 1) / kTileKeys);
    sink_end = static_cast<int32_t>((view.last.sink_end + kTileKeys - 1) / kTileKeys);
    if (end > split_end) end = split_end;
  }
  __device__ int32_t From(int32_t tile) const { return tile >= sink_end && tile < first ? first : tile; }
  __device__ int32_t Begin(const RowBlock& block) const { return From(block.split_begin * (kSplitKeys / kTileKeys)); }
  __device__ int32_t After(int32_t tile) const { return From(tile + 1); }
};

// What all threads of a block know of it, in shared memory: registers are short.
struct BlockState {
  RowBlock block;
  BlockView view;
  Tiles tiles;
  int32_t kv_head;
};
static_assert(sizeof(BlockState) <= kStateBytes);

// The block that this thread block takes, at the beginning of its shared memory; null when there is nothing to do. All threads.
__device__ __forceinline__ const BlockState* TakeBlock(const AttentionArgs& args) {
  const uint32_t count = static_cast<uint32_t>(args.block_count);
  const RowBlock* const from = args.blocks + blockIdx.x % count;
  if (from->rows == 0) return nullptr;
  BlockState* const state = reinterpret_cast<BlockState*>(SharedMemory());
  if (threadIdx.x == 0) {
    const RowBlock block = *from;
    const BlockView view = ViewOf(block, args.causal != 0, args.group);
    *state = {block, view, Tiles(block, view), static_cast<int32_t>(blockIdx.x / count)};
  }
  __syncthreads();
  return state;
}

// Walks a block's tiles and the splits they lie in. `rows` has BeginSplit(), RunTile(first key) and EndSplit(whether it is the last),
// which all threads enter together. A block without a tile has one split all the same, an empty one.
template <class Rows>
__device__ __forceinline__ void VisitTiles(const BlockState& state, Rows* rows) {
  constexpr int32_t kTiles = kSplitKeys / kTileKeys;
  const Tiles& tiles = state.tiles;
  int32_t tile = tiles.Begin(state.block);
  bool last;
  do {
    rows->BeginSplit();
    for (const int32_t split = tile / kTiles; tile < tiles.end && tile / kTiles == split; tile = tiles.After(tile)) {
      rows->RunTile(static_cast<int64_t>(tile) * kTileKeys);
    }
    last = tile >= tiles.end;
    if (last) DependencyLaunch();
    rows->EndSplit(last);
  } while (!last);
}

// Keys [0, sink) and [begin, end) of a tile.
struct Span {
  int32_t sink, begin, end;

  __device__ bool Sees(int32_t key) const { return key < sink || (key >= begin && key < end); }
};

__device__ __forceinline__ int32_t ClampToTile(int64_t key) {
  return key < 0 ? 0 : key > kTileKeys ? kTileKeys : static_cast<int32_t>(key);
}
__device__ __forceinline__ Span SpanOf(int64_t sink_end, int64_t begin, int64_t end, int64_t tile_key) {
  return {ClampToTile(sink_end - tile_key), ClampToTile(begin - tile_key), ClampToTile(end - tile_key)};
}

// Of a row of the block; rows behind its last one see what that sees.
__device__ __forceinline__ Span SpanOfRow(const BlockState& state, const AttentionArgs& args, int32_t row, int64_t tile_key) {
  const RowBlock& block = state.block;
  row = row < block.rows ? row : block.rows - 1;
  const Visible visible = VisibleTo(block, args.causal != 0, (block.row_begin + row) / args.group);
  return SpanOf(visible.sink_end, visible.begin, visible.end, tile_key);
}

// Row `r` of the block in `q`, which is args.q or args.q_sink.
__device__ __forceinline__ const float* QueryOf(const AttentionArgs& args, const BlockState& state, const float* q, int32_t r) {
  const int64_t row = state.block.row_begin + r, head = state.kv_head * static_cast<int64_t>(args.group) + row % args.group;
  return q + (state.block.first_token + row / args.group) * args.q_stride + head * args.pool.head_dim;
}

__device__ __forceinline__ void WaitForAllBut(int32_t pending) {
  switch (pending) {
    case 0: CopyAsyncWait<0>(); break;
    case 1: CopyAsyncWait<1>(); break;
    case 2: CopyAsyncWait<2>(); break;
    case 3: CopyAsyncWait<3>(); break;
    default: CopyAsyncWait<4>(); break;
  }
}

constexpr int kMinStages = 2, kMaxStages = 6;

// All of a block's units, in order. Every thread of the block makes the same calls.
template <int kThreads, int kUnitDims, bool kS8>
class UnitStream {
 public:
  static constexpr int kUnitBytes = kTileKeys * kUnitDims * 2;                              // as bfloat16
  static constexpr int kStageBytes = kS8 ? kUnitBytes / 2 + kScaleBytes : kUnitBytes;       // of the ring
  static constexpr int kFixedBytes = kS8 ? 2 * kUnitBytes + kScaleBytes : 0;                // besides the ring

  // `units`: of a tile's keys. `memory`: kFixedBytes and args.stages * kStageBytes.
  __device__ UnitStream(const AttentionArgs& args, const BlockState* state, int32_t units, unsigned char* memory)
      : args_(args), state_(state), memory_(memory), units_(units), tile_(state->tiles.Begin(state->block)) {
    next_pages_[0] = next_pages_[1] = -1;
    FetchPages(tile_);
    BeginTile();
    for (int32_t i = 0; i < args.stages - 1; ++i) Issue();
  }

  // The next unit, which stays until the call after this one. All that the block's threads wrote to shared memory before this call can
  // be seen after it.
  __device__ const unsigned char* Next() {
    WaitForAllBut(args_.stages - 2);
    if constexpr (kS8) {
      unsigned char* unit = memory_ + (odd_ ? kUnitBytes : 0);
      odd_ = !odd_;
      Widen(Stage(out_), unit);
      Advance(&out_);
      Issue();
      __syncthreads();
      return unit;
    } else {
      __syncthreads();
      const unsigned char* unit = Stage(out_);
      Advance(&out_);
      Issue();
      return unit;
    }
  }

  // INT8: scales of the keys of the tile whose first unit has come, and of their values.
  __device__ const float* KeyScales() const { return reinterpret_cast<const float*>(memory_ + 2 * kUnitBytes); }
  __device__ const float* ValueScales() const { return KeyScales() + kTileKeys; }

 private:
  static constexpr int kPerChunk = kS8 ? 16 : 8;                    // elements in 16 bytes
  static constexpr int kChunks = kUnitDims / kPerChunk;             // 16-byte chunks of a key
  static constexpr int kKeyStep = kThreads / kChunks;               // keys from one of a thread's copies to the next
  static constexpr int kCopies = kTileKeys / kKeyStep;
  static_assert(kKeyStep <= LANES_PAGE_TOKENS && LANES_PAGE_TOKENS % kKeyStep == 0 && kThreads % kChunks == 0);
  static_assert(kTileKeys == 2 * LANES_PAGE_TOKENS);

  __device__ unsigned char* Stage(int32_t stage) const { return memory_ + kFixedBytes + stage * kStageBytes; }
  __device__ void Advance(int32_t* stage) const { *stage = *stage + 1 == args_.stages ? 0 : *stage + 1; }

  // Pages of a tile, as far as something of them is to be loaded.
  __device__ void FetchPages(int32_t tile) {
    if (tile >= state_->tiles.end) return;
    const int32_t* const pages = args_.page_table + state_->block.sequence * args_.page_table_stride;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int64_t page = 2 * static_cast<int64_t>(tile) + i;
      next_pages_[i] = state_->view.Touches(page * LANES_PAGE_TOKENS, LANES_PAGE_TOKENS) ? pages[page] : -1;
    }
  }

  __device__ void BeginTile() {
    if (tile_ >= state_->tiles.end) return;
    const int64_t key = static_cast<int64_t>(tile_) * kTileKeys;
    loads_ = SpanOf(state_->view.last.sink_end, state_->view.first.begin, state_->view.last.end, key);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      block_[i] = args_.pool.data + args_.pool.Block(args_.layer, next_pages_[i] < 0 ? 0 : next_pages_[i], state_->kv_head);
    }
    FetchPages(state_->tiles.After(tile_));
  }

  __device__ void Issue() {
    if (tile_ < state_->tiles.end) {
      const bool values = part_ >= units_;
      Copy(Stage(in_), values, values ? part_ - units_ : part_);
      Advance(&in_);
      if (++part_ == 2 * units_) {
        part_ = 0;
        tile_ = state_->tiles.After(tile_);
        BeginTile();
      }
    }
    CopyAsyncCommit();
  }

  __device__ void Copy(unsigned char* to, bool values, int32_t unit) const {
    constexpr int kBytes = kS8 ? 1 : 2;
    const int32_t chunk = threadIdx.x % kChunks, first_key = threadIdx.x / kChunks;
    const int32_t dim = unit * kUnitDims + chunk * kPerChunk;
    const bool has_dim = dim < args_.pool.row;
    const int64_t row_bytes = static_cast<int64_t>(args_.pool.row) * kBytes;
    const int64_t offset = (values ? args_.pool.Values() : args_.pool.Keys()) + dim * kBytes;
#pragma unroll
    for (int i = 0; i < kCopies; ++i) {
      const int32_t key = first_key + i * kKeyStep;
      const unsigned char* from = block_[i * kKeyStep / LANES_PAGE_TOKENS] + offset + (key % LANES_PAGE_TOKENS) * row_bytes;
      const bool valid = has_dim && loads_.Sees(key);
      CopyAsync16(to + Place(key, chunk), valid ? from : args_.pool.data, valid);
    }
    if constexpr (kS8) {
      if (!values && unit == 0 && threadIdx.x < kScaleBytes / 16) CopyScales(to + kUnitBytes / 2);
    }
  }

  // Scales come in fours; those that nobody may load are zero, or not looked at.
  __device__ void CopyScales(unsigned char* to) const {
    const int32_t key = threadIdx.x * 4 % kTileKeys;
    const bool of_values = threadIdx.x * 4 >= kTileKeys;
    const bool valid = loads_.Sees(key) || loads_.Sees(key + 1) || loads_.Sees(key + 2) || loads_.Sees(key + 3);
    const int64_t scales = of_values ? args_.pool.ValueScales() : args_.pool.KeyScales();
    const unsigned char* from = (key < LANES_PAGE_TOKENS ? block_[0] : block_[1]) + scales + key % LANES_PAGE_TOKENS * 4;
    CopyAsync16(to + threadIdx.x * 16, valid ? from : args_.pool.data, valid);
  }

  // Of 16-byte chunk `chunk` of a key in a stage.
  static __device__ uint32_t Place(int32_t key, int32_t chunk) {
    return kS8 ? key * kUnitDims + chunk * 16 : (chunk / 8) * kChunkBytes + Swizzled(key, chunk % 8);
  }

  // A thread widens what it copied itself, so it waits for nobody.
  __device__ void Widen(const unsigned char* stage, unsigned char* unit) {
    const int32_t chunk = threadIdx.x % kChunks, first_key = threadIdx.x / kChunks;
#pragma unroll
    for (int i = 0; i < kCopies; ++i) {
      const int32_t key = first_key + i * kKeyStep;
      const uint4 elements = *reinterpret_cast<const uint4*>(stage + Place(key, chunk));
      const uint2 a = Widen4(elements.x), b = Widen4(elements.y), c = Widen4(elements.z), d = Widen4(elements.w);
      unsigned char* to = unit + chunk * 2 / 8 * kChunkBytes;
      *reinterpret_cast<uint4*>(to + Swizzled(key, chunk * 2 % 8)) = make_uint4(a.x, a.y, b.x, b.y);
      *reinterpret_cast<uint4*>(to + Swizzled(key, chunk * 2 % 8 + 1)) = make_uint4(c.x, c.y, d.x, d.y);
    }
    if (part_out_ == 0 && threadIdx.x < kScaleBytes / 16) {
      *reinterpret_cast<uint4*>(memory_ + 2 * kUnitBytes + threadIdx.x * 16) =
          *reinterpret_cast<const uint4*>(stage + kUnitBytes / 2 + threadIdx.x * 16);
    }
    part_out_ = part_out_ + 1 == 2 * units_ ? 0 : part_out_ + 1;
  }

  // Four int8 elements as bfloat16, exactly: 2^23 + 128 + element is a float32 whose last bits are those of element + 128.
  static __device__ __forceinline__ uint2 Widen4(uint32_t elements) {
    const uint32_t shifted = elements ^ 0x80808080u;
    uint32_t bits[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) bits[i] = __float_as_uint(__uint_as_float(0x4B000000u | (shifted >> 8 * i & 0xFFu)) - 8388736.0f);
    return make_uint2(bits[0] >> 16 | (bits[1] & 0xFFFF0000u), bits[2] >> 16 | (bits[3] & 0xFFFF0000u));
  }

  const AttentionArgs& args_;  // no address but that of the kernel's arguments: a class that knows its own parts' stays in memory
  const BlockState* const state_;
  unsigned char* const memory_;
  const int32_t units_;
  // Of the unit that is copied next.
  int32_t tile_, part_ = 0, in_ = 0;
  Span loads_;
  const unsigned char* block_[2];
  int32_t next_pages_[2];
  // Of the unit that is handed out next.
  int32_t out_ = 0, part_out_ = 0;
  bool odd_ = false;
};

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_STREAM_CUH_
