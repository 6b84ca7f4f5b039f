// EXACT: float32 without tensor cores. A block of threads holds tiles of scores and of the output in registers, rows by keys and rows by
// columns; scores go through shared memory, where a warp makes a row's weights.
#ifndef LANES_CUDA_ATTENTION_EXACT_CUH_
#define LANES_CUDA_ATTENTION_EXACT_CUH_

#include "cuda/attention/kernels.h"
#include "cuda/attention/output.cuh"
#include "cuda/attention/stream.cuh"
#include "cuda/common/elements.cuh"

namespace lanes::cuda {

// 2^x for x <= 0, 0 below 2^-127, NaN for NaN: the polynomial of the CPU, relative error 2e-9 before rounding.
__device__ __forceinline__ float Exp2Polynomial(float x) {
  // Adding this rounds to an integer, and leaves that integer plus the exponent's bias in the lowest bits.
  const float magic = 12582912.0f + 127.0f;
  x = x < -127.0f ? -127.0f : x;
  const float shifted = x + magic;
  const float f = x - (shifted - magic);
  float p = 1.535331248e-4f;
  p = fmaf(p, f, 1.339886105e-3f);
  p = fmaf(p, f, 9.618437849e-3f);
  p = fmaf(p, f, 5.550332367e-2f);
  p = fmaf(p, f, 2.402264774e-1f);
  p = fmaf(p, f, 6.931471825e-1f);
  p = fmaf(p, f, 1.0f);
  return p * __uint_as_float(__float_as_uint(shifted) << 23);
}

struct Bf16Bits {
  uint16_t bits;
};
struct F16Bits {
  uint16_t bits;
};
__device__ __forceinline__ float Widen(float x) { return x; }
__device__ __forceinline__ float Widen(Bf16Bits x) { return FromBf16(x.bits); }
__device__ __forceinline__ float Widen(F16Bits x) { return FromF16(x.bits); }
__device__ __forceinline__ float4 Widen4(const float* x) { return *reinterpret_cast<const float4*>(x); }
__device__ __forceinline__ float4 Widen4(const Bf16Bits* x) { return LoadFourElements(x, LANES_BF16, 0); }
__device__ __forceinline__ float4 Widen4(const F16Bits* x) { return LoadFourElements(x, LANES_F16, 0); }

// Keys and values in the order of their use: of each tile its keys [128][32 dimensions], then its values [some keys][row].
template <class Element>
class ExactStream {
  static constexpr int kBytes = sizeof(Element);
  static constexpr int kPerCopy = 16 / kBytes;

 public:
  static constexpr int kKeyStride = ExactKeyStride(kBytes);

  __device__ ExactStream(const AttentionArgs& args, const BlockState* state, unsigned char* memory)
      : args_(args),
        state_(state),
        memory_(memory),
        value_keys_(ExactValueKeys(args.pool.row, kBytes)),
        key_units_((args.pool.row + kExactKeyDims - 1) / kExactKeyDims),
        tile_(state->tiles.Begin(state->block)) {
    Issue();
  }

  __device__ int32_t KeyUnits() const { return key_units_; }
  __device__ int32_t ValueKeys() const { return value_keys_; }

  // The next unit, which stays until the call after this one. All that the block's threads wrote to shared memory before can be seen.
  __device__ const Element* Next() {
    CopyAsyncWait<0>();
    __syncthreads();
    const unsigned char* const unit = memory_ + (odd_ ? 0 : ExactBufferBytes(kBytes));  // Issue has turned it
    Issue();
    return reinterpret_cast<const Element*>(unit);
  }

 private:
  __device__ void Issue() {
    if (tile_ < state_->tiles.end) {
      unsigned char* const to = memory_ + (odd_ ? ExactBufferBytes(kBytes) : 0);
      const int64_t key = static_cast<int64_t>(tile_) * kTileKeys;
      const Span loads = SpanOf(state_->view.last.sink_end, state_->view.first.begin, state_->view.last.end, key);
      if (part_ < key_units_) {
        CopyKeys(to, loads);
      } else {
        CopyValues(to, loads, (part_ - key_units_) * value_keys_);
      }
      if (++part_ == key_units_ + kTileKeys / value_keys_) {
        part_ = 0;
        tile_ = state_->tiles.After(tile_);
      }
    }
    odd_ = !odd_;
    CopyAsyncCommit();
  }

