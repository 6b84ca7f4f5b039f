// A device with memory of its own, as the rest of the library sees it. A CPU runtime has none.
//
// Ops of a runtime that has one are collected in a list, which runs when it ends: one op, or all ops of a lanes_run.
#ifndef LANES_CORE_ACCELERATOR_H_
#define LANES_CORE_ACCELERATOR_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "core/memory.h"
#include "lanes/lanes.h"

namespace lanes {

// Rows to copy between the host and a device. Strides in bytes.
struct CopyRows {
  void* to;
  int64_t to_stride;
  const void* from;
  int64_t from_stride;
  int64_t rows;
  int64_t row_bytes;
};

// Any thread may call; whatever fails throws Error.
class Accelerator {
 public:
  virtual ~Accelerator() = default;

  // `device`, `device_index`, `kernels` and `device_name` of a runtime's info.
  virtual void Describe(lanes_runtime_info* info) const = 0;

  // ---- Memory

  // Zeroed, 256-byte aligned, never null.
  virtual void* Allocate(uint64_t bytes, int32_t tag) = 0;
  // Waits for the ops under way. Throws INVALID_ARGUMENT unless `memory` is null or live, and for no other reason.
  virtual void Free(void* memory) = 0;
  virtual void GetMemory(lanes_runtime_memory* memory) = 0;
  virtual void ResetMemoryPeak() = 0;
  // Throws INVALID_ARGUMENT, naming the argument, unless kernels can reach these bytes: inside a live block, or page-locked host memory.
  virtual void CheckReachable(const void* data, int64_t bytes, const char* name) = 0;

  // After all that came before; they return when it is done.
  virtual void CopyIn(const CopyRows& rows) = 0;
  virtual void CopyOut(const CopyRows& rows) = 0;
  virtual void FillNow(void* memory, int byte, int64_t bytes) = 0;
  virtual void Synchronize() = 0;

  // ---- Lists

  // From here to End or Abandon the calling thread has the device to itself. With `profiles` the time that each op takes is measured
  // and added to profiles[op].nanos.
  virtual void Begin(lanes_op_profile* profiles) = 0;
  // What is listed from here on belongs to op number `op` (ops/registry.h).
  virtual void BeginOp(int32_t op) = 0;
  // The op has failed: nothing of it will run.
  virtual void AbandonOp() noexcept = 0;
  // Runs the list. Returns when results for the host are there, with `wait` when all is done.
  virtual void End(bool wait) = 0;
  // The list is dropped. Not after End, even when that threw.
  virtual void Abandon() noexcept = 0;

  // For tests: fails as after an illegal access in a kernel.
  virtual void Fail() = 0;
};

// Owner of one block in the memory of a device, which it keeps open, or in counted host memory where `device` is null.
class DeviceBlock {
 public:
  DeviceBlock(std::shared_ptr<Accelerator> device, uint64_t bytes, int32_t tag)
      : device_(std::move(device)), data_(device_ ? device_->Allocate(bytes, tag) : Allocate(bytes, tag)) {}
  ~DeviceBlock() {
    if (device_) {
      device_->Free(data_);
    } else {
      Free(data_);
    }
  }
  DeviceBlock(const DeviceBlock&) = delete;
  DeviceBlock& operator=(const DeviceBlock&) = delete;

  void* data() const { return data_; }
  // Null for the host.
  Accelerator* device() const { return device_.get(); }

 private:
  const std::shared_ptr<Accelerator> device_;
  void* const data_;
};

}  // namespace lanes

#endif  // LANES_CORE_ACCELERATOR_H_
