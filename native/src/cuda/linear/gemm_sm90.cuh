// y^T = weight x^T on sm_90a. One warp of a block copies tiles (TMA), each of its other warpgroups multiplies 64 features by all
// tokens of the tile (wgmma), both operands from shared memory. Blocks stay and take tile after tile.
//
// A stage holds one line (128 bytes of k, swizzled) of every feature and every token of the tile. `full` ends a phase when both have
// arrived; `empty` when the consumers, of both blocks of a cluster, have done with it: each block also fills half of the tokens' lines
// of the other.
#ifndef LANES_CUDA_LINEAR_GEMM_SM90_CUH_
#define LANES_CUDA_LINEAR_GEMM_SM90_CUH_

#include "cuda/common/hopper.cuh"
#include "cuda/common/tensor_map.h"
#include "cuda/linear/epilogue.cuh"
#include "cuda/linear/heuristics_sm90.h"

namespace lanes::cuda {

struct GemmSm90Args {
  TensorMap weight;  // boxes of one line by the features of a block
  TensorMap x;       // of one line by the tokens that a block copies
  EpilogueArgs epilogue;
  Sm90Order order;
  int32_t tiles;
  int32_t lines;
  int32_t line_elements;
};

struct Bf16Products {
  using Sum = float;
  static constexpr int32_t kElementBytes = 2;
  static constexpr TensorMapType kType = TensorMapType::kBf16;
  static constexpr Scales kScales = Scales::kNone;
  template <int kSums>
  static __device__ __forceinline__ void Multiply(float (&sum)[kSums], uint64_t a, uint64_t b, bool accumulate) {
    WgmmaBf16(sum, a, b, accumulate);
  }
};

struct F16Products {
  using Sum = float;
  static constexpr int32_t kElementBytes = 2;
  static constexpr TensorMapType kType = TensorMapType::kF16;
  static constexpr Scales kScales = Scales::kRows;
  template <int kSums>
  static __device__ __forceinline__ void Multiply(float (&sum)[kSums], uint64_t a, uint64_t b, bool accumulate) {
    WgmmaF16(sum, a, b, accumulate);
  }
};

struct S8Products {
  using Sum = int32_t;
  static constexpr int32_t kElementBytes = 1;
  static constexpr TensorMapType kType = TensorMapType::kU8;
  static constexpr Scales kScales = Scales::kBoth;
  template <int kSums>
  static __device__ __forceinline__ void Multiply(int32_t (&sum)[kSums], uint64_t a, uint64_t b, bool accumulate) {
    WgmmaS8(sum, a, b, accumulate);
  }
};

// The stage that is next, and the parity of its phase.
template <int kStages>
struct StageCursor {
  int32_t stage = 0;
  uint32_t parity = 0;
  __device__ __forceinline__ void Next() {
    if (++stage == kStages) {
      stage = 0;
      parity ^= 1;
    }
  }
};

template <class Products, int kConsumers, int kTokens>
struct GemmSm90 {
  using Sum = typename Products::Sum;
  static constexpr Sm90Tile kTile = {kConsumers, kTokens};
  static constexpr int32_t kFeatures = Sm90Features(kTile), kStages = Sm90Stages(kTile), kChunk = Sm90Chunk(kTile);
  static constexpr int32_t kStageBytes = Sm90StageBytes(kTile), kWeightBytes = kFeatures * kSm90LineBytes;
  static constexpr int32_t kStagingFloats = kChunk * kSm90StagingRow, kStagingBytes = Sm90StagingBytes(kTile);
  static_assert(kStages >= 3 && kTokens % kChunk == 0);

  struct Shared {
    unsigned char* stages;
    float* staging;  // of each consumer
    Barrier* full;
    Barrier* empty;
    __device__ __forceinline__ unsigned char* Weight(int32_t stage) const { return stages + stage * kStageBytes; }
    __device__ __forceinline__ unsigned char* Tokens(int32_t stage) const { return Weight(stage) + kWeightBytes; }
  };

  static __device__ __forceinline__ Shared Layout() {
    unsigned char* const stages = SharedMemory();
    unsigned char* const staging = stages + kStages * kStageBytes;
    auto* const full = reinterpret_cast<Barrier*>(staging + kStagingBytes);
    return {stages, reinterpret_cast<float*>(staging), full, full + kStages};
  }

  struct Place {
    int32_t feature, token;
  };
  static __device__ __forceinline__ Place PlaceOf(const GemmSm90Args& args, int32_t tile, uint32_t rank, uint32_t cluster) {
    const Sm90Position position = Sm90PositionOf(args.order, tile);
    return {(position.feature_tile * static_cast<int32_t>(cluster) + static_cast<int32_t>(rank)) * kFeatures,
            position.token_tile * kTokens};
  }