  __device__ const unsigned char* Block(int32_t key) const {
    const int32_t* const pages = args_.page_table + state_->block.sequence * args_.page_table_stride;
    const int32_t page = pages[static_cast<int64_t>(tile_) * (kTileKeys / LANES_PAGE_TOKENS) + key / LANES_PAGE_TOKENS];
    return args_.pool.data + args_.pool.Block(args_.layer, page, state_->kv_head);
  }

  __device__ void CopyKeys(unsigned char* to, const Span& loads) const {
    constexpr int32_t kCopies = kExactKeyDims / kPerCopy;
    for (int32_t i = threadIdx.x; i < kTileKeys * kCopies; i += kExactThreads) {
      const int32_t key = i / kCopies, dim = part_ * kExactKeyDims + i % kCopies * kPerCopy;
      if (dim >= args_.pool.row) continue;
      const bool valid = loads.Sees(key);
      const int64_t at = args_.pool.Keys() + (key % LANES_PAGE_TOKENS * static_cast<int64_t>(args_.pool.row) + dim) * kBytes;
      CopyAsync16(to + (key * kKeyStride + i % kCopies * kPerCopy) * kBytes, valid ? Block(key) + at : args_.pool.data, valid);
    }
  }

  __device__ void CopyValues(unsigned char* to, const Span& loads, int32_t first_key) const {
    const int32_t copies = args_.pool.row / kPerCopy;
    for (int32_t i = threadIdx.x; i < value_keys_ * copies; i += kExactThreads) {
      const int32_t key = first_key + i / copies;
      const bool valid = loads.Sees(key);
      const int64_t at =
          args_.pool.Values() + (key % LANES_PAGE_TOKENS * static_cast<int64_t>(args_.pool.row) + i % copies * kPerCopy) * kBytes;
      CopyAsync16(to + i * 16, valid ? Block(key) + at : args_.pool.data, valid);
    }
  }

  const AttentionArgs& args_;
  const BlockState* const state_;
  unsigned char* const memory_;
  const int32_t value_keys_, key_units_;
  int32_t tile_, part_ = 0;  // of the unit that is copied next
  bool odd_ = false;
};

// Threads are kRowThreads by kKeyThreads: one takes rows y + kRowThreads i, keys x + kKeyThreads j, and columns likewise.
template <class Element, int kRows, int kMaxDim>
class Exact {
  static constexpr int kKeyThreads = kRows == 64 ? 16 : kRows == 16 ? 64 : 128;
  static constexpr int kRowThreads = kExactThreads / kKeyThreads;
  static constexpr int kMyRows = kRows / kRowThreads;
  static constexpr int kMyKeys = kTileKeys / kKeyThreads;
  static constexpr int kMyCols = kMaxDim / kKeyThreads;

 public:
  __device__ Exact(const AttentionArgs& args, const BlockState* state)
      : args_(args),
        state_(state),
        q_(reinterpret_cast<float*>(SharedMemory() + kStateBytes)),
        q_sink_(q_ + kRows * args.pool.row),
        scores_(args.q_sink != nullptr ? q_sink_ + kRows * args.pool.row : q_sink_),
        maximum_(scores_ + kRows * kExactScoreStride),
        sum_(maximum_ + kRows),
        alpha_(sum_ + kRows),
        totals_(reinterpret_cast<RunningTotal*>(alpha_ + kRows)),
        x_(threadIdx.x % kKeyThreads),
        y_(threadIdx.x / kKeyThreads),
        stream_(args, state, reinterpret_cast<unsigned char*>(totals_ + kRows)) {}

  __device__ void Run() {
    LoadQueries(args_.q, q_);
    if (Sinks() > 0) LoadQueries(args_.q_sink, q_sink_);
    if (threadIdx.x < kRows) totals_[threadIdx.x] = RunningTotal();
    VisitTiles(*state_, this);
  }

