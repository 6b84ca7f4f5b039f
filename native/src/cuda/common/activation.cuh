// exp, tanh and the activations: the polynomials of cpu/simd/math-inl.h in the same order, so the same bits as on the CPU.
#ifndef LANES_CUDA_COMMON_ACTIVATION_CUH_
#define LANES_CUDA_COMMON_ACTIVATION_CUH_

#include <cuda_runtime.h>
#include <stdint.h>

#include "lanes/lanes.h"

namespace lanes::cuda {

// Both hand on a NaN in their second operand, and the second of two zeros, as the SIMD instructions do.
__device__ __forceinline__ float MaxOf(float a, float b) { return a > b ? a : b; }
__device__ __forceinline__ float MinOf(float a, float b) { return a < b ? a : b; }

// e^x. 0 and infinity beyond the range of float32, subnormal results included, NaN for NaN.
__device__ __forceinline__ float Exp(float x) {
  x = MinOf(89.0f, MaxOf(-105.0f, x));
  const float n = rintf(x * 1.44269504f);
  float r = fmaf(-n, 0.693359375f, x);
  r = fmaf(-n, -2.12194440e-4f, r);
  float p = 1.39412131e-3f;
  p = fmaf(p, r, 8.37521020e-3f);
  p = fmaf(p, r, 4.16663516e-2f);
  p = fmaf(p, r, 1.66664145e-1f);
  p = fmaf(p, r, 5.00000005e-1f);
  p = fmaf(p, r, 1.0f);
  p = fmaf(p, r, 1.0f);
  // 2^n in two factors: n may be 128, or so low that 2^n itself is not a normal number.
  const int32_t whole = __float2int_rn(n), half = whole >> 1;
  return p * __int_as_float((half + 127) * (1 << 23)) * __int_as_float((whole - half + 127) * (1 << 23));
}

__device__ __forceinline__ float Tanh(float x) {
  const float a = fabsf(x), z = a * a;
  float p = 2.29274482e-3f;
  p = fmaf(p, z, -8.34394552e-3f);
  p = fmaf(p, z, 2.17689187e-2f);
  p = fmaf(p, z, -5.39592596e-2f);
  p = fmaf(p, z, 1.33333036e-1f);
  p = fmaf(p, z, -3.33333332e-1f);
  const float magnitude = a < 0.625f ? fmaf(a * z, p, a) : 1.0f - 2.0f / (Exp(a + a) + 1.0f);
  return copysignf(magnitude, x);
}

// 1 / (1 + e^-x), without overflow and without losing small results.
__device__ __forceinline__ float Sigmoid(float x) {
  const float e = Exp(-fabsf(x));
  return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

__device__ __forceinline__ float Silu(float x) { return x * Sigmoid(x); }

// x Phi(x); see the SIMD version for the two ranges.
__device__ __forceinline__ float Gelu(float x) {
  const float a = MinOf(28.0f, fabsf(x));
  const float t = a * 0.707106781f;
  // t^2 = a^2 / 2 and its rounding error, which the exponential would multiply by t^2.
  const float half = a * 0.5f;
  const float z = half * a;
  float phi;
  if (t < 0.5f) {
    float p = 2.34055896e-3f;
    p = fmaf(p, z, -1.33702186e-2f);
    p = fmaf(p, z, 5.64129500e-2f);
    p = fmaf(p, z, -1.88062993e-1f);
    p = fmaf(p, z, 5.64189582e-1f);
    phi = fmaf(copysignf(t, x), p, 0.5f);
  } else {
    const float lost = fmaf(half, a, -z);
    const float w = (t - 3.0f) / (t + 3.0f);
    float q = -2.79878233e-4f;
    q = fmaf(q, w, 9.02411593e-4f);
    q = fmaf(q, w, 1.20281643e-3f);
    q = fmaf(q, w, -1.18726021e-2f);
    q = fmaf(q, w, 3.41681194e-2f);
    q = fmaf(q, w, -5.96385531e-2f);
    q = fmaf(q, w, 6.48213196e-2f);
    q = fmaf(q, w, -2.37810552e-2f);
    q = fmaf(q, w, -6.78105223e-2f);
    q = fmaf(q, w, 6.26504028e-1f);
    const float tail = Exp(-z) * (1.0f - lost) * q / fmaf(2.0f, t, 1.0f);
    phi = x < 0.0f ? tail : 1.0f - tail;
  }
  return x * phi;
}

// x sigmoid(2u) with u = sqrt(2 / pi) (x + 0.044715 x^3), which is x (1 + tanh u) / 2.
__device__ __forceinline__ float GeluTanh(float x) {
  const float cubic = fmaf(x * x * x, 0.044715f, x);
  return x * Sigmoid(cubic * 1.59576912f);
}

__device__ __forceinline__ float Relu(float x) { return MaxOf(0.0f, x); }

// `activation` is a checked lanes_activation.
__device__ __forceinline__ float Activate(int32_t activation, float x) {
  switch (activation) {
    case LANES_ACTIVATION_SILU:
      return Silu(x);
    case LANES_ACTIVATION_GELU:
      return Gelu(x);
    case LANES_ACTIVATION_GELU_TANH:
      return GeluTanh(x);
    case LANES_ACTIVATION_RELU:
      return Relu(x);
    case LANES_ACTIVATION_TANH:
      return Tanh(x);
    default:
      return x;
  }
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_ACTIVATION_CUH_
