// The emulation's own encoding of tensor maps, and what TMA makes of them.
#ifndef LANES_TESTS_CUDA_EMULATION_TENSOR_MAP_H_
#define LANES_TESTS_CUDA_EMULATION_TENSOR_MAP_H_

#include <stdint.h>

#include "cuda/common/tensor_map.h"

namespace lanes::cuda::emulation {

inline constexpr uint64_t kTensorMapMark = 0x70614D6C69546E65;

// What fills a TensorMap here; see TensorMapParams.
struct TileMap {
  uint64_t mark;
  unsigned char* data;
  uint64_t stride_bytes[5];  // [0] is an element's
  uint32_t last_index[5];    // size - 1
  uint16_t box[5];
  uint8_t rank;
  uint8_t swizzle_bytes;  // 0: none
};
static_assert(sizeof(TileMap) <= sizeof(TensorMap));

// Faults for memory that EncodeTensorMap has not filled.
TileMap DecodeTensorMap(const TensorMap* map);

uint32_t BoxBytes(const TileMap& map);

// The address of a byte of a swizzled tile: bits 4 to 6 (or 5, or 4) change places as bits 7 to 9 (8, 7) say.
constexpr uint64_t Swizzled(uint64_t address, uint32_t swizzle_bytes) {
  const uint64_t bits = swizzle_bytes == 0 ? 0 : swizzle_bytes / 16 - 1;
  return address ^ ((address >> 7 & bits) << 4);
}

// The box at `begin` from the tensor to the tile, zeros where it sticks out; or back, where what sticks out is not written. The tile's
// pattern follows its address, as the hardware's does.
void CopyBoxIn(const TileMap& map, const int32_t (&begin)[5], unsigned char* tile);
void CopyBoxOut(const TileMap& map, const int32_t (&begin)[5], const unsigned char* tile);

}  // namespace lanes::cuda::emulation

#endif  // LANES_TESTS_CUDA_EMULATION_TENSOR_MAP_H_
