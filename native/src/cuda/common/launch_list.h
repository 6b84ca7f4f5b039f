// Kernels and fills to run in order, kept as bytes: two lists that do the same are equal byte for byte.
#ifndef LANES_CUDA_COMMON_LAUNCH_LIST_H_
#define LANES_CUDA_COMMON_LAUNCH_LIST_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/common/launch.h"

namespace lanes::cuda {

class LaunchList {
 public:
  void AddLaunch(const KernelRef& kernel, const LaunchConfig& config, const void* args, size_t args_bytes);
  void AddFill(void* memory, int byte, int64_t bytes);

  size_t size() const { return offsets_.size(); }
  // Forgets all but the first `size` entries.
  void Truncate(size_t size);

  const std::vector<unsigned char>& bytes() const { return bytes_; }
  uint64_t Hash() const;

  // Puts entries [begin, end) on the stream, up to the first that is refused. With `overlap` a kernel may begin before the one ahead
  // of it ends.
  cudaError_t Run(size_t begin, size_t end, bool overlap, cudaStream_t stream) const;

 private:
  struct Entry;
  void Add(Entry* entry, const void* args, size_t args_bytes);

  std::vector<unsigned char> bytes_;
  std::vector<size_t> offsets_;
};

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_LAUNCH_LIST_H_
