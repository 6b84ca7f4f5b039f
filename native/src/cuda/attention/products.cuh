// Queries and scores by mma.sync: steps 1 and 3 of attention.h for 16 rows of a warp; and the weights of INT8. Accumulators are those of
// fragments.cuh.
#ifndef LANES_CUDA_ATTENTION_PRODUCTS_CUH_
#define LANES_CUDA_ATTENTION_PRODUCTS_CUH_

#include "cuda/attention/fragments.cuh"
#include "cuda/attention/stream.cuh"
#include "cuda/common/quantize.cuh"
#include "cuda/common/reduce.cuh"
#include "cuda/common/row_power.cuh"

namespace lanes::cuda {

// d: 4 elements of an array of accumulators.
template <bool kF16>
__device__ __forceinline__ void Multiply(float* d, const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  float part[4] = {d[0], d[1], d[2], d[3]};
  if constexpr (kF16) {
    MmaF16(part, a, b);
  } else {
    MmaBf16(part, a, b);
  }
  d[0] = part[0];
  d[1] = part[1];
  d[2] = part[2];
  d[3] = part[3];
}

// ---- Queries -----------------------------------------------------------------------------------------------------

// A block's queries in shared memory: [parts][kDim / 64][rows][64] elements of 16 bits with the swizzle of units; of INT8 two parts, high
// and low; and the powers of INT8 and F16. `rows` is 16 times a power of two, or 8: then rows 8 to 15 of a fragment are those 0 to 7 again,
// and nobody uses them.
template <int kDim, Elements kElements>
struct Queries {
  static constexpr bool kF16 = kElements == Elements::kF16;
  static constexpr int kParts = kElements == Elements::kS8 ? 2 : 1;
  static constexpr int kChunks = kDim / kChunkDims;

  static __host__ __device__ constexpr int32_t Bytes(int32_t rows) { return rows * (kParts * kDim * 2 + 16); }

  unsigned char* memory;
  int32_t rows;

  __device__ unsigned char* Chunk(int part, int chunk) const { return memory + (part * kChunks + chunk) * rows * 128; }
  __device__ float* Powers() const { return reinterpret_cast<float*>(memory + kParts * kChunks * rows * 128); }

  // From `q` of the block's rows; rows behind them are zero. All threads of the block.
  __device__ void Load(const AttentionArgs& args, const BlockState& state, const float* q) const {
    const int32_t lane = threadIdx.x % 32, warps = blockDim.x / 32;
    for (int32_t r = threadIdx.x / 32; r < rows; r += warps) {
      const float* const from = QueryOf(args, state, q, r);
      float x[kDim / 32];
#pragma unroll
      for (int i = 0; i < kDim / 64; ++i) {
        const int32_t d = i * 64 + lane * 2;
        x[2 * i] = r < state.block.rows && d < args.pool.head_dim ? from[d] * args.factor : 0.0f;
        x[2 * i + 1] = r < state.block.rows && d + 1 < args.pool.head_dim ? from[d + 1] * args.factor : 0.0f;
      }
      if constexpr (kElements == Elements::kS8) StoreS16(x, r, lane);
      if constexpr (kElements == Elements::kF16) StoreF16(x, r, lane);
      if constexpr (kElements == Elements::kBf16) Store(x, r, lane, 0);
    }
  }

  // The left operand of dimensions [16 step, 16 step + 16) and rows [first, first + 16).
  __device__ __forceinline__ void Fragment(uint32_t (&a)[4], int part, int step, int32_t first) const {
    const int32_t lane = threadIdx.x % 32;
    LoadMatrixX4(a, Chunk(part, step / 4) + Swizzled((first + lane % 16) & (rows - 1), step % 4 * 2 + lane / 16));
  }

 private:
  __device__ void Store(const float (&x)[kDim / 32], int32_t r, int32_t lane, int part) const {
#pragma unroll
    for (int i = 0; i < kDim / 64; ++i) {
      *reinterpret_cast<uint32_t*>(Chunk(part, i) + Swizzled(r, lane / 4) + lane % 4 * 4) = PackPair<kF16>(x[2 * i], x[2 * i + 1]);
    }
  }

  // The largest magnitude of a row, as bits.
  static __device__ uint32_t LargestBits(const float (&x)[kDim / 32]) {
    uint32_t largest = 0;
#pragma unroll
    for (int i = 0; i < kDim / 32; ++i) largest = max(largest, MagnitudeBits(x[i]));
    return ReduceWarp(largest, Larger());
  }

  __device__ void StoreF16(float (&x)[kDim / 32], int32_t r, int32_t lane) const {
    const RowPower power = RowPowerOf(LargestBits(x));
    if (lane == 0) Powers()[r] = power.inverse;
#pragma unroll
    for (int i = 0; i < kDim / 32; ++i) x[i] *= power.power;
    Store(x, r, lane, 0);
  }

