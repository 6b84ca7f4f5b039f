// Instructions of sm_90a: barriers in shared memory, copies of tensor tiles (TMA), matrix products of a warpgroup (wgmma), clusters.
// Only translation units named *_sm90.cu include it. The emulation has a file of the same name (tests/native/cuda_emulation).
#ifndef LANES_CUDA_COMMON_HOPPER_CUH_
#define LANES_CUDA_COMMON_HOPPER_CUH_

#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#error "cuda/common/hopper.cuh is for sm_90a alone"
#endif

#include "cuda/common/ptx.cuh"

namespace lanes::cuda {

struct TensorMap;  // cuda/common/tensor_map.h; kernels get it inside their `const __grid_constant__` arguments

// ---- Threads -----------------------------------------------------------------------------------------------------

// True in one lane of the warp, which must be converged.
__device__ __forceinline__ bool ElectOne() {
  uint32_t elected;
  asm volatile(
      "{\n.reg .pred p;\n"
      "elect.sync _|p, 0xffffffff;\n"
      "selp.u32 %0, 1, 0, p;\n}"
      : "=r"(elected)::"memory");
  return elected != 0;
}

// Barrier number 1 to 15 of the block, for `threads` threads, a multiple of 32; 0 is __syncthreads.
__device__ __forceinline__ void NamedBarrierSync(int32_t id, int32_t threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
// Counts this thread without waiting.
__device__ __forceinline__ void NamedBarrierArrive(int32_t id, int32_t threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// Registers per thread from here on; all warps of a warpgroup call it. Needs __launch_bounds__(threads, 1), and each role of
// the block one branch of one if. A multiple of 8.
template <int kRegisters>
__device__ __forceinline__ void IncreaseRegisters() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void DecreaseRegisters() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// ---- Clusters ----------------------------------------------------------------------------------------------------

__device__ __forceinline__ uint32_t ClusterRank() {
  uint32_t rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
__device__ __forceinline__ uint32_t ClusterSize() {
  uint32_t size;
  asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return size;
}
// All threads of all blocks of the cluster.
__device__ __forceinline__ void ClusterArrive() { asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory"); }
__device__ __forceinline__ void ClusterWait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
__device__ __forceinline__ void ClusterSync() {
  ClusterArrive();
  ClusterWait();
}
// The same for barriers that were initialised before it, with a BarrierInitFence, and for nothing else: the release of ClusterSync
// waits until all that was written has reached the GPU's memory.
__device__ __forceinline__ void ClusterSyncAfterInit() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
  ClusterWait();
}

// ---- Barriers in shared memory -----------------------------------------------------------------------------------

// Its phase ends when all arrivals and all expected bytes are in; then the next one begins, with the same number of arrivals.
struct alignas(8) Barrier {
  uint64_t state;
};

__device__ __forceinline__ void BarrierInit(Barrier* barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(SharedAddress(barrier)), "r"(arrivals) : "memory");
}
// After all BarrierInit of a thread, before the __syncthreads or ClusterSyncAfterInit that shows them to others.
__device__ __forceinline__ void BarrierInitFence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

__device__ __forceinline__ void BarrierArrive(Barrier* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(SharedAddress(barrier)) : "memory");
}
// At the same barrier of block `rank` of the cluster, which may be this one. Says only that this thread has come here, and that its
// products have read their tiles: for shared memory that TMA alone writes. A release at the cluster's scope would flush memory.
__device__ __forceinline__ void BarrierArriveAt(Barrier* barrier, uint32_t rank) {
  asm volatile(
      "{\n.reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote];\n}" ::"r"(SharedAddress(barrier)),
      "r"(rank)
      : "memory");
}
// One arrival, and `bytes` more that copies of this phase will bring. A box that sticks out of its tensor counts whole.
__device__ __forceinline__ void BarrierArriveExpect(Barrier* barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(SharedAddress(barrier)), "r"(bytes) : "memory");
}

// Whether the phase of this parity has ended; may take its time. The first phase has parity 0, and the one before it counts as
// ended: waiting for parity 1 of a new barrier returns at once.
__device__ __forceinline__ bool BarrierTry(Barrier* barrier, uint32_t parity) {
  uint32_t done;
  asm volatile(
      "{\n.reg .pred p;\n"
      "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
      "selp.u32 %0, 1, 0, p;\n}"
      : "=r"(done)
      : "r"(SharedAddress(barrier)), "r"(parity)
      : "memory");
  return done != 0;
}
__device__ __forceinline__ void BarrierWait(Barrier* barrier, uint32_t parity) {
  while (!BarrierTry(barrier, parity)) {
  }
}
// Ordinary writes to shared memory of this thread come before reads of TMA and wgmma that follow the next barrier.
__device__ __forceinline__ void ProxyFence() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// ---- Tiles between global and shared memory ----------------------------------------------------------------------
//
// A tile is the box of its map at element coordinates c0 (the contiguous dimension), c1, ...; what lies outside the tensor reads as
// zero and is not written. Tiles in shared memory are 128-byte aligned, with 128-byte swizzle 1,024-byte. One thread calls.

__device__ __forceinline__ void TmaPrefetch(const TensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

#define LANES_TMA_LOAD(dimensions, coordinates) \
  "cp.async.bulk.tensor." dimensions ".shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, " coordinates "], [%2];"

// Completes on `barrier` with the bytes of the box.
__device__ __forceinline__ void TmaLoad(void* tile, const TensorMap* map, Barrier* barrier, int32_t c0, int32_t c1) {
  asm volatile(LANES_TMA_LOAD("2d", "{%3, %4}") ::"r"(SharedAddress(tile)), "l"(map), "r"(SharedAddress(barrier)), "r"(c0), "r"(c1)
               : "memory");
}
__device__ __forceinline__ void TmaLoad(void* tile, const TensorMap* map, Barrier* barrier, int32_t c0, int32_t c1, int32_t c2) {
  asm volatile(LANES_TMA_LOAD("3d", "{%3, %4, %5}") ::"r"(SharedAddress(tile)), "l"(map), "r"(SharedAddress(barrier)), "r"(c0), "r"(c1),
               "r"(c2)
               : "memory");
}
__device__ __forceinline__ void TmaLoad(void* tile, const TensorMap* map, Barrier* barrier, int32_t c0, int32_t c1, int32_t c2,
                                        int32_t c3) {
  asm volatile(LANES_TMA_LOAD("4d", "{%3, %4, %5, %6}") ::"r"(SharedAddress(tile)), "l"(map), "r"(SharedAddress(barrier)), "r"(c0),
               "r"(c1), "r"(c2), "r"(c3)
               : "memory");
}
#undef LANES_TMA_LOAD

// Into the same place of every block of the cluster whose bit is in `mask`, completing on the same barrier of each.
__device__ __forceinline__ void TmaLoadMulticast(void* tile, const TensorMap* map, Barrier* barrier, uint16_t mask, int32_t c0,
                                                 int32_t c1) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster"
      " [%0], [%1, {%4, %5}], [%2], %3;" ::"r"(SharedAddress(tile)),
      "l"(map), "r"(SharedAddress(barrier)), "h"(mask), "r"(c0), "r"(c1)
      : "memory");
}

