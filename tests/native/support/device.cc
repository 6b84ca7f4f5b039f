#include "support/device.h"

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <stdexcept>

#include "cpu/scalar.h"

#if defined(LANES_TEST_CUDA)
#include <cuda_runtime.h>
#endif

namespace lanes_test {
namespace {

// What the emulation multiplies in about a second; LANES_TEST_SIZE_LIMIT says otherwise, on every device.
#if defined(LANES_TEST_EMULATED)
constexpr double kMostMultiplications = 4e6;
#else
constexpr double kMostMultiplications = std::numeric_limits<double>::infinity();
#endif

// What a device holds behind `data`, in a copy.
std::vector<char> Download(const void* data, int64_t bytes) {
  std::vector<char> copy(bytes);
  lanes_copy_params params = {};
  params.size = sizeof params;
  params.src = data;
  params.dst = copy.data();
  params.src_bytes = params.dst_bytes = static_cast<uint64_t>(bytes);
  params.src_stride = params.dst_stride = params.row_bytes = bytes;
  params.rows = 1;
  if (lanes_download(const_cast<lanes_runtime*>(DeviceRuntime()), &params) != LANES_OK) throw std::runtime_error(lanes_last_error());
  return copy;
}

template <class T>
T* Moved(T* pointer, const char* from, char* to) {
  return pointer == nullptr ? nullptr : reinterpret_cast<T*>(to + (reinterpret_cast<const char*>(pointer) - from));
}

}  // namespace

bool TooLarge(double multiplications, const std::string& what) {
  static const double most = [] {
    const char* const given = std::getenv("LANES_TEST_SIZE_LIMIT");
    return given == nullptr ? kMostMultiplications : std::atof(given);
  }();
  if (multiplications <= most) return false;
  std::printf("skipped, too large: %s\n", what.c_str());
  return true;
}

WeightContents::WeightContents(const lanes_weight* weight)
    : view_(weight->view), bytes_(lanes::WeightBytes(view_.rows, view_.cols, view_.dtype, weight->block.device() != nullptr)) {
  if (weight->block.device() == nullptr) return;
  copy_ = Download(view_.data, bytes_);
  const char* const from = weight->view.data;
  view_.data = copy_.data();
  view_.scales = Moved(view_.scales, from, copy_.data());
  view_.sums = Moved(view_.sums, from, copy_.data());
}

int64_t WeightContents::Index(int64_t row, int64_t col) const {
  return copy_.empty() ? lanes::reference::WeightIndex(view_, row, col) : row * view_.padded_cols + col;
}

std::vector<char> PoolContents(const lanes_kv_pool* pool) {
  const int64_t bytes = static_cast<int64_t>(pool->layers) * pool->pages * pool->kv_heads * pool->block_bytes;
  if (pool->device != nullptr) return Download(pool->data, bytes);
  return std::vector<char>(pool->data, pool->data + bytes);
}

#if defined(LANES_TEST_CUDA)

const lanes_runtime* DeviceRuntime() {
  static lanes_runtime* const runtime = [] {
    lanes_runtime_params params = {};
    params.size = sizeof params;
    params.device = LANES_DEVICE_CUDA;
    lanes_runtime* created = nullptr;
    if (lanes_runtime_create(&params, &created) != LANES_OK) throw std::runtime_error(lanes_last_error());
    return created;
  }();
  return runtime;
}

void PageLock(void* memory, uint64_t bytes) {
  if (bytes == 0) return;
  const cudaError_t status = cudaHostRegister(memory, bytes, cudaHostRegisterDefault);
  if (status != cudaSuccess) throw std::runtime_error(std::string("cudaHostRegister: ") + cudaGetErrorString(status));
}

void PageUnlock(void* memory) { cudaHostUnregister(memory); }

#else

const lanes_runtime* DeviceRuntime() { return nullptr; }
void PageLock(void*, uint64_t) {}
void PageUnlock(void*) {}
void PageLockHeap() {}

#endif

}  // namespace lanes_test
