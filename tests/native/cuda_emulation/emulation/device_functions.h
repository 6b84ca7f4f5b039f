// Built-in variables and functions of CUDA's device code.
#ifndef LANES_TESTS_CUDA_EMULATION_DEVICE_FUNCTIONS_H_
#define LANES_TESTS_CUDA_EMULATION_DEVICE_FUNCTIONS_H_

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>

#include "emulation/threads.h"

#define threadIdx (::lanes::cuda::emulation::current->index)
#define blockIdx (::lanes::cuda::emulation::current->block->index)
#define blockDim (::lanes::cuda::emulation::current_block)
#define gridDim (::lanes::cuda::emulation::current_grid)
inline constexpr int warpSize = 32;

// ---- Barriers ----------------------------------------------------------------------------------------------------

inline void __syncthreads() {
  lanes::cuda::emulation::BarrierSync(0, 0, 0, lanes::cuda::emulation::Vote::kAny, "__syncthreads");
}
inline int __syncthreads_or(int predicate) {
  return lanes::cuda::emulation::BarrierSync(0, 0, predicate, lanes::cuda::emulation::Vote::kAny, "__syncthreads_or");
}
inline int __syncthreads_and(int predicate) {
  return lanes::cuda::emulation::BarrierSync(0, 0, predicate, lanes::cuda::emulation::Vote::kAll, "__syncthreads_and");
}
inline int __syncthreads_count(int predicate) {
  return lanes::cuda::emulation::BarrierSync(0, 0, predicate, lanes::cuda::emulation::Vote::kCount, "__syncthreads_count");
}
// Memory is the host's, and one thread runs at a time.
inline void __threadfence_block() {}
inline void __threadfence() {}
inline void __threadfence_system() {}
inline void __nanosleep(unsigned) {}
[[noreturn]] inline void __trap() { lanes::cuda::emulation::Fault("__trap"); }

// ---- Warp-wide functions -----------------------------------------------------------------------------------------

namespace lanes::cuda::emulation {

struct ShuffleArgs {
  uint64_t value, result;
  uint32_t source;
};
extern const Instruction kSyncWarp, kBallot, kShuffle, kShuffleUp, kShuffleDown, kShuffleXor, kMatchAny;
extern const Instruction kReduceAdd, kReduceMin, kReduceMax, kReduceMinSigned, kReduceMaxSigned, kReduceAnd, kReduceOr, kReduceXor;

template <class T>
T Shuffle(const Instruction& instruction, uint32_t mask, T value, uint32_t source) {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8), "what CUDA shuffles");
  ShuffleArgs args = {0, 0, source};
  memcpy(&args.value, &value, sizeof value);
  WarpMeet(instruction, mask, &args);
  memcpy(&value, &args.result, sizeof value);
  return value;
}

// The lane from which each kind of shuffle takes its value, as PTX computes it: `width` is a power of two, segments do not mix.
inline uint32_t CheckedWidth(int width) {
  if (width < 1 || width > 32 || (width & (width - 1)) != 0) Fault("a shuffle's width is %d", width);
  return static_cast<uint32_t>(width);
}

struct VoteArgs {
  uint32_t value, result;
};
inline uint32_t Reduce(const Instruction& instruction, uint32_t mask, uint32_t value) {
  VoteArgs args = {value, 0};
  WarpMeet(instruction, mask, &args);
  return args.result;
}

}  // namespace lanes::cuda::emulation

inline void __syncwarp(unsigned mask = 0xffffffffu) {
  lanes::cuda::emulation::WarpMeet(lanes::cuda::emulation::kSyncWarp, mask, nullptr);
}

template <class T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  using namespace lanes::cuda::emulation;
  const uint32_t w = CheckedWidth(width), lane = current->lane;
  return Shuffle(kShuffle, mask, value, (lane & ~(w - 1)) | (static_cast<uint32_t>(source) & (w - 1)));
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  using namespace lanes::cuda::emulation;
  const uint32_t w = CheckedWidth(width), lane = current->lane;
  return Shuffle(kShuffleUp, mask, value, (lane & (w - 1)) >= delta ? lane - delta : lane);
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  using namespace lanes::cuda::emulation;
  const uint32_t w = CheckedWidth(width), lane = current->lane;
  return Shuffle(kShuffleDown, mask, value, (lane & (w - 1)) + static_cast<uint64_t>(delta) < w ? lane + delta : lane);
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
  using namespace lanes::cuda::emulation;
  const uint32_t w = CheckedWidth(width), lane = current->lane, other = lane ^ static_cast<uint32_t>(lane_mask);
  return Shuffle(kShuffleXor, mask, value, other <= (lane | (w - 1)) ? other : lane);
}

inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return lanes::cuda::emulation::Reduce(lanes::cuda::emulation::kBallot, mask, predicate != 0);
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }
inline unsigned __match_any_sync(unsigned mask, unsigned value) {
  return lanes::cuda::emulation::Reduce(lanes::cuda::emulation::kMatchAny, mask, value);
}

inline unsigned __reduce_add_sync(unsigned mask, unsigned value) {
  return lanes::cuda::emulation::Reduce(lanes::cuda::emulation::kReduceAdd, mask, value);
}
inline int __reduce_add_sync(unsigned mask, int value) { return static_cast<int>(__reduce_add_sync(mask, static_cast<unsigned>(value))); }
inline unsigned __reduce_min_sync(unsigned mask, unsigned value) {
  return lanes::cuda::emulation::Reduce(lanes::cuda::emulation::kReduceMin, mask, value);
}
inline int __reduce_min_sync(unsigned mask, int value) {
  return static_cast<int>(lanes::cuda::emulation::Reduce(lanes::cuda::emulation::kReduceMinSigned, mask, static_cast<unsigned>(value)));
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned value) {
  return lanes::cuda::emulation::Reduce(lanes::cuda::emulation::kReduceMax, mask, value);
}
inline int __reduce_max_sync(unsigned mask, int value) {
  return static_cast<int>(lanes::cuda::emulation::Reduce(lanes::cuda::emulation::kReduceMaxSigned, mask, static_cast<unsigned>(value)));
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value) {
  return lanes::cuda::emulation::Reduce(lanes::cuda::emulation::kReduceAnd, mask, value);
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value) {
  return lanes::cuda::emulation::Reduce(lanes::cuda::emulation::kReduceOr, mask, value);
}
inline unsigned __reduce_xor_sync(unsigned mask, unsigned value) {
  return lanes::cuda::emulation::Reduce(lanes::cuda::emulation::kReduceXor, mask, value);
}

// ---- Bits and integers -------------------------------------------------------------------------------------------

inline int __float_as_int(float x) { return __builtin_bit_cast(int, x); }
inline unsigned __float_as_uint(float x) { return __builtin_bit_cast(unsigned, x); }
inline float __int_as_float(int x) { return __builtin_bit_cast(float, x); }
inline float __uint_as_float(unsigned x) { return __builtin_bit_cast(float, x); }
inline long long __double_as_longlong(double x) { return __builtin_bit_cast(long long, x); }
inline double __longlong_as_double(long long x) { return __builtin_bit_cast(double, x); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __brev(unsigned x) {
  unsigned r = 0;
  for (int i = 0; i < 32; ++i) r |= (x >> i & 1) << (31 - i);
  return r;
}
// Byte i of the result is byte (selector >> 4 i) & 7 of y:x; with bit 3 of the selector, that byte's sign, eight times.
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t bytes = static_cast<uint64_t>(y) << 32 | x;
  unsigned r = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned s = selector >> (4 * i);
    unsigned byte = static_cast<unsigned>(bytes >> (8 * (s & 7))) & 0xFF;
    if (s & 8) byte = byte & 0x80 ? 0xFF : 0;
    r |= byte << (8 * i);
  }
  return r;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) << (shift & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (shift & 31));
}
inline unsigned __umulhi(unsigned x, unsigned y) { return static_cast<unsigned>(static_cast<uint64_t>(x) * y >> 32); }
inline int __mulhi(int x, int y) { return static_cast<int>(static_cast<int64_t>(x) * y >> 32); }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(x) * y >> 64);
}
inline int __dp4a(int a, int b, int c) {
  auto sum = static_cast<unsigned>(c);
  for (int i = 0; i < 4; ++i) {
    sum += static_cast<unsigned>(static_cast<int8_t>(static_cast<unsigned>(a) >> (8 * i)) *
                                 static_cast<int8_t>(static_cast<unsigned>(b) >> (8 * i)));
  }
  return static_cast<int>(sum);
}

#define LANES_MIN_MAX(T)                                    \
  inline constexpr T min(T a, T b) { return b < a ? b : a; } \
  inline constexpr T max(T a, T b) { return a < b ? b : a; }
LANES_MIN_MAX(int)
LANES_MIN_MAX(unsigned)
LANES_MIN_MAX(long)
LANES_MIN_MAX(unsigned long)
LANES_MIN_MAX(long long)
LANES_MIN_MAX(unsigned long long)
#undef LANES_MIN_MAX
// As fminf and fmaxf: of a number and a NaN, the number.
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

