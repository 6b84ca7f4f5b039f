// A device that runs each kernel at once, for tests of single launches.
#ifndef LANES_TESTS_CUDA_EMULATION_IMMEDIATE_DEVICE_H_
#define LANES_TESTS_CUDA_EMULATION_IMMEDIATE_DEVICE_H_

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "cuda/common/device.h"

namespace lanes::cuda {

class ImmediateDevice : public Device {
 public:
  explicit ImmediateDevice(int32_t multiprocessors, int32_t shared_bytes = 227 * 1024, bool hopper = true)
      : limits_{9, 0, multiprocessors, shared_bytes, 50 << 20, hopper, hopper, hopper} {}
  ~ImmediateDevice() override {
    for (void* memory : memory_) cudaFree(memory);
  }

  const DeviceLimits& limits() const override { return limits_; }

  void* Allocate(int64_t bytes) {
    void* memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, static_cast<size_t>(bytes)), cudaSuccess);
    memory_.push_back(memory);
    return memory;
  }
  template <class T>
  T* Put(const std::vector<T>& values) {
    const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
    void* memory = Allocate(bytes);
    Upload(memory, values.data(), bytes);
    return static_cast<T*>(memory);
  }
  template <class T>
  std::vector<T> Get(const T* memory, int64_t count) {
    std::vector<T> values(static_cast<size_t>(count));
    Download(values.data(), memory, count * static_cast<int64_t>(sizeof(T)));
    return values;
  }

  void Fill(void* memory, int byte, int64_t bytes) override {
    EXPECT_EQ(cudaMemset(memory, byte, static_cast<size_t>(bytes)), cudaSuccess);
  }
  void Submit() override {
    for (const auto& hand_over : returns_) hand_over();
    returns_.clear();
  }
  void Upload(void* to, const void* from, int64_t bytes) override {
    EXPECT_EQ(cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice), cudaSuccess);
  }
  void Download(void* to, const void* from, int64_t bytes) override {
    EXPECT_EQ(cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost), cudaSuccess);
  }

 protected:
  const void* StageBytes(const void* host, int64_t bytes) override {
    void* memory = Allocate(bytes);
    Upload(memory, host, bytes);
    return memory;
  }
  void* ReturnBytes(void* host, int64_t bytes) override {
    void* memory = Allocate(bytes);
    returns_.push_back([this, host, memory, bytes] { Download(host, memory, bytes); });
    return memory;
  }
  void* ScratchBytes(int64_t bytes) override { return Allocate(bytes); }
  void Append(const KernelRef& kernel, const LaunchConfig& config, const void* args, size_t) override {
    EXPECT_EQ(cudaFuncSetAttribute(kernel.function, cudaFuncAttributeMaxDynamicSharedMemorySize, limits_.shared_bytes), cudaSuccess);
    EXPECT_EQ(LaunchKernel(kernel, config, args, false, nullptr), cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }

 private:
  DeviceLimits limits_;
  std::vector<void*> memory_;
  std::vector<std::function<void()>> returns_;
};

}  // namespace lanes::cuda

#endif  // LANES_TESTS_CUDA_EMULATION_IMMEDIATE_DEVICE_H_