// From shared memory, after a ProxyFence of the threads that wrote it and a barrier. Then TmaStoreCommit, by the same thread.
__device__ __forceinline__ void TmaStore(const TensorMap* map, const void* tile, int32_t c0, int32_t c1) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2, %3}], [%1];" ::"l"(map), "r"(SharedAddress(tile)),
               "r"(c0), "r"(c1)
               : "memory");
}
__device__ __forceinline__ void TmaStore(const TensorMap* map, const void* tile, int32_t c0, int32_t c1, int32_t c2) {
  asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%0, {%2, %3, %4}], [%1];" ::"l"(map), "r"(SharedAddress(tile)),
               "r"(c0), "r"(c1), "r"(c2)
               : "memory");
}
__device__ __forceinline__ void TmaStore(const TensorMap* map, const void* tile, int32_t c0, int32_t c1, int32_t c2, int32_t c3) {
  asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.bulk_group [%0, {%2, %3, %4, %5}], [%1];" ::"l"(map),
               "r"(SharedAddress(tile)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
               : "memory");
}
__device__ __forceinline__ void TmaStoreCommit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
// Until at most `kPending` of this thread's groups have still to read shared memory.
template <int kPending>
__device__ __forceinline__ void TmaStoreWaitRead() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(kPending) : "memory");
}
// Until at most `kPending` of this thread's groups are unfinished. Before a block ends, or another kernel reads.
template <int kPending>
__device__ __forceinline__ void TmaStoreWait() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(kPending) : "memory");
}

// ---- Fragments to shared memory ----------------------------------------------------------------------------------