// ---- Floating point ----------------------------------------------------------------------------------------------

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __frsqrt_rn(float a) { return static_cast<float>(1.0 / sqrt(static_cast<double>(a))); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline double __ddiv_rn(double a, double b) { return a / b; }

// Approximate on the device; here as good as it gets.
inline float rsqrtf(float a) { return __frsqrt_rn(a); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float a) { return expf(a); }
inline float __exp10f(float a) { return static_cast<float>(pow(10.0, static_cast<double>(a))); }
inline float __logf(float a) { return logf(a); }
inline float __log2f(float a) { return log2f(a); }
inline float __sinf(float a) { return sinf(a); }
inline float __cosf(float a) { return cosf(a); }
inline float __powf(float a, float b) { return powf(a, b); }
inline float __saturatef(float a) { return a > 0.0f ? (a < 1.0f ? a : 1.0f) : 0.0f; }

// Conversions saturate; NaN becomes 0.
namespace lanes::cuda::emulation {
template <class To>
To Saturate(double integral, double low, double high) {
  if (integral != integral) return 0;
  if (integral <= low) return static_cast<To>(low);
  if (integral >= high) return sizeof(To) == 4 ? static_cast<To>(high) : (std::is_signed_v<To> ? static_cast<To>(INT64_MAX) : static_cast<To>(UINT64_MAX));
  return static_cast<To>(integral);
}
}  // namespace lanes::cuda::emulation
inline int __float2int_rn(float x) { return lanes::cuda::emulation::Saturate<int>(rintf(x), -2147483648.0, 2147483647.0); }
inline int __float2int_rz(float x) { return lanes::cuda::emulation::Saturate<int>(truncf(x), -2147483648.0, 2147483647.0); }
inline int __float2int_rd(float x) { return lanes::cuda::emulation::Saturate<int>(floorf(x), -2147483648.0, 2147483647.0); }
inline int __float2int_ru(float x) { return lanes::cuda::emulation::Saturate<int>(ceilf(x), -2147483648.0, 2147483647.0); }
inline unsigned __float2uint_rn(float x) { return lanes::cuda::emulation::Saturate<unsigned>(rintf(x), 0.0, 4294967295.0); }
inline unsigned __float2uint_rz(float x) { return lanes::cuda::emulation::Saturate<unsigned>(truncf(x), 0.0, 4294967295.0); }
inline int __double2int_rn(double x) { return lanes::cuda::emulation::Saturate<int>(rint(x), -2147483648.0, 2147483647.0); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline float __ll2float_rn(long long x) { return static_cast<float>(x); }
inline float __ull2float_rn(unsigned long long x) { return static_cast<float>(x); }
inline float __double2float_rn(double x) { return static_cast<float>(x); }

// ---- Memory ------------------------------------------------------------------------------------------------------

template <class T> inline T __ldcs(const T* p) { return *p; }
template <class T> inline T __ldcg(const T* p) { return *p; }
template <class T> inline T __ldca(const T* p) { return *p; }
template <class T> inline T __ldlu(const T* p) { return *p; }
template <class T> inline void __stcs(T* p, T value) { *p = value; }
template <class T> inline void __stcg(T* p, T value) { *p = value; }
template <class T> inline void __stwt(T* p, T value) { *p = value; }
inline size_t __cvta_generic_to_shared(const void* p) { return lanes::cuda::emulation::SharedAddressOf(p); }

// One thread runs at a time: each is atomic as it stands.
template <class T> inline T atomicAdd(T* p, std::common_type_t<T> v) { const T old = *p; *p = static_cast<T>(old + v); return old; }
template <class T> inline T atomicExch(T* p, std::common_type_t<T> v) { const T old = *p; *p = v; return old; }
template <class T> inline T atomicMax(T* p, std::common_type_t<T> v) { const T old = *p; if (old < v) *p = v; return old; }
template <class T> inline T atomicMin(T* p, std::common_type_t<T> v) { const T old = *p; if (v < old) *p = v; return old; }
template <class T> inline T atomicOr(T* p, std::common_type_t<T> v) { const T old = *p; *p = old | v; return old; }
template <class T> inline T atomicCAS(T* p, std::common_type_t<T> expected, std::common_type_t<T> v) {
  const T old = *p;
  if (old == expected) *p = v;
  return old;
}

#endif  // LANES_TESTS_CUDA_EMULATION_DEVICE_FUNCTIONS_H_
