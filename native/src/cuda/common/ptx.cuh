// Instructions that CUDA C++ has no name for, sm_80 and later, and conversions. Kernels include nothing else for these, so that the
// emulation (tests/native/cuda_emulation/cuda/common/ptx.cuh) can stand in for it.
//
// Elements of 16 bits are uint16_t everywhere; fragments are the registers of mma.sync as the PTX manual draws them.
#ifndef LANES_CUDA_COMMON_PTX_CUH_
#define LANES_CUDA_COMMON_PTX_CUH_

#include <cuda_runtime.h>
#include <stdint.h>

namespace lanes::cuda {

// The block's dynamic shared memory; 1,024-byte aligned.
__device__ __forceinline__ unsigned char* SharedMemory() {
  extern __shared__ __align__(1024) unsigned char lanes_shared_memory[];
  return lanes_shared_memory;
}

__device__ __forceinline__ uint32_t SharedAddress(const void* shared) { return static_cast<uint32_t>(__cvta_generic_to_shared(shared)); }

// ---- Order between kernels ---------------------------------------------------------------------------------------

// Until the kernels ahead have ended and their writes can be seen. Every kernel calls it, in every thread, before it reads or writes
// anything but weights and its arguments.
__device__ __forceinline__ void DependencyWait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// From here on the next kernel may be started, to do what it can before its DependencyWait.
__device__ __forceinline__ void DependencyLaunch() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// ---- Copies ------------------------------------------------------------------------------------------------------

// 16 bytes from global to shared memory, or 16 zero bytes when not `valid` (then nothing is read). Both 16-byte aligned.
__device__ __forceinline__ void CopyAsync16(void* shared, const void* global, bool valid = true) {
  const uint32_t bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(SharedAddress(shared)), "l"(global), "r"(bytes) : "memory");
}

__device__ __forceinline__ void CopyAsyncCommit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Until at most `kPending` of this thread's groups are under way.
template <int kPending>
__device__ __forceinline__ void CopyAsyncWait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// Starts to bring the 128 bytes around an address into the second-level cache. It is no read: also of what a kernel ahead still writes.
__device__ __forceinline__ void PrefetchLine(const void* global) { asm volatile("prefetch.global.L2 [%0];" ::"l"(global)); }

// ---- Matrix fragments --------------------------------------------------------------------------------------------

// Lane l gives the address of row l % 8 of matrix l / 8 (8x8 elements of 16 bits; rows of 16 bytes, 16-byte aligned).
__device__ __forceinline__ void LoadMatrixX4(uint32_t (&r)[4], const void* shared_row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(SharedAddress(shared_row))
               : "memory");
}
__device__ __forceinline__ void LoadMatrixX4Trans(uint32_t (&r)[4], const void* shared_row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(SharedAddress(shared_row))
               : "memory");
}
// Lanes 0 to 15 give the addresses.
__device__ __forceinline__ void LoadMatrixX2(uint32_t (&r)[2], const void* shared_row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(SharedAddress(shared_row))
               : "memory");
}

// d += a b: a [16, 16] row-major, b [16, 8] column-major, d [16, 8] float32.
__device__ __forceinline__ void MmaBf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void MmaF16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// d += a b: a [16, 32] row-major, b [32, 8] column-major, of int8; d [16, 8] int32.
__device__ __forceinline__ void MmaS8(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// ---- Numbers -----------------------------------------------------------------------------------------------------

// 2^x, with the error of ex2.approx (2 units in the last place); exactly 0 for -infinity.
__device__ __forceinline__ float Exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Two float32 as bfloat16, half to even; `low` in the low half.
__device__ __forceinline__ uint32_t PackBf16(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}
__device__ __forceinline__ uint32_t PackF16(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}
__device__ __forceinline__ uint16_t ToBf16(float x) { return static_cast<uint16_t>(PackBf16(x, 0.f)); }
__device__ __forceinline__ uint16_t ToF16(float x) { return static_cast<uint16_t>(PackF16(x, 0.f)); }
__device__ __forceinline__ float FromBf16(uint16_t x) { return __uint_as_float(static_cast<uint32_t>(x) << 16); }
__device__ __forceinline__ float FromF16(uint16_t x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x));
  return y;
}
// Both of a pair.
__device__ __forceinline__ float2 UnpackF16(uint32_t pair) {
  float2 y;
  asm("{\n.reg .f16 low, high;\nmov.b32 {low, high}, %2;\ncvt.f32.f16 %0, low;\ncvt.f32.f16 %1, high;\n}" : "=f"(y.x), "=f"(y.y) : "r"(pair));
  return y;
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_PTX_CUH_
