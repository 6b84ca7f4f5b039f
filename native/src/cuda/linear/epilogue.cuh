// From sums to y = residual + activation(sum + bias); of int8 sum * (x_scale * w_scale) comes first, of f16 sum * x_scale, which is a
// power of two. Each step is rounded once, in this order, everywhere; y of bfloat16 once more.
#ifndef LANES_CUDA_LINEAR_EPILOGUE_CUH_
#define LANES_CUDA_LINEAR_EPILOGUE_CUH_

#include "cuda/common/activation.cuh"
#include "cuda/common/ptx.cuh"
#include "cuda/linear/linear.h"

namespace lanes::cuda {

// What a sum is multiplied with.
enum class Scales { kNone, kRows, kBoth };

// Calls, not copies: the epilogue of a tile is unrolled, and most calls have no activation.
inline __device__ __noinline__ float ActivateOne(int32_t activation, float x) { return Activate(activation, x); }
inline __device__ __noinline__ float4 ActivateFour(int32_t activation, float4 x) {
  x.x = Activate(activation, x.x);
  x.y = Activate(activation, x.y);
  x.z = Activate(activation, x.z);
  x.w = Activate(activation, x.w);
  return x;
}

__device__ __forceinline__ void StoreOne(const EpilogueArgs& e, int64_t at, float y) {
  if (e.y_bf16 != nullptr) {
    e.y_bf16[at] = ToBf16(y);
  } else {
    e.y[at] = y;
  }
}
__device__ __forceinline__ void StoreFour(const EpilogueArgs& e, int64_t at, float4 y) {
  if (e.y_bf16 != nullptr) {
    *reinterpret_cast<uint2*>(e.y_bf16 + at) = make_uint2(PackBf16(y.x, y.y), PackBf16(y.z, y.w));
  } else {
    *reinterpret_cast<float4*>(e.y + at) = y;
  }
}

// One element; `token` and `feature` lie inside y. Sums of int8 have been converted to float.
template <Scales kScales>
__device__ __forceinline__ void Finish(const EpilogueArgs& e, float sum, int64_t token, int64_t feature) {
  if constexpr (kScales == Scales::kRows) sum = sum * e.x_scale[token];
  if constexpr (kScales == Scales::kBoth) sum = sum * (e.x_scale[token] * e.w_scale[feature]);
  if (e.bias != nullptr) sum = sum + e.bias[feature];
  if (e.activation != LANES_ACTIVATION_NONE) sum = ActivateOne(e.activation, sum);
  if (e.residual != nullptr) sum = e.residual[token * e.residual_stride + feature] + sum;
  StoreOne(e, token * e.y_stride + feature, sum);
}

// What four features, `feature` to `feature` + 3, bring to every token; `feature` is a multiple of four.
template <Scales kScales>
struct FourFeatures {
  int64_t feature;
  bool together;  // else one by one, and those outside of y are left out
  float4 bias = {}, w_scale = {};

  __device__ __forceinline__ FourFeatures(const EpilogueArgs& e, int64_t first) : feature(first) {
    together = e.vectors && feature + 4 <= e.n;
    if (together && e.bias != nullptr) bias = *reinterpret_cast<const float4*>(e.bias + feature);
    if constexpr (kScales == Scales::kBoth) {
      if (together) w_scale = *reinterpret_cast<const float4*>(e.w_scale + feature);
    }
  }
};

// And what a token brings, which can be loaded some time before it is used.
template <Scales kScales>
struct FourInputs {
  float4 residual = {};
  float x_scale = 0;

