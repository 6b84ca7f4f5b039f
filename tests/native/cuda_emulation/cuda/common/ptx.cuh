// The instructions of native/src/cuda/common/ptx.cuh for the emulation: the same functions, see there for what they mean.
#ifndef LANES_CUDA_COMMON_PTX_CUH_
#define LANES_CUDA_COMMON_PTX_CUH_

#include <cuda_runtime.h>
#include <stdint.h>

#include "emulation/matrix.h"

namespace lanes::cuda {

inline unsigned char* SharedMemory() { return emulation::OwnShared(); }
inline uint32_t SharedAddress(const void* shared) { return emulation::SharedAddressOf(shared); }

// ---- Order between kernels: they run one after the other; that each block waits is checked ------------------------
inline void DependencyWait() { emulation::current->block->waited = true; }
inline void DependencyLaunch() {}

// ---- Copies ------------------------------------------------------------------------------------------------------
inline void CopyAsync16(void* shared, const void* global, bool valid = true) { emulation::CopyAsync(shared, global, 16, valid ? 16 : 0); }
inline void CopyAsyncCommit() { emulation::CopyAsyncCommitGroup(); }
template <int kPending>
inline void CopyAsyncWait() {
  emulation::CopyAsyncWaitGroup(kPending);
}
inline void PrefetchLine(const void*) {}

// ---- Matrix fragments --------------------------------------------------------------------------------------------
inline void LoadMatrixX4(uint32_t (&r)[4], const void* shared_row) { emulation::LoadMatrix(r, 4, false, shared_row); }
inline void LoadMatrixX4Trans(uint32_t (&r)[4], const void* shared_row) { emulation::LoadMatrix(r, 4, true, shared_row); }
inline void LoadMatrixX2(uint32_t (&r)[2], const void* shared_row) { emulation::LoadMatrix(r, 2, false, shared_row); }
inline void MmaBf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { emulation::Mma16(emulation::Element16::kBf16, d, a, b); }
inline void MmaF16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { emulation::Mma16(emulation::Element16::kF16, d, a, b); }
inline void MmaS8(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { emulation::MmaS8(d, a, b); }

// ---- Numbers -----------------------------------------------------------------------------------------------------
// Denormal inputs and results are zeros, as with .ftz; else rounded to nearest.
inline float Exp2(float x) {
  const float y = exp2f(x);
  return y < 1.17549435e-38f ? 0.f : y;
}

inline uint16_t ToBf16(float x) { return emulation::FloatToBf16(x); }
inline uint16_t ToF16(float x) { return emulation::FloatToF16(x); }
inline uint32_t PackBf16(float low, float high) { return static_cast<uint32_t>(ToBf16(high)) << 16 | ToBf16(low); }
inline uint32_t PackF16(float low, float high) { return static_cast<uint32_t>(ToF16(high)) << 16 | ToF16(low); }
inline float FromBf16(uint16_t x) { return emulation::Bf16ToFloat(x); }
inline float FromF16(uint16_t x) { return emulation::F16ToFloat(x); }
inline float2 UnpackF16(uint32_t pair) { return make_float2(FromF16(static_cast<uint16_t>(pair)), FromF16(static_cast<uint16_t>(pair >> 16))); }

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_PTX_CUH_
