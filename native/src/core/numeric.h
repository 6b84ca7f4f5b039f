// Element types, and arithmetic on sizes that cannot overflow unnoticed.
#ifndef LANES_CORE_NUMERIC_H_
#define LANES_CORE_NUMERIC_H_

#include <stdint.h>

#include "core/error.h"

namespace lanes {

inline bool IsDtype(int32_t dtype) { return dtype >= LANES_F32 && dtype <= LANES_S8; }

// Bytes of one element; `dtype` must be valid.
inline int64_t DtypeBytes(int32_t dtype) { return dtype == LANES_F32 ? 4 : dtype == LANES_S8 ? 1 : 2; }

inline const char* DtypeName(int32_t dtype) {
  const char* const names[] = {"f32", "bf16", "f16", "s8"};
  return IsDtype(dtype) ? names[dtype] : "unknown";
}

inline int64_t CeilDiv(int64_t a, int64_t b) { return a / b + (a % b != 0); }
inline int64_t RoundUp(int64_t a, int64_t b) { return CeilDiv(a, b) * b; }

// Product and sum of sizes; `what` names the size in the message.
inline int64_t CheckedMul(int64_t a, int64_t b, const char* what) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) {
    ThrowInvalid("%s: %lld * %lld does not fit 64 bits", what, static_cast<long long>(a), static_cast<long long>(b));
  }
  return product;
}

inline int64_t CheckedAdd(int64_t a, int64_t b, const char* what) {
  int64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) {
    ThrowInvalid("%s: %lld + %lld does not fit 64 bits", what, static_cast<long long>(a), static_cast<long long>(b));
  }
  return sum;
}

}  // namespace lanes

#endif  // LANES_CORE_NUMERIC_H_