  // For VisitTiles. The rows' numbers are read behind the stream's next barrier.
  __device__ void BeginSplit() {
    if (threadIdx.x < kRows) {
      maximum_[threadIdx.x] = MinusInfinity();
      sum_[threadIdx.x] = 0;
    }
#pragma unroll
    for (int i = 0; i < kMyRows * kMyCols; ++i) o_[i] = 0;
  }

  __device__ void RunTile(int64_t tile_key) {
    const bool masked = !state_->view.Whole(tile_key);
    float s[kMyRows * kMyKeys];
#pragma unroll
    for (int i = 0; i < kMyRows * kMyKeys; ++i) s[i] = 0;
    if (tile_key < Sinks()) {
      Scores<true>(s, ClampToTile(Sinks() - tile_key));
    } else {
      Scores<false>(s, 0);
    }
    StoreScores(s, masked, tile_key);
    __syncthreads();
    Softmax(masked, tile_key);
    AddValues(masked);
  }

  __device__ void EndSplit(bool last) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kMyRows; ++i) {
      if (Row(i) >= state_->block.rows) continue;
      RowOutput to(args_, state_->block, state_->kv_head, Row(i));
      RunningTotal total = totals_[Row(i)];
      to.Close<Exp2Polynomial>(maximum_[Row(i)], sum_[Row(i)], last, x_ == 0, &total);
#pragma unroll
      for (int c = 0; c < kMyCols; ++c) to.Write(x_ + kKeyThreads * c, o_[i * kMyCols + c]);
    }
    __syncthreads();
    if (threadIdx.x < kRows) {
      const RowTotal total = totals_[threadIdx.x].template With<Exp2Polynomial>(maximum_[threadIdx.x], sum_[threadIdx.x]);
      totals_[threadIdx.x] = {total.maximum, total.sum};
    }
  }

 private:
  __device__ int64_t Sinks() const { return args_.q_sink != nullptr ? state_->block.sinks : 0; }
  __device__ int32_t Row(int i) const { return y_ + kRowThreads * i; }
  __device__ int32_t Key(int j) const { return x_ + kKeyThreads * j; }

  __device__ void LoadQueries(const float* q, float* to) const {
    for (int32_t r = threadIdx.x / 32; r < kRows; r += kExactThreads / 32) {
      const float* const from = QueryOf(args_, *state_, q, r);
      for (int32_t d = threadIdx.x % 32; d < args_.pool.row; d += 32) {
        to[r * args_.pool.row + d] = r < state_->block.rows && d < args_.pool.head_dim ? from[d] * args_.factor : 0.0f;
      }
    }
  }

  // `sinks`: keys of the tile that take q_sink.
  template <bool kSinks>
  __device__ __forceinline__ void Scores(float (&s)[kMyRows * kMyKeys], int32_t sinks) {
    for (int32_t unit = 0; unit < stream_.KeyUnits(); ++unit) {
      const Element* const keys = stream_.Next();
      const int32_t first = unit * kExactKeyDims, dims = min(kExactKeyDims, args_.pool.row - first);
#pragma unroll 2
      for (int32_t d = 0; d < dims; d += 4) {
        float4 k[kMyKeys];
#pragma unroll
        for (int j = 0; j < kMyKeys; ++j) k[j] = Widen4(keys + Key(j) * ExactStream<Element>::kKeyStride + d);
#pragma unroll
        for (int i = 0; i < kMyRows; ++i) {
          const int32_t at = Row(i) * args_.pool.row + first + d;
          const float4 q = *reinterpret_cast<const float4*>(q_ + at);
          const float4 q_sink = kSinks ? *reinterpret_cast<const float4*>(q_sink_ + at) : q;
#pragma unroll
          for (int j = 0; j < kMyKeys; ++j) AddProducts(&s[i * kMyKeys + j], kSinks && Key(j) < sinks ? q_sink : q, k[j]);
        }
      }
    }
  }

  static __device__ __forceinline__ void AddProducts(float* s, const float4& q, const float4& k) {
    *s = fmaf(q.x, k.x, *s);
    *s = fmaf(q.y, k.y, *s);
    *s = fmaf(q.z, k.z, *s);
    *s = fmaf(q.w, k.w, *s);
  }

  __device__ void StoreScores(const float (&s)[kMyRows * kMyKeys], bool masked, int64_t tile_key) const {
#pragma unroll
    for (int i = 0; i < kMyRows; ++i) {
      Span span = {0, 0, kTileKeys};
      if (masked) span = SpanOfRow(*state_, args_, Row(i), tile_key);
#pragma unroll
      for (int j = 0; j < kMyKeys; ++j) {
        scores_[Row(i) * kExactScoreStride + Key(j)] = span.Sees(Key(j)) ? s[i * kMyKeys + j] : MinusInfinity();
      }
    }
  }

  // A warp makes a row's scores weights; those of keys that are not seen become -1.
  __device__ void Softmax(bool masked, int64_t tile_key) const {
    const int32_t lane = threadIdx.x % 32;
    for (int32_t r = threadIdx.x / 32; r < kRows; r += kExactThreads / 32) {
      float* const row = scores_ + r * kExactScoreStride + lane;
      float s[4], largest = maximum_[r];
      const float before = largest;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        s[i] = row[i * 32];
        largest = fmaxf(largest, s[i]);
      }
#pragma unroll
      for (int step = 16; step > 0; step /= 2) largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, step));
      const float base = largest == MinusInfinity() ? 0.0f : largest;