  // Nothing when `token` is not below `end`.
  __device__ __forceinline__ void Load(const EpilogueArgs& e, const FourFeatures<kScales>& features, int64_t token, int64_t end) {
    if (!features.together || token >= end) return;
    if (e.residual != nullptr) residual = *reinterpret_cast<const float4*>(e.residual + token * e.residual_stride + features.feature);
    if constexpr (kScales != Scales::kNone) x_scale = e.x_scale[token];
  }
};

// Four features of one token. `sums` is 16-byte aligned.
template <Scales kScales>
__device__ __forceinline__ void FinishFour(const EpilogueArgs& e, const FourFeatures<kScales>& features, const FourInputs<kScales>& inputs,
                                           const float* sums, int64_t token) {
  if (token >= e.m) return;
  if (!features.together) {
#pragma unroll 1
    for (int32_t i = 0; i < 4 && features.feature + i < e.n; ++i) Finish<kScales>(e, sums[i], token, features.feature + i);
    return;
  }
  float4 sum = *reinterpret_cast<const float4*>(sums);
  if constexpr (kScales == Scales::kRows) {
    sum.x = sum.x * inputs.x_scale;
    sum.y = sum.y * inputs.x_scale;
    sum.z = sum.z * inputs.x_scale;
    sum.w = sum.w * inputs.x_scale;
  }
  if constexpr (kScales == Scales::kBoth) {
    sum.x = sum.x * (inputs.x_scale * features.w_scale.x);
    sum.y = sum.y * (inputs.x_scale * features.w_scale.y);
    sum.z = sum.z * (inputs.x_scale * features.w_scale.z);
    sum.w = sum.w * (inputs.x_scale * features.w_scale.w);
  }
  if (e.bias != nullptr) {
    sum.x = sum.x + features.bias.x;
    sum.y = sum.y + features.bias.y;
    sum.z = sum.z + features.bias.z;
    sum.w = sum.w + features.bias.w;
  }
  if (e.activation != LANES_ACTIVATION_NONE) sum = ActivateFour(e.activation, sum);
  if (e.residual != nullptr) {
    sum.x = inputs.residual.x + sum.x;
    sum.y = inputs.residual.y + sum.y;
    sum.z = inputs.residual.z + sum.z;
    sum.w = inputs.residual.w + sum.w;
  }
  StoreFour(e, token * e.y_stride + features.feature, sum);
}

template <Scales kScales>
__device__ __forceinline__ void FinishFour(const EpilogueArgs& e, const float* sums, int64_t token, int64_t feature) {
  const FourFeatures<kScales> features(e, feature);
  FourInputs<kScales> inputs;
  inputs.Load(e, features, token, e.m);
  FinishFour(e, features, inputs, sums, token);
}

__device__ __forceinline__ float SumToFloat(float sum) { return sum; }
__device__ __forceinline__ float SumToFloat(int32_t sum) { return __int2float_rn(sum); }
__device__ __forceinline__ float SumToFloat(int64_t sum) { return __ll2float_rn(sum); }

// Floats of shared memory in which a warp turns its fragments round: 8 tokens' features, rows four floats longer than that, so that
// neither way meets in a bank.
template <int32_t kFragments>
inline constexpr int32_t kStagingFloats = 8 * (16 * kFragments + 4);

// Eight tokens by 16 * kFragments features, of one warp: sum[i] are the registers of mma.sync (m16n8, also a slice of wgmma) for
// features `feature` + 16 i and on, tokens `token` and on. All lanes call it. `staging` is the warp's own and 16-byte aligned.
template <Scales kScales, int kFragments, class Sum>
__device__ __forceinline__ void FinishFragments(const EpilogueArgs& e, const Sum (&sum)[kFragments][4], int64_t token, int64_t feature,
                                                float* staging) {
  constexpr int32_t kRow = 16 * kFragments + 4, kFours = 4 * kFragments;
  const int32_t lane = static_cast<int32_t>(threadIdx.x) % 32;
  __syncwarp();
  float* const mine = staging + lane % 4 * 2 * kRow + lane / 4;
#pragma unroll
  for (int32_t i = 0; i < kFragments; ++i) {
    mine[16 * i] = SumToFloat(sum[i][0]);
    mine[16 * i + kRow] = SumToFloat(sum[i][1]);
    mine[16 * i + 8] = SumToFloat(sum[i][2]);
    mine[16 * i + 8 + kRow] = SumToFloat(sum[i][3]);
  }
  __syncwarp();
#pragma unroll
  for (int32_t i = 0; i < kFragments; ++i) {
    const int32_t row = (lane + 32 * i) / kFours, four = (lane + 32 * i) % kFours;
    FinishFour<kScales>(e, staging + row * kRow + 4 * four, token + row, feature + 4 * four);
  }
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_LINEAR_EPILOGUE_CUH_
