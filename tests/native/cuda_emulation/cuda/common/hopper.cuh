// The instructions of native/src/cuda/common/hopper.cuh for the emulation: the same functions, see there for what they mean.
#ifndef LANES_CUDA_COMMON_HOPPER_CUH_
#define LANES_CUDA_COMMON_HOPPER_CUH_

#include "cuda/common/ptx.cuh"
#include "emulation/hopper.h"
#include "emulation/proxy.h"

namespace lanes::cuda {

// ---- Threads -----------------------------------------------------------------------------------------------------

inline bool ElectOne() { return emulation::ElectOne(); }
inline void NamedBarrierSync(int32_t id, int32_t threads) {
  emulation::BarrierSync(static_cast<uint32_t>(id), static_cast<uint32_t>(threads), 0, emulation::Vote::kAny, "bar.sync");
}
inline void NamedBarrierArrive(int32_t id, int32_t threads) {
  emulation::BarrierArrive(static_cast<uint32_t>(id), static_cast<uint32_t>(threads));
}
template <int kRegisters>
inline void IncreaseRegisters() {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 24 && kRegisters <= 256);
  emulation::SetRegisters(kRegisters, true);
}
template <int kRegisters>
inline void DecreaseRegisters() {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 24 && kRegisters <= 256);
  emulation::SetRegisters(kRegisters, false);
}

// ---- Clusters ----------------------------------------------------------------------------------------------------

inline uint32_t ClusterRank() { return emulation::current->block->rank; }
inline uint32_t ClusterSize() { return emulation::current->block->cluster->size; }
inline void ClusterArrive() { emulation::ClusterArrive(); }
inline void ClusterWait() { emulation::ClusterWait(); }
inline void ClusterSync() {
  ClusterArrive();
  ClusterWait();
}
inline void ClusterSyncAfterInit() { ClusterSync(); }

// ---- Barriers in shared memory -----------------------------------------------------------------------------------

struct alignas(8) Barrier {
  uint64_t state;
};

inline void BarrierInit(Barrier* barrier, uint32_t arrivals) { emulation::InitMbarrier(&barrier->state, arrivals); }
inline void BarrierInitFence() {}
inline void BarrierArrive(Barrier* barrier) { emulation::ArriveMbarrier(&barrier->state, 0); }
inline void BarrierArriveAt(Barrier* barrier, uint32_t rank) { emulation::ArriveMbarrierAt(&barrier->state, rank); }
inline void BarrierArriveExpect(Barrier* barrier, uint32_t bytes) { emulation::ArriveMbarrier(&barrier->state, bytes); }
inline bool BarrierTry(Barrier* barrier, uint32_t parity) { return emulation::TryMbarrier(&barrier->state, parity); }
inline void BarrierWait(Barrier* barrier, uint32_t parity) { emulation::WaitMbarrier(&barrier->state, parity); }
inline void ProxyFence() { emulation::FenceProxy(); }

// ---- Tiles between global and shared memory ----------------------------------------------------------------------

inline void TmaPrefetch(const TensorMap* map) { emulation::DecodeTensorMap(map); }
inline void TmaLoad(void* tile, const TensorMap* map, Barrier* barrier, int32_t c0, int32_t c1) {
  emulation::LoadTile(tile, map, &barrier->state, 0, 2, c0, c1, 0, 0);
}
inline void TmaLoad(void* tile, const TensorMap* map, Barrier* barrier, int32_t c0, int32_t c1, int32_t c2) {
  emulation::LoadTile(tile, map, &barrier->state, 0, 3, c0, c1, c2, 0);
}
inline void TmaLoad(void* tile, const TensorMap* map, Barrier* barrier, int32_t c0, int32_t c1, int32_t c2, int32_t c3) {
  emulation::LoadTile(tile, map, &barrier->state, 0, 4, c0, c1, c2, c3);
}
inline void TmaLoadMulticast(void* tile, const TensorMap* map, Barrier* barrier, uint16_t mask, int32_t c0, int32_t c1) {
  emulation::LoadTile(tile, map, &barrier->state, mask, 2, c0, c1, 0, 0);
}
inline void TmaStore(const TensorMap* map, const void* tile, int32_t c0, int32_t c1) {
  emulation::StoreTile(map, tile, 2, c0, c1, 0, 0);
}
inline void TmaStore(const TensorMap* map, const void* tile, int32_t c0, int32_t c1, int32_t c2) {
  emulation::StoreTile(map, tile, 3, c0, c1, c2, 0);
}
inline void TmaStore(const TensorMap* map, const void* tile, int32_t c0, int32_t c1, int32_t c2, int32_t c3) {
  emulation::StoreTile(map, tile, 4, c0, c1, c2, c3);
}
inline void TmaStoreCommit() { emulation::CommitStores(); }
template <int kPending>
inline void TmaStoreWaitRead() {
  emulation::WaitStores(kPending);
}
template <int kPending>
inline void TmaStoreWait() {
  emulation::WaitStores(kPending);
}