  // ---- The producer, one thread ----------------------------------------------------------------------------------

  static __device__ __forceinline__ void CopyWeight(const GemmSm90Args& args, const Shared& shared, int32_t stage, int32_t line,
                                                    const Place& place) {
    BarrierArriveExpect(&shared.full[stage], kStageBytes);
    TmaLoad(shared.Weight(stage), &args.weight, &shared.full[stage], line * args.line_elements, place.feature);
  }

  static __device__ __forceinline__ void CopyTokens(const GemmSm90Args& args, const Shared& shared, int32_t stage, int32_t line,
                                                    const Place& place, uint32_t rank, uint32_t cluster) {
    if (cluster == 1) {
      TmaLoad(shared.Tokens(stage), &args.x, &shared.full[stage], line * args.line_elements, place.token);
    } else {
      constexpr int32_t kHalf = kTokens / 2;
      const int32_t begin = static_cast<int32_t>(rank) * kHalf;
      TmaLoadMulticast(shared.Tokens(stage) + begin * kSm90LineBytes, &args.x, &shared.full[stage], 3, line * args.line_elements,
                       place.token + begin);
    }
  }

  static __device__ __forceinline__ void Produce(const GemmSm90Args& args, const Shared& shared, int32_t first, int32_t step,
                                                 uint32_t rank, uint32_t cluster) {
    // Weights come from no kernel: those of the first stages may be on their way before the one ahead has ended.
    const int32_t early = args.lines < kStages ? args.lines : kStages;
    for (int32_t line = 0; line < early; ++line) CopyWeight(args, shared, line, line, PlaceOf(args, first, rank, cluster));
    DependencyWait();
    StageCursor<kStages> cursor;
    for (int32_t tile = first; tile < args.tiles; tile += step) {
      const Place place = PlaceOf(args, tile, rank, cluster);
      for (int32_t line = 0; line < args.lines; ++line, cursor.Next()) {
        if (tile != first || line >= early) {
          BarrierWait(&shared.empty[cursor.stage], cursor.parity ^ 1);
          CopyWeight(args, shared, cursor.stage, line, place);
        }
        CopyTokens(args, shared, cursor.stage, line, place, rank, cluster);
      }
    }
    DependencyLaunch();
  }

  // ---- A consumer, one warpgroup ---------------------------------------------------------------------------------

  // By each warp: a wait of one says nothing about the products of the other three.
  static __device__ __forceinline__ void Release(const Shared& shared, int32_t stage, uint32_t thread, uint32_t cluster) {
    if (thread % 32 < cluster) BarrierArriveAt(&shared.empty[stage], thread % 32);
  }

  static __device__ __forceinline__ void Multiply(const GemmSm90Args& args, const Shared& shared, StageCursor<kStages>& cursor,
                                                  int32_t warpgroup, uint32_t thread, uint32_t cluster, Sum (&sum)[kTokens / 2]) {
    int32_t previous = 0;
    WgmmaHold(sum);
    for (int32_t line = 0; line < args.lines; ++line) {
      BarrierWait(&shared.full[cursor.stage], cursor.parity);
      const uint64_t a = WgmmaDescriptor(shared.Weight(cursor.stage) + warpgroup * 64 * kSm90LineBytes);
      const uint64_t b = WgmmaDescriptor(shared.Tokens(cursor.stage));
      WgmmaFence();
#pragma unroll
      for (uint32_t step = 0; step < 4; ++step) {
        Products::Multiply(sum, WgmmaAdvance(a, 32 * step), WgmmaAdvance(b, 32 * step), line > 0 || step > 0);
      }
      WgmmaCommit();
      if (line > 0) {
        WgmmaWait<1>();
        Release(shared, previous, thread, cluster);
      }
      previous = cursor.stage;
      cursor.Next();
    }
    WgmmaWait<0>();
    WgmmaHold(sum);
    Release(shared, previous, thread, cluster);
  }