// The reverse of LoadMatrixX4: lane l gives the address of row l % 8 of matrix l / 8.
__device__ __forceinline__ void StoreMatrixX4(void* shared_row, const uint32_t (&r)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(SharedAddress(shared_row)), "r"(r[0]), "r"(r[1]),
               "r"(r[2]), "r"(r[3])
               : "memory");
}
__device__ __forceinline__ void StoreMatrixX4Trans(void* shared_row, const uint32_t (&r)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(SharedAddress(shared_row)), "r"(r[0]),
               "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
}
// Lanes 0 to 15 give the addresses.
__device__ __forceinline__ void StoreMatrixX2(void* shared_row, const uint32_t (&r)[2]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x2.shared.b16 [%0], {%1, %2};" ::"r"(SharedAddress(shared_row)), "r"(r[0]), "r"(r[1])
               : "memory");
}

// ---- Products of a warpgroup -------------------------------------------------------------------------------------
//
//   WgmmaFence();                             // before the first product, and when registers of an operand were written since
//   WgmmaBf16(d, a, b, accumulate); ...       // asynchronous, in order
//   WgmmaCommit();
//   WgmmaWait<0>();  WgmmaHold(d);            // until then d, registers of a and both tiles are not touched
//
// All four warps come to each of these with the same descriptors, but a warp waits for its own products alone: who frees a tile
// counts an arrival of every warp.
//
// d[4 * j + i] of thread t is element (row 16 * (t / 32) + t % 32 / 4 + 8 * (i / 2), column 8 * j + 2 * (t % 4) + i % 2) of a 64-row
// product. a from registers is laid out as that of mma.sync m16n8k16, 16 rows a warp.

// Which dimension of an operand is contiguous in shared memory: the summed one, or rows of a and columns of b.
enum class Major : int32_t { kSummed = 0, kOther = 1 };

// Descriptor of an operand in a tile with 128-byte swizzle and lines of 128 bytes: groups of 8 lines are 64 units of 16 bytes apart.
//
// kSummed: line r holds 128 bytes of row r of a (or column r of b). The next k of 32 bytes: WgmmaAdvance(descriptor, 32).
__device__ __forceinline__ uint64_t WgmmaDescriptor(const void* tile) {
  const uint64_t address = (SharedAddress(tile) & 0x3FFFF) >> 4;
  return address | (UINT64_C(1) << 16) | (UINT64_C(64) << 32) | (UINT64_C(1) << 62);
}
// kOther: line k holds 64 consecutive rows of a (columns of b), and the next 64 come `next_bytes` later, a multiple of 1,024. The
// next 16 k: WgmmaAdvance(descriptor, 16 * 128).
__device__ __forceinline__ uint64_t WgmmaDescriptorOther(const void* tile, uint32_t next_bytes) {
  const uint64_t address = (SharedAddress(tile) & 0x3FFFF) >> 4;
  return address | (static_cast<uint64_t>(next_bytes >> 4) << 16) | (UINT64_C(64) << 32) | (UINT64_C(1) << 62);
}
__device__ __forceinline__ uint64_t WgmmaAdvance(uint64_t descriptor, uint32_t bytes) { return descriptor + (bytes >> 4); }

__device__ __forceinline__ void WgmmaFence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void WgmmaCommit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Until at most `kPending` committed groups are under way.
template <int kPending>
__device__ __forceinline__ void WgmmaWait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// Keeps the compiler from moving reads and writes of registers across this place: before the WgmmaFence that follows writes, and
// after the WgmmaWait that comes before reads.
template <int kCount>
__device__ __forceinline__ void WgmmaHold(float (&d)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(d[i])::"memory");
}
template <int kCount>
__device__ __forceinline__ void WgmmaHold(int32_t (&d)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+r"(d[i])::"memory");
}
template <int kCount>
__device__ __forceinline__ void WgmmaHold(uint32_t (&d)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+r"(d[i])::"memory");
}

}  // namespace lanes::cuda

// d [64, n] = a b, or d += a b when `accumulate`, where d has n / 2 elements a thread:
//   template <Major kB = Major::kSummed> void WgmmaBf16(float (&d)[n / 2], uint64_t a, uint64_t b, bool accumulate);
//   template <Major kB = Major::kSummed> void WgmmaBf16(float (&d)[n / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate);
//   WgmmaF16: the same two.
//   void WgmmaS8(int32_t (&d)[n / 2], uint64_t a, uint64_t b, bool accumulate);
// k is 16 of bfloat16 and f16, 32 of int8; n is 8, 16, 24, 32 or a multiple of 16 up to 256. a is kSummed.
#include "cuda/common/hopper_wgmma.cuh"

#endif  // LANES_CUDA_COMMON_HOPPER_CUH_