  __device__ void StoreS16(float (&x)[kDim / 32], int32_t r, int32_t lane) const {
    const uint32_t largest = LargestBits(x);
    // 2^(exponent - 15), exponent as of frexp, and not below -111; NaN where the row holds what is no number.
    const uint32_t exponent = max(largest >> 23, 15u);
    if (lane == 0) Powers()[r] = largest >= 0x7F800000u ? __uint_as_float(0x7FFFFFFFu) : __uint_as_float((exponent - 14) << 23);
    const float inverse = __uint_as_float((268 - exponent) << 23);
    float low[kDim / 32];
#pragma unroll
    for (int i = 0; i < kDim / 32; ++i) {
      x[i] = fminf(32767.0f, rintf(x[i] * inverse));
      low[i] = x[i] - FromBf16(ToBf16(x[i]));
    }
    Store(x, r, lane, 0);
    Store(low, r, lane, 1);
  }
};

// ---- Scores ------------------------------------------------------------------------------------------------------

// Right operands of two products: dimensions [16 step, 16 step + 16) of the unit's keys [key, key + 16).
__device__ __forceinline__ void KeyFragment(uint32_t (&b)[2][2], const unsigned char* unit, int step, int32_t key) {
  const int32_t lane = threadIdx.x % 32;
  uint32_t r[4];
  LoadMatrixX4(r, unit + step / 4 * kChunkBytes + Swizzled(key + lane / 16 * 8 + lane % 8, step % 4 * 2 + lane / 8 % 2));
  b[0][0] = r[0];
  b[0][1] = r[1];
  b[1][0] = r[2];
  b[1][1] = r[3];
}

// Adds a unit's dimensions to the scores of keys [first_key, first_key + 16 kPairs). `first_step`: the unit's first dimension / 16.
template <int kPairs, int kUnitDims, int kDim, Elements kElements>
__device__ __forceinline__ void AddScores(float (&s)[8 * kPairs], const Queries<kDim, kElements>& q, int32_t first_row, int first_step,
                                          const unsigned char* unit, int32_t first_key) {
#pragma unroll
  for (int step = 0; step < kUnitDims / 16; ++step) {
    uint32_t a[2][4];
#pragma unroll
    for (int part = 0; part < Queries<kDim, kElements>::kParts; ++part) q.Fragment(a[part], part, first_step + step, first_row);
#pragma unroll
    for (int pair = 0; pair < kPairs; ++pair) {
      uint32_t b[2][2];
      KeyFragment(b, unit, step, first_key + pair * 16);
#pragma unroll
      for (int part = 0; part < Queries<kDim, kElements>::kParts; ++part) {
        Multiply<kElements == Elements::kF16>(s + 8 * pair, a[part], b[0]);
        Multiply<kElements == Elements::kF16>(s + 8 * pair + 4, a[part], b[1]);
      }
    }
  }
}

// Powers of two of INT8 and F16 queries in rows g and g + 8; the tile's keys below `sinks` have those of q_sink.
struct RowPowers {
  float q[2], q_sink[2];
  int32_t sinks;
};

template <int kDim, Elements kElements>
__device__ __forceinline__ RowPowers PowersOf(const Queries<kDim, kElements>& q, const Queries<kDim, kElements>& q_sink, int64_t row,
                                              int32_t sinks) {
  const int32_t low = static_cast<int32_t>(row) & (q.rows - 1), high = static_cast<int32_t>(row + 8) & (q.rows - 1);
  RowPowers powers = {{q.Powers()[low], q.Powers()[high]}, {1.0f, 1.0f}, sinks};
  if (sinks > 0) {
    powers.q_sink[0] = q_sink.Powers()[low];
    powers.q_sink[1] = q_sink.Powers()[high];
  }
  return powers;
}

// sum * power, of F16.
template <int kPairs>
__device__ __forceinline__ void ScaleScores(float (&s)[8 * kPairs], const RowPowers& powers, int32_t first_key) {
#pragma unroll
  for (int n = 0; n < 2 * kPairs; ++n) {
    const int32_t key = first_key + n * 8 + threadIdx.x % 4 * 2;
#pragma unroll
    for (int i = 0; i < 4; ++i) s[4 * n + i] *= key + i % 2 < powers.sinks ? powers.q_sink[i / 2] : powers.q[i / 2];
  }
}

// Scores of a tile of which some keys are attention sinks with queries of their own, its first `sinks`: the pairs before them by one query,
// those behind by the other. Of the pair among whose keys they end both are made, turn and turn about.
template <int kPairs, int kUnitDims, int kDim, Elements kElements, class Stream>
__device__ __forceinline__ void MakeSinkScores(float (&s)[8 * kPairs], const Queries<kDim, kElements>& q, const Queries<kDim, kElements>& q_sink,
                                               int32_t sinks, int32_t first_row, int32_t first_key, Stream* stream) {
  float other[8] = {};  // of that pair, by the query whose turn it is not
#pragma unroll 1
  for (int u = 0; u < kDim / kUnitDims; ++u) {
    const unsigned char* const unit = stream->Next();
#pragma unroll 1
    for (int turn = 0; turn < 2; ++turn) {
      const bool of_sinks = turn == 1;
      const Queries<kDim, kElements> either = {of_sinks ? q_sink.memory : q.memory, q.rows};
#pragma unroll
      for (int pair = 0; pair < kPairs; ++pair) {
        const int32_t key = first_key + pair * 16;
        if (of_sinks ? key >= sinks : key + 16 <= sinks) continue;
        float part[8];
#pragma unroll
        for (int i = 0; i < 8; ++i) part[i] = s[8 * pair + i];
        AddScores<1, kUnitDims, kDim, kElements>(part, either, first_row, u * kUnitDims / 16, unit, key);
        const bool both = key < sinks && key + 16 > sinks;
#pragma unroll
        for (int i = 0; i < 8; ++i) {
          s[8 * pair + i] = both ? other[i] : part[i];
          if (both) other[i] = part[i];
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 8 * kPairs; ++i) {
    const int32_t first = first_key + i / 8 * 16, key = first + i / 4 % 2 * 8 + threadIdx.x % 4 * 2 + i % 2;
    if (key < sinks && first + 16 > sinks) s[i] = other[i % 8];
  }
}

// Scores of keys [first_key, first_key + 16 kPairs) of the stream's next tile, of which the first `sinks` have queries of their own. Of
// F16 times their queries' powers, of INT8 the sums alone.
template <int kPairs, int kUnitDims, int kDim, Elements kElements, class Stream>
__device__ __forceinline__ void MakeScores(float (&s)[8 * kPairs], const Queries<kDim, kElements>& q, const Queries<kDim, kElements>& q_sink,
                                           int32_t sinks, int32_t first_row, int32_t first_key, Stream* stream) {
#pragma unroll
  for (int i = 0; i < 8 * kPairs; ++i) s[i] = 0;
  if (sinks > 0) {
    MakeSinkScores<kPairs, kUnitDims>(s, q, q_sink, sinks, first_row, first_key, stream);
    if constexpr (kElements == Elements::kF16) {
      ScaleScores<kPairs>(s, PowersOf(q, q_sink, first_row + threadIdx.x % 32 / 4, sinks), first_key);
    }
    return;
  }
#pragma unroll 1
  for (int u = 0; u < kDim / kUnitDims; ++u) {
    AddScores<kPairs, kUnitDims, kDim, kElements>(s, q, first_row, u * kUnitDims / 16, stream->Next(), first_key);
  }
  if constexpr (kElements == Elements::kF16) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float power = q.Powers()[(first_row + threadIdx.x % 32 / 4 + 8 * h) & (q.rows - 1)];
#pragma unroll
      for (int i = 0; i < 4 * kPairs; ++i) s[i / 2 * 4 + 2 * h + i % 2] *= power;
    }
  }
}

// Scores of keys that a row does not see are -infinity, whatever the key holds.
template <int kPairs>
__device__ __forceinline__ void MaskScores(float (&s)[8 * kPairs], const Span (&span)[2], int32_t first_key) {
#pragma unroll
  for (int n = 0; n < 2 * kPairs; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (!span[i / 2].Sees(first_key + n * 8 + threadIdx.x % 4 * 2 + i % 2)) s[4 * n + i] = MinusInfinity();
    }
  }
}

// (sum * power) * key scale, of INT8.
template <int kPairs>
__device__ __forceinline__ void ScaleScores(float (&s)[8 * kPairs], const RowPowers& powers, const float* key_scales, int32_t first_key) {
#pragma unroll
  for (int n = 0; n < 2 * kPairs; ++n) {
    const int32_t key = first_key + n * 8 + threadIdx.x % 4 * 2;
    const float2 scale = *reinterpret_cast<const float2*>(key_scales + key);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float power = key + i % 2 < powers.sinks ? powers.q_sink[i / 2] : powers.q[i / 2];
      s[4 * n + i] = s[4 * n + i] * power * (i % 2 ? scale.y : scale.x);
    }
  }
}

