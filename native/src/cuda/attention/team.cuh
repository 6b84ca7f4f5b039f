// Rows by teams of warps: a team takes 16 rows. Of each tile each of its warps scores some of the keys; maxima and weights go through
// shared memory; then it takes some of the output's columns over all 128 keys, so that each element stays one chain.
//
// Decoding has one team of eight warps: what there is to do for few rows is divided as far as it goes. Prompts whose heads leave a warp no
// registers for 16 rows by itself have teams of two.
#ifndef LANES_CUDA_ATTENTION_TEAM_CUH_
#define LANES_CUDA_ATTENTION_TEAM_CUH_

#include "cuda/attention/kernels.h"
#include "cuda/attention/output.cuh"
#include "cuda/attention/values.cuh"

namespace lanes::cuda {

template <int kDim, Elements kElements, int kTeams, int kWarps>
class Teams {
  static constexpr bool kS8 = kElements == Elements::kS8, kF16 = kElements == Elements::kF16;
  static constexpr int kThreads = kTeams * kWarps * 32;
  static constexpr int kUnitDims = TeamUnitDims(kDim, kS8, kTeams);
  static constexpr int kUnits = kDim / kUnitDims;
  static constexpr int kUnitChunks = kUnitDims / kChunkDims;
  static constexpr int kParts = kS8 ? 2 : 1;
  static constexpr int kShare = 8 / kWarps;  // a warp's: of a tile's groups of 16 keys, of a chunk's columns of 8 dimensions
  using BlockQueries = Queries<kDim, kElements>;
  static_assert(kTileKeys == 8 * 16 && kChunkDims == 8 * 8 && kShare * kWarps == 8);

  // What the warps of a team tell each other, in shared memory.
  struct Exchange {
    unsigned char weights[kParts][2][kTeamRows * 128];  // [64 keys][16 rows][64], swizzled
    float maximum[2][kWarps][kTeamRows];                // of a warp's keys; tiles take turns
    float sum[8][kTeamRows][4];                         // u of step 5
    float split_sum[kTeamRows];
  };
  static_assert(sizeof(Exchange) == ExchangeBytes(kWarps, kS8));

 public:
  using Stream = UnitStream<kThreads, kUnitDims, kS8>;

  __device__ Teams(const AttentionArgs& args, const BlockState* state)
      : args_(args),
        state_(state),
        team_(threadIdx.x / 32 / kWarps),
        warp_(threadIdx.x / 32 % kWarps),
        exchange_(reinterpret_cast<Exchange*>(SharedMemory() + kStateBytes) + team_),
        q_{SharedMemory() + kStateBytes + kTeams * sizeof(Exchange), args.q_rows},
        q_sink_{q_.memory + BlockQueries::Bytes(args.q_rows), args.q_rows},
        sinks_(args.q_sink != nullptr ? state->block.sinks : 0),
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
    for (int i = 0; i < kOutputs; ++i) o_[i] = 0;
  }

