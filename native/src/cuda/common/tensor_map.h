// Tensor maps: how the copy engine of sm_90 (TMA) finds a tile of a matrix. Host code; kernels take one inside their arguments,
// `const __grid_constant__ Args args`, and give its address to the copy. The emulation has an EncodeTensorMap of its own.
#ifndef LANES_CUDA_COMMON_TENSOR_MAP_H_
#define LANES_CUDA_COMMON_TENSOR_MAP_H_

#include <stdint.h>

namespace lanes::cuda {

// As large and as aligned as the driver's CUtensorMap; opaque.
struct alignas(128) TensorMap {
  uint64_t words[16];
};

enum class TensorMapType : int32_t { kU8, kU16, kF32, kBf16, kF16 };
enum class TensorMapSwizzle : int32_t { kNone, k32, k64, k128 };  // bytes

// A matrix, or a stack of up to five dimensions, innermost first.
struct TensorMapParams {
  TensorMapType type;
  int32_t rank;              // 1 to 5
  const void* data;          // in device memory, 16-byte aligned
  uint64_t size[5];          // elements
  uint64_t stride_bytes[5];  // [i]: from one index of dimension i to the next; multiples of 16; [0] is not looked at
  uint32_t box[5];           // elements of a tile, each at most 256; box[0] times the element is at most the swizzle, and a multiple of 16 bytes
  TensorMapSwizzle swizzle;
};

// False when the driver cannot encode this one (or has no such function): callers have another way. Elements outside the matrix read
// as zero.
bool EncodeTensorMap(const TensorMapParams& params, TensorMap* map);

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_TENSOR_MAP_H_
