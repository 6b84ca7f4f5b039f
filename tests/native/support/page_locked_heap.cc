// `new` and `delete` of tests on a GPU: page-locked memory, which kernels can reach.
#if defined(LANES_TEST_CUDA)

#include <cuda_runtime.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>

#include "support/device.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(memory, bytes) ((void)(memory), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(memory, bytes) ((void)(memory), (void)(bytes))
#endif

namespace lanes_test {
namespace {

// Blocks of powers of two, cut from regions that stay to the end. A block begins with a header and ends with at least kGuard bytes that
// must not be touched.
constexpr size_t kHeader = 64, kGuard = 16;
constexpr size_t kSmallestShift = 7, kLargestShift = 26;
constexpr size_t kRegion = size_t{1} << kLargestShift;
constexpr uint64_t kOrdinary = UINT64_MAX;  // the C library's

struct Header {
  uint64_t shift;
  Header* next;  // free blocks
};

struct Heap {
  std::mutex mutex;
  Header* free[kLargestShift + 1] = {};
  char* next = nullptr;
  size_t left = 0;
};

// Constant initialised: `new` may come before any constructor.
constinit std::atomic<bool> locked{false};
alignas(Heap) unsigned char heap_storage[sizeof(Heap)];
Heap& GetHeap() { return *reinterpret_cast<Heap*>(heap_storage); }
// The driver's own `new`, in the midst of which ours would wait for itself.
thread_local bool inside = false;

char* NewRegion() {
  void* memory = nullptr;
  inside = true;
  const cudaError_t status = cudaHostAlloc(&memory, kRegion, cudaHostAllocPortable);
  inside = false;
  if (status != cudaSuccess) fprintf(stderr, "no page-locked memory for the test: %s\n", cudaGetErrorString(status));
  return status == cudaSuccess ? static_cast<char*>(memory) : nullptr;
}

Header* Cut(Heap& heap, size_t shift) {
  const size_t bytes = size_t{1} << shift;
  if (heap.left < bytes) {
    // What is left of the region before is not worth keeping.
    char* const region = NewRegion();
    if (region == nullptr) return nullptr;
    heap.next = region;
    heap.left = kRegion;
  }
  Header* const header = reinterpret_cast<Header*>(heap.next);
  heap.next += bytes;
  heap.left -= bytes;
  header->shift = shift;
  return header;
}

void* Allocate(size_t bytes) {
  size_t shift = kSmallestShift;
  while (shift <= kLargestShift && (size_t{1} << shift) < bytes + kHeader + kGuard) ++shift;
  if (!locked || inside || shift > kLargestShift) {
    void* memory = nullptr;
    if (posix_memalign(&memory, kHeader, bytes + kHeader) != 0) return nullptr;
    static_cast<Header*>(memory)->shift = kOrdinary;
    return static_cast<char*>(memory) + kHeader;
  }
  Heap& heap = GetHeap();
  Header* header;
  {
    const std::lock_guard<std::mutex> lock(heap.mutex);
    header = heap.free[shift];
    if (header != nullptr) {
      heap.free[shift] = header->next;
    } else {
      header = Cut(heap, shift);
    }
  }
  if (header == nullptr) return nullptr;
  char* const memory = reinterpret_cast<char*>(header) + kHeader;
  ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
  ASAN_POISON_MEMORY_REGION(memory + (bytes + 7) / 8 * 8, (size_t{1} << shift) - kHeader - (bytes + 7) / 8 * 8);
  return memory;
}

void Free(void* memory) {
  if (memory == nullptr) return;
  Header* const header = reinterpret_cast<Header*>(static_cast<char*>(memory) - kHeader);
  if (header->shift == kOrdinary) {
    free(header);
    return;
  }
  ASAN_POISON_MEMORY_REGION(memory, (size_t{1} << header->shift) - kHeader);
  Heap& heap = GetHeap();
  const std::lock_guard<std::mutex> lock(heap.mutex);
  header->next = heap.free[header->shift];
  heap.free[header->shift] = header;
}

}  // namespace

void PageLockHeap() {
  new (heap_storage) Heap;
  locked = true;
}

}  // namespace lanes_test

void* operator new(size_t bytes) {
  void* const memory = lanes_test::Allocate(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new[](size_t bytes) { return operator new(bytes); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return lanes_test::Allocate(bytes); }
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept { return lanes_test::Allocate(bytes); }
void operator delete(void* memory) noexcept { lanes_test::Free(memory); }
void operator delete[](void* memory) noexcept { lanes_test::Free(memory); }
void operator delete(void* memory, size_t) noexcept { lanes_test::Free(memory); }
void operator delete[](void* memory, size_t) noexcept { lanes_test::Free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { lanes_test::Free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { lanes_test::Free(memory); }

#endif