  __device__ __forceinline__ void RunTile(int64_t tile_key) {
    const bool masked = !state_->view.Whole(tile_key);
    const int32_t key = warp_ * kShare * 16;
    float s[8 * kShare], alpha[2];
    Span span[2] = {};
    const int32_t sinks = ClampToTile(sinks_ - tile_key);
    MakeScores<kShare, kUnitDims>(s, q_, q_sink_, sinks, FirstRow(), key, &stream_);
    if constexpr (kS8) ScaleScores<kShare>(s, PowersOf(q_, q_sink_, FirstRow() + Row(0), sinks), stream_.KeyScales(), key);
    if (masked) {
#pragma unroll
      for (int h = 0; h < 2; ++h) span[h] = SpanOfRow(*state_, args_, FirstRow() + Row(h), tile_key);
      MaskScores<kShare>(s, span, key);
    }
    ShareMaximum(s, alpha);
    ShareWeights(s);
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
    if (warp_ < 2 && threadIdx.x % 4 == 0) exchange_->split_sum[RowOfSum()] = quad;
    __syncthreads();
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int32_t row = FirstRow() + Row(h);
      if (row >= state_->block.rows) continue;
      RowOutput to(args_, state_->block, state_->kv_head, row);
      to.Close(rows_.maximum[h], exchange_->split_sum[Row(h)], last, warp_ == 0 && threadIdx.x % 4 == 0, &total_[h]);
#pragma unroll
      for (int n = 0; n < kOutputs / 4; ++n) {
        const int32_t d = n / kShare * kChunkDims + (warp_ * kShare + n % kShare) * 8 + threadIdx.x % 4 * 2;
#pragma unroll
        for (int c = 0; c < 2; ++c) to.Write(d + c, o_[4 * n + 2 * h + c]);
      }
    }
  }

 private:
  static constexpr int kOutputs = kDim / 2 / kWarps;

  // Of the team's rows in the block's, and of a thread's two in the team's.
  __device__ int32_t FirstRow() const { return kTeams == 1 ? 0 : team_ * kTeamRows; }
  __device__ int32_t Row(int h) const { return threadIdx.x % 32 / 4 + 8 * h; }

  // Scores become weights of the team's new maximum.
  __device__ __forceinline__ void ShareMaximum(float (&s)[8 * kShare], float (&alpha)[2]) {
    float(&maxima)[kWarps][kTeamRows] = exchange_->maximum[odd_ ? 1 : 0];
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
      for (int w = 1; w < kWarps; ++w) largest = fmaxf(largest, maxima[w][Row(h)]);
      MakeWeights<kF16>(s, h, largest, &rows_, alpha);
    }
  }

  // The stream's next unit comes after everyone has done this.
  __device__ __forceinline__ void ShareWeights(const float (&s)[8 * kShare]) {
#pragma unroll
    for (int i = 0; i < kShare; ++i) {
      const int32_t group = warp_ * kShare + i;
      uint32_t weights[kParts][4];
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float sum;
        if constexpr (kS8) {
          sum = SplitWeightsOf16(s, i, h, stream_.ValueScales() + group * 16, weights[0], weights[kParts - 1]);
        } else {
          sum = RoundWeightsOf16<kF16>(s, i, h, weights[0]);
        }
        exchange_->sum[group][Row(h)][threadIdx.x % 4] = sum;
      }
#pragma unroll
      for (int part = 0; part < kParts; ++part) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          // Row g or g + 8; the first or the second 8 keys.
          unsigned char* const to = exchange_->weights[part][group / 4] + Swizzled(Row(j % 2), group % 4 * 2 + j / 2);
          *reinterpret_cast<uint32_t*>(to + threadIdx.x % 4 * 4) = weights[part][j];
        }
      }
    }
  }

  // The first two warps keep the sums: a thread those of a row that is one of its own, and of part thread % 4.
  __device__ __forceinline__ int32_t RowOfSum() const { return warp_ * 8 + threadIdx.x % 32 / 4; }
  __device__ __forceinline__ void SumWeights(const float (&alpha)[2]) {
    if (warp_ >= 2) return;
    const int32_t row = RowOfSum(), t = threadIdx.x % 4;
    float sum = exchange_->sum[0][row][t];
#pragma unroll
    for (int group = 1; group < 8; ++group) sum += exchange_->sum[group][row][t];
    rows_.sum[0] = fmaf(rows_.sum[0], warp_ == 0 ? alpha[0] : alpha[1], sum);
  }

  // Of each 64 dimensions this warp takes 8 kShare.
  __device__ __forceinline__ void AddValues(const unsigned char* unit, int u, bool masked, const Span (&span)[2]) {
    if constexpr (!kS8) {
      if (masked && HasUnseen(unit, span)) {
        AddRowByRow(unit, u, span);
        return;
      }
    }
    constexpr int kColumns = kUnitChunks * kShare;
#pragma unroll
    for (int step = 0; step < 8; step += 2) {
      uint32_t b[kColumns][2][2];
#pragma unroll
      for (int c = 0; c < kColumns; ++c) ValueFragmentOfKeys(b[c], unit, step * 16, Column(c / kShare) + c % kShare);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
#pragma unroll
        for (int part = 0; part < kParts; ++part) {
          uint32_t a[4];
          WeightFragment(a, part, step + i);
#pragma unroll
          for (int c = 0; c < kColumns; ++c) Multiply<kF16>(o_ + (u * kColumns + c) * 4, a, b[c][i]);
        }
      }
    }
  }

  // The first of this warp's columns in a unit's chunk.
  __device__ __forceinline__ int32_t Column(int chunk) const { return chunk * 8 + warp_ * kShare; }

  __device__ __forceinline__ void WeightFragment(uint32_t (&a)[4], int part, int step) const {
    const int32_t lane = threadIdx.x % 32;
    LoadMatrixX4(a, exchange_->weights[part][step / 4] + Swizzled(lane % 16, step % 4 * 2 + lane / 16));
  }

  __device__ __forceinline__ bool HasUnseen(const unsigned char* unit, const Span (&span)[2]) const {
    bool found = false;
#pragma unroll
    for (int c = 0; c < kUnitChunks; ++c) found |= HasUnseenNonFinite<kShare, kF16>(unit, Column(c), span);
    return found;
  }

  __device__ __forceinline__ void AddRowByRow(const unsigned char* unit, int u, const Span (&span)[2]) {
    uint32_t weights[8][4];
#pragma unroll
    for (int step = 0; step < 8; ++step) WeightFragment(weights[step], 0, step);
#pragma unroll
    for (int c = 0; c < kUnitChunks; ++c) {
      AddValuesRowByRow<kShare, kF16>(o_ + (u * kUnitChunks + c) * kShare * 4, weights, unit, Column(c), span);
    }
  }

  const AttentionArgs& args_;
  const BlockState* const state_;
  const int32_t team_, warp_;
  Exchange* const exchange_;
  const BlockQueries q_, q_sink_;
  const int64_t sinks_;
  Stream stream_;
  float o_[kOutputs];
  RowState rows_;  // of `sum` only [0], in the first two warps
  RunningTotal total_[2];
  bool odd_ = false;
};

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_TEAM_CUH_
