// What hopper.cuh of the emulation is made of: barriers in shared memory, tiles by TMA, products of a warpgroup.
//
// Everything asynchronous lands as late as it may: a tile when no thread can go on without it, stored tiles are read when somebody waits
// for that, products run in WgmmaWait. With the random schedule also at any time before.
#ifndef LANES_TESTS_CUDA_EMULATION_HOPPER_H_
#define LANES_TESTS_CUDA_EMULATION_HOPPER_H_

#include <stdint.h>

#include "emulation/tensor_map.h"
#include "emulation/threads.h"

namespace lanes::cuda::emulation {

// ---- Barriers in shared memory, in the eight bytes of one --------------------------------------------------------

void InitMbarrier(uint64_t* barrier, uint32_t arrivals);
void ArriveMbarrier(uint64_t* barrier, uint32_t expected_bytes);
void ArriveMbarrierAt(uint64_t* barrier, uint32_t rank);
// Whether the phase of this parity has ended, without waiting.
bool TryMbarrier(const uint64_t* barrier, uint32_t parity);
void WaitMbarrier(const uint64_t* barrier, uint32_t parity);

// ---- Tiles -------------------------------------------------------------------------------------------------------

// `mask`: the blocks of the cluster that get it; 0 for the caller's.
void LoadTile(void* tile, const TensorMap* map, uint64_t* barrier, uint16_t mask, int32_t rank, int32_t c0, int32_t c1, int32_t c2,
              int32_t c3);
void StoreTile(const TensorMap* map, const void* tile, int32_t rank, int32_t c0, int32_t c1, int32_t c2, int32_t c3);
void CommitStores();
void WaitStores(uint32_t pending);

// ---- Warps -------------------------------------------------------------------------------------------------------

bool ElectOne();
void StoreMatrix(void* shared_row, const uint32_t* r, int matrices, bool transposed);

// ---- Registers ---------------------------------------------------------------------------------------------------

// Those of each thread of a block of so many warps, at its beginning.
uint32_t EntryRegisters(uint32_t warps);
// setmaxnreg.inc waits until other warps of the block have given back enough.
void SetRegisters(uint32_t registers, bool increase);
// Whether all warps of each warpgroup of a block that has ended have set theirs as often.
bool WarpgroupsSetRegisters(const Block& block);

// ---- Products ----------------------------------------------------------------------------------------------------

enum class WgmmaType { kBf16, kF16, kS8 };

struct WgmmaOperation {
  WgmmaType type;
  int32_t columns;
  bool a_registers;
  bool b_other;  // columns of b are contiguous
  bool accumulate;
  uint64_t a, b;  // descriptors
};

void FenceProducts();
// `d` has columns / 2 numbers of four bytes; `a` four registers where the operation has them there.
void IssueProduct(const WgmmaOperation& operation, void* d, const uint32_t* a);
void CommitProducts();
void WaitProducts(uint32_t pending);

}  // namespace lanes::cuda::emulation

#endif  // LANES_TESTS_CUDA_EMULATION_HOPPER_H_