#pragma unroll
      for (int i = 0; i < 4; ++i) s[i] = Exp2Polynomial(s[i] - base);
      float sum = ((s[0] + s[1]) + s[2]) + s[3];
#pragma unroll
      for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
      Span span = {0, 0, kTileKeys};
      if (masked) span = SpanOfRow(*state_, args_, r, tile_key);
#pragma unroll
      for (int i = 0; i < 4; ++i) row[i * 32] = span.Sees(lane + i * 32) ? s[i] : -1.0f;
      __syncwarp();
      if (lane == 0) {
        const float alpha = Exp2Polynomial(before - base);
        maximum_[r] = largest;
        sum_[r] = fmaf(sum_[r], alpha, sum);
        alpha_[r] = alpha;
      }
    }
  }

  __device__ void AddValues(bool masked) {
    const int32_t keys = stream_.ValueKeys();
    for (int32_t first = 0; first < kTileKeys; first += keys) {
      const Element* const values = stream_.Next();
      if (first == 0) {
#pragma unroll
        for (int i = 0; i < kMyRows; ++i) {
          const float alpha = alpha_[Row(i)];
#pragma unroll
          for (int c = 0; c < kMyCols; ++c) o_[i * kMyCols + c] *= alpha;
        }
      }
      if (masked) {
        AddUnit<true>(values, first, keys);
      } else {
        AddUnit<false>(values, first, keys);
      }
    }
  }

  template <bool kMasked>
  __device__ __forceinline__ void AddUnit(const Element* values, int32_t first, int32_t keys) {
    for (int32_t key = 0; key < keys; key += 4) {
      float w[kMyRows][4];
#pragma unroll
      for (int i = 0; i < kMyRows; ++i) {
        const float4 four = *reinterpret_cast<const float4*>(scores_ + Row(i) * kExactScoreStride + first + key);
        w[i][0] = four.x;
        w[i][1] = four.y;
        w[i][2] = four.z;
        w[i][3] = four.w;
      }
#pragma unroll
      for (int k = 0; k < 4; ++k) {
#pragma unroll
        for (int c = 0; c < kMyCols; ++c) {
          const int32_t col = x_ + kKeyThreads * c;
          if (col >= args_.pool.row) break;
          const float value = Widen(values[(key + k) * args_.pool.row + col]);
#pragma unroll
          for (int i = 0; i < kMyRows; ++i) {
            float* const o = &o_[i * kMyCols + c];
            if (!kMasked || !(w[i][k] < 0)) *o = fmaf(w[i][k], value, *o);
          }
        }
      }
    }
  }

  const AttentionArgs& args_;
  const BlockState* const state_;
  float* const q_;
  float* const q_sink_;
  float* const scores_;   // [kRows][kExactScoreStride], which become weights
  float* const maximum_;  // [kRows], as the following
  float* const sum_;
  float* const alpha_;
  RunningTotal* const totals_;
  const int32_t x_, y_;
  ExactStream<Element> stream_;
  float o_[kMyRows * kMyCols];
};

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_EXACT_CUH_
