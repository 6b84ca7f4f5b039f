// Few rows: 16, with the eight warps of a block side by side. Of each tile a warp scores 16 keys; maxima and weights go through shared
// memory; then it takes an eighth of the output's columns over all 128 keys, so that each element stays one chain.
#ifndef LANES_CUDA_ATTENTION_DECODE_CUH_
#define LANES_CUDA_ATTENTION_DECODE_CUH_

#include "cuda/attention/kernels.h"
#include "cuda/attention/output.cuh"
#include "cuda/attention/values.cuh"

namespace lanes::cuda {

template <int kDim, Elements kElements>
class Decode {
  static constexpr bool kS8 = kElements == Elements::kS8, kF16 = kElements == Elements::kF16;
  static constexpr int kThreads = kDecodeWarps * 32;
  static constexpr int kUnitDims = DecodeUnitDims(kDim, kS8);
  static constexpr int kUnits = kDim / kUnitDims;
  static constexpr int kUnitChunks = kUnitDims / kChunkDims;
  static constexpr int kParts = kS8 ? 2 : 1;
  using BlockQueries = Queries<kDim, kElements>;
  static_assert(kTileKeys == 16 * kDecodeWarps && kChunkDims == 8 * kDecodeWarps);

  // What the warps tell each other, in shared memory.
  struct Exchange {
    unsigned char weights[kParts][2][kDecodeRows * 128];     // [64 keys][16 rows][64], swizzled
    float maximum[2][kDecodeWarps][kDecodeRows];             // of a warp's keys; tiles take turns
    float sum[kDecodeWarps][kDecodeRows][4];                 // u of step 5
    float split_sum[kDecodeRows];
  };
  static_assert(sizeof(Exchange) == DecodeExchangeBytes(kS8));

 public:
  using Stream = UnitStream<kThreads, kUnitDims, kS8>;

  __device__ Decode(const AttentionArgs& args, const BlockState* state)
      : args_(args),
        state_(state),
        exchange_(reinterpret_cast<Exchange*>(SharedMemory() + kStateBytes)),
        q_{SharedMemory() + kStateBytes + sizeof(Exchange), args.q_rows},
        q_sink_{q_.memory + BlockQueries::Bytes(args.q_rows), args.q_rows},
        sinks_(args.q_sink != nullptr ? state->block.sinks : 0),
        warp_(threadIdx.x / 32),
        stream_(args, state, kUnits, args.q_sink != nullptr ? q_sink_.memory + BlockQueries::Bytes(args.q_rows) : q_sink_.memory) {}

  __device__ void Run() {
    q_.Load(args_, *state_, args_.q);
    if (sinks_ > 0) q_sink_.Load(args_, *state_, args_.q_sink);
    VisitTiles(*state_, this);
  }

  // For VisitTiles.
  __device__ void BeginSplit() {
    rows_ = EmptyRows();
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i) o_[i] = 0;
  }

