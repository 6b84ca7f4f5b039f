// The device under test: the CPU, or with LANES_TEST_CUDA a GPU, where LANES_TEST_EMULATED one that is emulated. The same test sources
// serve all: on a GPU their memory is page-locked, so that kernels reach whatever a test makes, and all runtimes are the GPU's.
#ifndef LANES_TESTS_SUPPORT_DEVICE_H_
#define LANES_TESTS_SUPPORT_DEVICE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "lanes/lanes.h"
#include "ops/kv_pool.h"
#include "ops/weight_storage.h"

namespace lanes_test {

#if defined(LANES_TEST_CUDA)
inline constexpr bool kOnGpu = true;
#else
inline constexpr bool kOnGpu = false;
#endif

// For the `runtime` of weights and pools: keeps the GPU open from the first test to the last. Null on the CPU.
const lanes_runtime* DeviceRuntime();

// Memory that is not the C++ heap's: makes it reachable for the GPU, and ends that. Nothing on the CPU.
void PageLock(void* memory, uint64_t bytes);
void PageUnlock(void* memory);

// From here on what `new` gives is page-locked; called when main begins. Nothing on the CPU.
void PageLockHeap();

// Whether a case of so many multiplications is too large for an emulated GPU, or for LANES_TEST_SIZE_LIMIT of them, where a checker makes
// all of it slow; then says on stdout that it is skipped.
bool TooLarge(double multiplications, const std::string& what);

// A weight's contents in host memory.
class WeightContents {
 public:
  explicit WeightContents(const lanes_weight* weight);
  const lanes::WeightView& view() const { return view_; }
  // Of the whole block, padding included.
  int64_t bytes() const { return bytes_; }
  // Where an element stands, from `view().data`, in elements.
  int64_t Index(int64_t row, int64_t col) const;

 private:
  lanes::WeightView view_;
  int64_t bytes_;
  std::vector<char> copy_;
};

// All pages of a pool, byte by byte, in host memory.
std::vector<char> PoolContents(const lanes_kv_pool* pool);

}  // namespace lanes_test

#endif  // LANES_TESTS_SUPPORT_DEVICE_H_