// ---- Fragments to shared memory ----------------------------------------------------------------------------------

inline void StoreMatrixX4(void* shared_row, const uint32_t (&r)[4]) { emulation::StoreMatrix(shared_row, r, 4, false); }
inline void StoreMatrixX4Trans(void* shared_row, const uint32_t (&r)[4]) { emulation::StoreMatrix(shared_row, r, 4, true); }
inline void StoreMatrixX2(void* shared_row, const uint32_t (&r)[2]) { emulation::StoreMatrix(shared_row, r, 2, false); }

// ---- Products of a warpgroup -------------------------------------------------------------------------------------

enum class Major : int32_t { kSummed = 0, kOther = 1 };

inline uint64_t WgmmaDescriptor(const void* tile) {
  const uint64_t address = (SharedAddress(tile) & 0x3FFFF) >> 4;
  return address | (UINT64_C(1) << 16) | (UINT64_C(64) << 32) | (UINT64_C(1) << 62);
}
inline uint64_t WgmmaDescriptorOther(const void* tile, uint32_t next_bytes) {
  const uint64_t address = (SharedAddress(tile) & 0x3FFFF) >> 4;
  return address | (static_cast<uint64_t>(next_bytes >> 4) << 16) | (UINT64_C(64) << 32) | (UINT64_C(1) << 62);
}
inline uint64_t WgmmaAdvance(uint64_t descriptor, uint32_t bytes) { return descriptor + (bytes >> 4); }

inline void WgmmaFence() { emulation::FenceProducts(); }
inline void WgmmaCommit() { emulation::CommitProducts(); }
template <int kPending>
inline void WgmmaWait() {
  emulation::WaitProducts(kPending);
}
template <class T, int kCount>
inline void WgmmaHold(T (&)[kCount]) {}

template <int kRegisters>
inline constexpr bool kWgmmaWidth = kRegisters % 4 == 0 && kRegisters <= 128 && (kRegisters <= 16 || kRegisters % 8 == 0);

template <Major kB = Major::kSummed, int kRegisters>
inline void WgmmaBf16(float (&d)[kRegisters], uint64_t a, uint64_t b, bool accumulate) {
  static_assert(kWgmmaWidth<kRegisters>);
  emulation::IssueProduct({emulation::WgmmaType::kBf16, 2 * kRegisters, false, kB == Major::kOther, accumulate, a, b}, d, nullptr);
}
template <Major kB = Major::kSummed, int kRegisters>
inline void WgmmaBf16(float (&d)[kRegisters], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
  static_assert(kWgmmaWidth<kRegisters>);
  emulation::IssueProduct({emulation::WgmmaType::kBf16, 2 * kRegisters, true, kB == Major::kOther, accumulate, 0, b}, d, a);
}
template <Major kB = Major::kSummed, int kRegisters>
inline void WgmmaF16(float (&d)[kRegisters], uint64_t a, uint64_t b, bool accumulate) {
  static_assert(kWgmmaWidth<kRegisters>);
  emulation::IssueProduct({emulation::WgmmaType::kF16, 2 * kRegisters, false, kB == Major::kOther, accumulate, a, b}, d, nullptr);
}
template <Major kB = Major::kSummed, int kRegisters>
inline void WgmmaF16(float (&d)[kRegisters], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
  static_assert(kWgmmaWidth<kRegisters>);
  emulation::IssueProduct({emulation::WgmmaType::kF16, 2 * kRegisters, true, kB == Major::kOther, accumulate, 0, b}, d, a);
}
template <int kRegisters>
inline void WgmmaS8(int32_t (&d)[kRegisters], uint64_t a, uint64_t b, bool accumulate) {
  static_assert(kWgmmaWidth<kRegisters>);
  emulation::IssueProduct({emulation::WgmmaType::kS8, 2 * kRegisters, false, false, accumulate, a, b}, d, nullptr);
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_HOPPER_CUH_
