// The two ways to shared memory: ordinary instructions, and the asynchronous proxy of TMA and wgmma. What the first writes, the second
// sees after a ProxyFence alone.
//
// Kept for each 16 bytes: what the asynchronous proxy saw or wrote there last, and how many fences the block had come to by then. Other
// bytes, and no fence since, are a fault. A fence of any thread of the block counts: that the writer's own is missing does not show.
#ifndef LANES_TESTS_CUDA_EMULATION_PROXY_H_
#define LANES_TESTS_CUDA_EMULATION_PROXY_H_

#include <stdint.h>

namespace lanes::cuda::emulation {

void FenceProxy();
// `shared` may be in any block of the cluster, and is 16-byte aligned, as `bytes` are.
void AsyncWrote(const unsigned char* shared, uint32_t bytes);
void AsyncReads(const unsigned char* shared, uint32_t bytes, const char* what);

}  // namespace lanes::cuda::emulation

#endif  // LANES_TESTS_CUDA_EMULATION_PROXY_H_