  __device__ __forceinline__ void RunTile(int64_t tile_key) {
    const bool masked = !state_->view.Whole(tile_key);
    const int32_t key = warp_ * 16;
    float s[8], alpha[2];
    Span span[2] = {};
    const int32_t sinks = ClampToTile(sinks_ - tile_key);
    MakeScores<1, kUnitDims>(s, q_, q_sink_, sinks, 0, key, &stream_);
    if constexpr (kS8) ScaleScores<1>(s, PowersOf(q_, q_sink_, Row(0), sinks), stream_.KeyScales(), key);
    if (masked) {
#pragma unroll
      for (int h = 0; h < 2; ++h) span[h] = SpanOfRow(*state_, args_, Row(h), tile_key);
      MaskScores<1>(s, span, key);
    }
    ShareMaximum(s, alpha);
    ShareWeights(s, key);
    ScaleOutput(o_, alpha);
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      const unsigned char* const unit = stream_.Next();
      if (u == 0) SumWeights(alpha);
      AddValues(unit, u, masked, span);
    }
  }

  __device__ void EndSplit(bool last) {
    const float quad = SumOfQuad(rows_.sum[0]);
    if (warp_ < 2 && threadIdx.x % 4 == 0) exchange_->split_sum[threadIdx.x / 4] = quad;
    __syncthreads();
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      if (Row(h) >= state_->block.rows) continue;
      RowOutput to(args_, state_->block, state_->kv_head, Row(h));
      to.Close(rows_.maximum[h], exchange_->split_sum[Row(h)], last, warp_ == 0 && threadIdx.x % 4 == 0, &total_[h]);
#pragma unroll
      for (int n = 0; n < kDim / kChunkDims; ++n) {
#pragma unroll
        for (int c = 0; c < 2; ++c) to.Write(n * kChunkDims + warp_ * 8 + threadIdx.x % 4 * 2 + c, o_[4 * n + 2 * h + c]);
      }
    }
  }

 private:
  __device__ int32_t Row(int h) const { return threadIdx.x % 32 / 4 + 8 * h; }

  // Scores become weights of the block's new maximum.
  __device__ __forceinline__ void ShareMaximum(float (&s)[8], float (&alpha)[2]) {
    float(&maxima)[kDecodeWarps][kDecodeRows] = exchange_->maximum[odd_ ? 1 : 0];
    odd_ = !odd_;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float largest = LargestScore(s, h);
      if (threadIdx.x % 4 == 0) maxima[warp_][Row(h)] = largest;
    }
    __syncthreads();
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float largest = maxima[0][Row(h)];
#pragma unroll
      for (int w = 1; w < kDecodeWarps; ++w) largest = fmaxf(largest, maxima[w][Row(h)]);
      MakeWeights<kF16>(s, h, largest, &rows_, alpha);
    }
  }

  // The stream's next unit comes after everyone has done this.
  __device__ __forceinline__ void ShareWeights(const float (&s)[8], int32_t key) {
    uint32_t weights[kParts][4];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float sum;
      if constexpr (kS8) {
        sum = SplitWeightsOf16(s, 0, h, stream_.ValueScales() + key, weights[0], weights[kParts - 1]);
      } else {
        sum = RoundWeightsOf16<kF16>(s, 0, h, weights[0]);
      }
      exchange_->sum[warp_][Row(h)][threadIdx.x % 4] = sum;
    }
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        // Row g or g + 8; the first or the second 8 keys.
        unsigned char* const to = exchange_->weights[part][warp_ / 4] + Swizzled(Row(i % 2), warp_ % 4 * 2 + i / 2);
        *reinterpret_cast<uint32_t*>(to + threadIdx.x % 4 * 4) = weights[part][i];
      }
    }
  }

  // Threads 0 to 63 keep the sums: of row thread / 4, which is one of their own, and part thread % 4.
  __device__ __forceinline__ void SumWeights(const float (&alpha)[2]) {
    if (warp_ >= 2) return;
    const int32_t row = threadIdx.x / 4, t = threadIdx.x % 4;
    float sum = exchange_->sum[0][row][t];
#pragma unroll
    for (int w = 1; w < kDecodeWarps; ++w) sum += exchange_->sum[w][row][t];
    rows_.sum[0] = fmaf(rows_.sum[0], warp_ == 0 ? alpha[0] : alpha[1], sum);
  }

  // Of each 64 dimensions this warp takes 8.
  __device__ __forceinline__ void AddValues(const unsigned char* unit, int u, bool masked, const Span (&span)[2]) {
    if constexpr (!kS8) {
      if (masked && HasUnseen(unit, span)) {
        AddRowByRow(unit, u, span);
        return;
      }
    }
#pragma unroll
    for (int step = 0; step < 8; step += 2) {
      uint32_t b[kUnitChunks][2][2];
#pragma unroll
      for (int c = 0; c < kUnitChunks; ++c) ValueFragmentOfKeys(b[c], unit, step * 16, c * 8 + warp_);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
#pragma unroll
        for (int part = 0; part < kParts; ++part) {
          uint32_t a[4];
          WeightFragment(a, part, step + i);
#pragma unroll
          for (int c = 0; c < kUnitChunks; ++c) Multiply<kF16>(o_ + (u * kUnitChunks + c) * 4, a, b[c][i]);
        }
      }
    }
  }

  __device__ __forceinline__ void WeightFragment(uint32_t (&a)[4], int part, int step) const {
    const int32_t lane = threadIdx.x % 32;
    LoadMatrixX4(a, exchange_->weights[part][step / 4] + Swizzled(lane % 16, step % 4 * 2 + lane / 16));
  }

  __device__ __forceinline__ bool HasUnseen(const unsigned char* unit, const Span (&span)[2]) const {
    bool found = false;
#pragma unroll
    for (int c = 0; c < kUnitChunks; ++c) found |= HasUnseenNonFinite<1, kF16>(unit, c * 8 + warp_, span);
    return found;
  }

  __device__ __forceinline__ void AddRowByRow(const unsigned char* unit, int u, const Span (&span)[2]) {
    uint32_t weights[8][4];
#pragma unroll
    for (int step = 0; step < 8; ++step) WeightFragment(weights[step], 0, step);
#pragma unroll
    for (int c = 0; c < kUnitChunks; ++c) AddValuesRowByRow<1, kF16>(o_ + (u * kUnitChunks + c) * 4, weights, unit, c * 8 + warp_, span);
  }

  const AttentionArgs& args_;
  const BlockState* const state_;
  Exchange* const exchange_;
  const BlockQueries q_, q_sink_;
  const int64_t sinks_;
  const int32_t warp_;
  Stream stream_;
  float o_[kDim / 16];
  RowState rows_;  // of `sum` only [0], in warps 0 and 1
  RunningTotal total_[2];
  bool odd_ = false;
};

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_DECODE_CUH_
