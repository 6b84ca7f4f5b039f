// Many rows: a warp holds 16 rows, their scores of a whole tile and their output in registers; the weights go from one product to the
// other without leaving them (Dao 2023).
#ifndef LANES_CUDA_ATTENTION_PREFILL_CUH_
#define LANES_CUDA_ATTENTION_PREFILL_CUH_

#include "cuda/attention/kernels.h"
#include "cuda/attention/output.cuh"
#include "cuda/attention/values.cuh"

namespace lanes::cuda {

template <int kDim, Elements kElements>
class Prefill {
  static constexpr bool kS8 = kElements == Elements::kS8, kF16 = kElements == Elements::kF16;
  static constexpr int kThreads = kPrefillRows * 2;
  static constexpr int kUnitDims = kChunkDims;
  static constexpr int kUnits = kDim / kUnitDims;
  static constexpr int kParts = kS8 ? 2 : 1;
  using BlockQueries = Queries<kDim, kElements>;

 public:
  using Stream = UnitStream<kThreads, kUnitDims, kS8>;

  __device__ Prefill(const AttentionArgs& args, const BlockState* state)
      : args_(args),
        state_(state),
        totals_(reinterpret_cast<RunningTotal*>(SharedMemory() + kStateBytes)),
        q_{SharedMemory() + kStateBytes + kPrefillTotalsBytes, kPrefillRows},
        q_sink_{q_.memory + BlockQueries::Bytes(kPrefillRows), kPrefillRows},
        first_row_(threadIdx.x / 32 * 16),
        stream_(args, state, kUnits, args.q_sink != nullptr ? q_sink_.memory + BlockQueries::Bytes(kPrefillRows) : q_sink_.memory) {}

  __device__ void Run() {
    q_.Load(args_, *state_, args_.q);
    if (Sinks() > 0) q_sink_.Load(args_, *state_, args_.q_sink);
    if (threadIdx.x < kPrefillRows) totals_[threadIdx.x] = RunningTotal();
    VisitTiles(*state_, this);
  }

  // For VisitTiles.
  __device__ void BeginSplit() {
    rows_ = EmptyRows();
#pragma unroll
    for (int i = 0; i < kDim / 2; ++i) o_[i] = 0;
  }

  __device__ __forceinline__ void RunTile(int64_t tile_key) {
    float s[64];
    const bool masked = !state_->view.Whole(tile_key);
    const int32_t sinks = ClampToTile(Sinks() - tile_key);
    MakeScores<8, kUnitDims>(s, q_, q_sink_, sinks, first_row_, 0, &stream_);
    if constexpr (kS8) ScaleScores<8>(s, PowersOf(q_, q_sink_, Row(0), sinks), stream_.KeyScales(), 0);
    if (masked) {
      Span span[2];
      SpansOf(tile_key, span);
      MaskScores<8>(s, span, 0);
    }
    float alpha[2];
    RaiseMaximum<kF16>(s, &rows_, alpha);
    uint32_t weights[kParts][8][4];
    if constexpr (kS8) {
      SplitWeights(s, alpha, weights);
    } else {
      RoundWeights<kF16>(s, alpha, &rows_, weights[0]);
    }
    ScaleOutput(o_, alpha);
#pragma unroll
    for (int u = 0; u < kUnits; ++u) AddValues(weights, u, masked, tile_key);
  }

  __device__ void EndSplit(bool last) {
    RunningTotal totals[2] = {totals_[Row(0)], totals_[Row(1)]};
    __syncwarp();
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float sum = SumOfQuad(rows_.sum[h]);
      if (Row(h) >= state_->block.rows) continue;
      RowOutput to(args_, state_->block, state_->kv_head, Row(h));
      to.Close(rows_.maximum[h], sum, last, threadIdx.x % 4 == 0, &totals[h]);
      if (threadIdx.x % 4 == 0) totals_[Row(h)] = totals[h];
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
        for (int c = 0; c < 2; ++c) to.Write(n * 8 + threadIdx.x % 4 * 2 + c, o_[4 * n + 2 * h + c]);
      }
    }
  }

 private:
  // Keys below this take q_sink. Asked for each tile: registers are short.
  __device__ int64_t Sinks() const { return args_.q_sink != nullptr ? state_->block.sinks : 0; }
  __device__ int32_t Row(int h) const { return first_row_ + threadIdx.x % 32 / 4 + 8 * h; }

  __device__ __forceinline__ void SplitWeights(const float (&s)[64], const float (&alpha)[2], uint32_t (&weights)[kParts][8][4]) {
    const float* const scales = stream_.ValueScales();
    float sum[2];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const float of_16 = SplitWeightsOf16(s, i, r, scales + 16 * i, weights[0][i], weights[kParts - 1][i]);
        sum[r] = i == 0 ? of_16 : sum[r] + of_16;
      }
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) rows_.sum[r] = fmaf(rows_.sum[r], alpha[r], sum[r]);
  }

  // Made anew for each use: few tiles are masked.
  __device__ __forceinline__ void SpansOf(int64_t tile_key, Span (&span)[2]) const {
#pragma unroll
    for (int h = 0; h < 2; ++h) span[h] = SpanOfRow(*state_, args_, Row(h), tile_key);
  }

  __device__ __forceinline__ void AddValues(const uint32_t (&weights)[kParts][8][4], int u, bool masked, int64_t tile_key) {
    const unsigned char* const unit = stream_.Next();
    if (!kS8 && masked) {
      Span span[2];
      SpansOf(tile_key, span);
      if (HasUnseenNonFinite<8, kF16>(unit, 0, span)) {
        AddValuesRowByRow<8, kF16>(o_ + u * 32, weights[0], unit, 0, span);
        return;
      }
    }
#pragma unroll
    for (int step = 0; step < 8; ++step) {
#pragma unroll
      for (int n = 0; n < 8; n += 2) {
        uint32_t b[2][2];
        ValueFragment(b, unit, step * 16, n);
#pragma unroll
        for (int part = 0; part < kParts; ++part) {
          Multiply<kF16>(o_ + (u * 8 + n) * 4, weights[part][step], b[0]);
          Multiply<kF16>(o_ + (u * 8 + n) * 4 + 4, weights[part][step], b[1]);
        }
      }
    }
  }

  const AttentionArgs& args_;
  const BlockState* const state_;
  RunningTotal* const totals_;  // [kPrefillRows]: what many tiles do not look at, not in registers
  const BlockQueries q_, q_sink_;
  const int32_t first_row_;
  Stream stream_;
  float o_[kDim / 2];
  RowState rows_;
};

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_PREFILL_CUH_