  // Chunk after chunk through shared memory, where features are contiguous as they are in y. Thread t finishes features 4 (t % 16) and
  // on of every eighth token from t / 16.
  static __device__ __forceinline__ void Finish(const EpilogueArgs& e, float* staging, int32_t warpgroup, uint32_t thread,
                                                const Place& place, Sum (&sum)[kTokens / 2]) {
    constexpr int32_t kRows = kChunk / 8;
    const int32_t lane = static_cast<int32_t>(thread) % 32, warp = static_cast<int32_t>(thread) / 32;
    const int64_t token = place.token + static_cast<int32_t>(thread) / 16;
    const int64_t end = e.m < place.token + kTokens ? e.m : place.token + kTokens;
    float* const mine = staging + lane % 4 * 2 * kSm90StagingRow + 16 * warp + lane / 4;
    const float* const finished = staging + static_cast<int32_t>(thread) / 16 * kSm90StagingRow + 4 * (static_cast<int32_t>(thread) % 16);
    const FourFeatures<Products::kScales> features(e, place.feature + 64 * warpgroup + 4 * (static_cast<int32_t>(thread) % 16));
    FourInputs<Products::kScales> next[kRows];
#pragma unroll
    for (int32_t i = 0; i < kRows; ++i) next[i].Load(e, features, token + 8 * i, end);
#pragma unroll 1
    for (int32_t chunk = 0; chunk < kTokens / kChunk; ++chunk) {
      NamedBarrierSync(1 + warpgroup, 128);
      // Registers have no index: the one case that holds is taken.
#pragma unroll
      for (int32_t c = 0; c < kTokens / kChunk; ++c) {
        if (c != chunk) continue;
#pragma unroll
        for (int32_t i = 0; i < kRows; ++i) {
          const int32_t s = 4 * (kRows * c + i);
          float* const to = mine + 8 * i * kSm90StagingRow;
          to[0] = SumToFloat(sum[s]);
          to[kSm90StagingRow] = SumToFloat(sum[s + 1]);
          to[8] = SumToFloat(sum[s + 2]);
          to[kSm90StagingRow + 8] = SumToFloat(sum[s + 3]);
        }
      }
      NamedBarrierSync(1 + warpgroup, 128);
      FourInputs<Products::kScales> inputs[kRows];
#pragma unroll
      for (int32_t i = 0; i < kRows; ++i) {
        inputs[i] = next[i];
        next[i].Load(e, features, token + kChunk * (chunk + 1) + 8 * i, end);
      }
#pragma unroll
      for (int32_t i = 0; i < kRows; ++i) {
        FinishFour(e, features, inputs[i], finished + 8 * i * kSm90StagingRow, token + kChunk * chunk + 8 * i);
      }
    }
  }

  static __device__ __forceinline__ void Consume(const GemmSm90Args& args, const Shared& shared, int32_t first, int32_t step, uint32_t rank,
                                                 uint32_t cluster, int32_t warpgroup) {
    const uint32_t thread = threadIdx.x % 128;
    DependencyWait();
    StageCursor<kStages> cursor;
    for (int32_t tile = first; tile < args.tiles; tile += step) {
      Sum sum[kTokens / 2];
      Multiply(args, shared, cursor, warpgroup, thread, cluster, sum);
      Finish(args.epilogue, shared.staging + warpgroup * kStagingFloats, warpgroup, thread, PlaceOf(args, tile, rank, cluster), sum);
    }
  }

  static __device__ __forceinline__ void Run(const GemmSm90Args& args) {
    const Shared shared = Layout();
    const uint32_t rank = ClusterRank(), cluster = ClusterSize();
    const int32_t first = static_cast<int32_t>(blockIdx.x / cluster), step = static_cast<int32_t>(gridDim.x / cluster);
    const int32_t warp = __shfl_sync(0xFFFFFFFF, static_cast<int32_t>(threadIdx.x) / 32, 0);
    if (threadIdx.x == 0) {
      TmaPrefetch(&args.weight);
      TmaPrefetch(&args.x);
      for (int32_t i = 0; i < kStages; ++i) {
        BarrierInit(&shared.full[i], 1);
        BarrierInit(&shared.empty[i], 4 * kConsumers * cluster);
      }
      BarrierInitFence();
    }
    ClusterSyncAfterInit();
    if (warp >= 4 * kConsumers) {
      if constexpr (kConsumers == 2) DecreaseRegisters<40>();
      if (warp == 4 * kConsumers && ElectOne()) Produce(args, shared, first, step, rank, cluster);
    } else {
      if constexpr (kConsumers == 2) IncreaseRegisters<232>();
      Consume(args, shared, first, step, rank, cluster, warp / 4);
    }
    // Its shared memory must outlive what the other block still sends there.
    __syncwarp();
    ClusterSync();
  }
};

template <class Products, int kConsumers, int kTokens>
__global__ void __launch_bounds__(kConsumers == 2 ? 384 : 160, 1) GemmSm90Kernel(const __grid_constant__ GemmSm90Args args) {
  GemmSm90<Products, kConsumers, kTokens>::Run(args);
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_LINEAR_GEMM_SM90_CUH_
