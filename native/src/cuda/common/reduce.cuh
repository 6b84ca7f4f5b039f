// Sums and maxima over a warp, and over the warps of a row. Every lane gets the result, and the order is fixed.
#ifndef LANES_CUDA_COMMON_REDUCE_CUH_
#define LANES_CUDA_COMMON_REDUCE_CUH_

#include <cuda_runtime.h>
#include <stdint.h>

namespace lanes::cuda {

inline constexpr uint32_t kAllLanes = 0xFFFFFFFFu;

struct Add {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Larger {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};
struct Smaller {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a < b ? a : b;
  }
};

// `join` is commutative; all lanes of the warp take part.
template <class T, class Join>
__device__ __forceinline__ T ReduceWarp(T x, Join join) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) x = join(x, __shfl_xor_sync(kAllLanes, x, lane));
  return x;
}

// Over the `warps` whole warps of a block, in order of the warps. `shared`: an element for each, not used for anything else until
// the block's next barrier but one. All threads of the block take part.
template <class T, class Join>
__device__ __forceinline__ T ReduceBlock(T x, int warps, T* shared, Join join) {
  x = ReduceWarp(x, join);
  if (warps == 1) return x;
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  x = shared[0];
  for (int w = 1; w < warps; ++w) x = join(x, shared[w]);
  return x;
}

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_REDUCE_CUH_
