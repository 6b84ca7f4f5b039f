// exp, tanh and the activations on SIMD vectors. The same polynomials and the same order of operations on every ISA, so equal
// bits; accurate to a few units in the last place (tests/native/math_test.cc holds the figures). Include it after the SIMD layer.
//
// The coefficients are Chebyshev fits on the stated intervals, made with 60 digits.

#include "lanes/lanes.h"

namespace lanes {
namespace LANES_ISA {

// e^x: x = n ln 2 + r with |r| <= ln 2 / 2, and e^r by a polynomial. 0 and infinity beyond the range of float32, subnormal
// results included, NaN for NaN.
static inline F32 Exp(F32 x) {
  // Max and Min hand on a NaN in their second operand.
  x = Min(Set(89.0f), Max(Set(-105.0f), x));
  const F32 n = Round(Mul(x, Set(1.44269504f)));
  F32 r = Fnma(n, Set(0.693359375f), x);
  r = Fnma(n, Set(-2.12194440e-4f), r);
  F32 p = Set(1.39412131e-3f);
  p = Fma(p, r, Set(8.37521020e-3f));
  p = Fma(p, r, Set(4.16663516e-2f));
  p = Fma(p, r, Set(1.66664145e-1f));
  p = Fma(p, r, Set(5.00000005e-1f));
  p = Fma(p, r, Set(1.0f));
  p = Fma(p, r, Set(1.0f));
  // 2^n in two factors: n may be 128, or so low that 2^n itself is not a normal number.
  const I32 whole = ToInt(n);
  const I32 half = ShiftRightArithmetic<1>(whole);
  const F32 scale = AsFloat(ShiftLeft<23>(AddI(half, SetI(127))));
  const F32 rest = AsFloat(ShiftLeft<23>(AddI(SubI(whole, half), SetI(127))));
  return Mul(Mul(p, scale), rest);
}

static inline F32 Tanh(F32 x) {
  const F32 a = Abs(x);
  const F32 z = Mul(a, a);
  F32 p = Set(2.29274482e-3f);
  p = Fma(p, z, Set(-8.34394552e-3f));
  p = Fma(p, z, Set(2.17689187e-2f));
  p = Fma(p, z, Set(-5.39592596e-2f));
  p = Fma(p, z, Set(1.33333036e-1f));
  p = Fma(p, z, Set(-3.33333332e-1f));
  const F32 small = Fma(Mul(a, z), p, a);
  const F32 large = Sub(Set(1.0f), Div(Set(2.0f), Add(Exp(Add(a, a)), Set(1.0f))));
  return CopySign(Select(Less(a, Set(0.625f)), small, large), x);
}

// 1 / (1 + e^-x), without overflow and without losing small results.
static inline F32 Sigmoid(F32 x) {
  const F32 e = Exp(Neg(Abs(x)));
  return Div(Select(Less(x, Zero()), e, Set(1.0f)), Add(Set(1.0f), e));
}

static inline F32 Silu(F32 x) { return Mul(x, Sigmoid(x)); }

// x Phi(x). Near zero Phi = 1/2 + erf(t)/2 with t = |x| / sqrt 2; further out erfc(t)/2 = e^(-t^2) q(w) / (1 + 2t) with a
// polynomial in w = (t - 3) / (t + 3), so that the negative tail keeps its digits.
static inline F32 Gelu(F32 x) {
  // Beyond 28 the tail is 0; the bound keeps the square finite.
  const F32 a = Min(Set(28.0f), Abs(x));
  const F32 t = Mul(a, Set(0.707106781f));
  // t^2 = a^2 / 2 and its rounding error, which the exponential would multiply by t^2.
  const F32 half = Mul(a, Set(0.5f));
  const F32 z = Mul(half, a);
  const F32 lost = Fms(half, a, z);
  F32 p = Set(2.34055896e-3f);
  p = Fma(p, z, Set(-1.33702186e-2f));
  p = Fma(p, z, Set(5.64129500e-2f));
  p = Fma(p, z, Set(-1.88062993e-1f));
  p = Fma(p, z, Set(5.64189582e-1f));
  const F32 near = Fma(CopySign(t, x), p, Set(0.5f));
  const F32 w = Div(Sub(t, Set(3.0f)), Add(t, Set(3.0f)));
  F32 q = Set(-2.79878233e-4f);
  q = Fma(q, w, Set(9.02411593e-4f));
  q = Fma(q, w, Set(1.20281643e-3f));
  q = Fma(q, w, Set(-1.18726021e-2f));
  q = Fma(q, w, Set(3.41681194e-2f));
  q = Fma(q, w, Set(-5.96385531e-2f));
  q = Fma(q, w, Set(6.48213196e-2f));
  q = Fma(q, w, Set(-2.37810552e-2f));
  q = Fma(q, w, Set(-6.78105223e-2f));
  q = Fma(q, w, Set(6.26504028e-1f));
  const F32 tail_exp = Mul(Exp(Neg(z)), Sub(Set(1.0f), lost));
  const F32 tail = Div(Mul(tail_exp, q), Fma(Set(2.0f), t, Set(1.0f)));
  const F32 far = Select(Less(x, Zero()), tail, Sub(Set(1.0f), tail));
  return Mul(x, Select(Less(t, Set(0.5f)), near, far));
}

// x sigmoid(2u) with u = sqrt(2 / pi) (x + 0.044715 x^3), which is x (1 + tanh u) / 2.
static inline F32 GeluTanh(F32 x) {
  const F32 cubic = Fma(Mul(Mul(x, x), x), Set(0.044715f), x);
  return Mul(x, Sigmoid(Mul(cubic, Set(1.59576912f))));
}

static inline F32 Relu(F32 x) { return Max(Zero(), x); }

// `activation` is a checked lanes_activation.
static inline F32 Activate(int32_t activation, F32 x) {
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

}  // namespace LANES_ISA
}  // namespace lanes
