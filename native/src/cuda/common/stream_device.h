// A GPU, driven through one stream. Everything on it happens in the order in which it was called.
#ifndef LANES_CUDA_COMMON_STREAM_DEVICE_H_
#define LANES_CUDA_COMMON_STREAM_DEVICE_H_

#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/accelerator.h"
#include "cuda/common/arena.h"
#include "cuda/common/device.h"
#include "cuda/common/device_memory.h"
#include "cuda/common/graph_cache.h"
#include "cuda/common/health.h"
#include "cuda/common/launch_list.h"

namespace lanes::cuda {

// Owner of a stream, and the events that guard its staging memory.
class OwnedStream {
 public:
  // Staging memory that may be in flight at once.
  static constexpr int32_t kSlots = 4;

  OwnedStream(int32_t index, Health& health);
  ~OwnedStream();
  OwnedStream(const OwnedStream&) = delete;
  OwnedStream& operator=(const OwnedStream&) = delete;

  Stream& stream() { return stream_; }
  cudaEvent_t copied(int32_t slot) const { return copied_[slot]; }

 private:
  void Destroy();

  const int32_t index_;
  Stream stream_;
  cudaEvent_t copied_[kSlots] = {};
};

class StreamDevice final : public Accelerator, public Device {
 public:
  // Opens the device with this index; throws Error.
  explicit StreamDevice(int32_t index);
  ~StreamDevice() override;

  const Health& health() const { return health_; }

  // Accelerator
  void Describe(lanes_runtime_info* info) const override;
  void* Allocate(uint64_t bytes, int32_t tag) override { return memory_.Allocate(bytes, tag); }
  void Free(void* memory) override { memory_.Free(memory); }
  void GetMemory(lanes_runtime_memory* memory) override { memory_.Get(memory); }
  void ResetMemoryPeak() override { memory_.ResetPeak(); }
  void CheckReachable(const void* data, int64_t bytes, const char* name) override { memory_.CheckReachable(data, bytes, name); }
  void CopyIn(const CopyRows& rows) override { Copy(rows, cudaMemcpyHostToDevice); }
  void CopyOut(const CopyRows& rows) override { Copy(rows, cudaMemcpyDeviceToHost); }
  void FillNow(void* memory, int byte, int64_t bytes) override;
  void Synchronize() override;
  void Begin(lanes_op_profile* profiles) override;
  void BeginOp(int32_t op) override;
  void AbandonOp() noexcept override;
  void End(bool wait) override;
  void Abandon() noexcept override;
  void Fail() override;

  // Device
  const DeviceLimits& limits() const override { return limits_; }
  void Fill(void* memory, int byte, int64_t bytes) override { list_.AddFill(memory, byte, bytes); }
  void Submit() override;
  void Upload(void* to, const void* from, int64_t bytes) override { CopyIn({to, bytes, from, bytes, 1, bytes}); }
  void Download(void* to, const void* from, int64_t bytes) override { CopyOut({to, bytes, from, bytes, 1, bytes}); }

 protected:
  const void* StageBytes(const void* host, int64_t bytes) override;
  void* ReturnBytes(void* host, int64_t bytes) override;
  void* ScratchBytes(int64_t bytes) override { return scratch_.Take(bytes).device; }
  void Append(const KernelRef& kernel, const LaunchConfig& config, const void* args, size_t bytes) override;

 private:
  // An op's part of the list begins here.
  struct OpMark {
    int32_t op;
    size_t launches, returns;
  };
  struct Staged {
    const void* from;
    int64_t bytes;
    Arena::Piece piece;
  };
  struct Returned {
    void* to;
    int64_t bytes;
    Arena::Piece piece;
  };

  void Copy(const CopyRows& rows, cudaMemcpyKind kind);
  // Carries the list out, and empties it in any case.
  void RunList(bool wait);
  void CopyStaged(cudaStream_t stream);
  void CopyReturned(cudaStream_t stream);
  void RunTimed(cudaStream_t stream);
  void AddTimes();
  void Reset() noexcept;
  unsigned char* HostOf(const Arena& arena, const Arena::Piece& piece, int32_t copy) const {
    return arena.blocks()[piece.block].host[copy] + piece.offset;
  }

  const int32_t index_;
  DeviceLimits limits_ = {};
  char name_[128] = {};
  Health health_;
  OwnedStream owned_;
  DeviceMemory memory_;
  Arena staging_, returning_, scratch_;
  GraphCache graphs_;
  std::unordered_map<const void*, LaunchConfig> allowed_;  // most shared memory and clusters that a kernel has been given
  bool overlap_ = false;  // kernels may begin before those ahead have ended: all of them know how to wait (DependencyWait)

  std::mutex turn_;  // from Begin to End; what follows belongs to the list
  LaunchList list_;
  std::vector<OpMark> ops_;
  std::vector<Staged> staged_;
  std::vector<Returned> returned_;
  std::vector<cudaEvent_t> events_;
  int32_t slot_ = 0;  // of the staging memory
  lanes_op_profile* profiles_ = nullptr;
};

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_STREAM_DEVICE_H_