// ---- Weights of INT8 ---------------------------------------------------------------------------------------------

// Weights of 16 keys, elements [8 i, 8 i + 8), times the values' scales as two left operands, high and low. Returns row r's u[i].
template <int kScores>
__device__ __forceinline__ float SplitWeightsOf16(const float (&s)[kScores], int i, int r, const float* value_scales, uint32_t (&high)[4],
                                                  uint32_t (&low)[4]) {
#pragma unroll
  for (int n = 0; n < 2; ++n) {
    const float2 scale = *reinterpret_cast<const float2*>(value_scales + n * 8 + threadIdx.x % 4 * 2);
    const float first = s[8 * i + 4 * n + 2 * r], second = s[8 * i + 4 * n + 2 * r + 1];
    const float a = first == 0.0f ? 0.0f : first * scale.x, b = second == 0.0f ? 0.0f : second * scale.y;
    const uint32_t pair = PackBf16(a, b);
    high[2 * n + r] = pair;
    low[2 * n + r] = PackBf16(a - __uint_as_float(pair << 16), b - __uint_as_float(pair & 0xffff0000u));
  }
  return (s[8 * i + 2 * r] + s[8 * i + 2 * r + 1]) + (s[8 * i + 4 + 2 * r] + s[8 * i + 4 + 2 * r + 1]);
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_ATTENTION_PRODUCTS_CUH_
