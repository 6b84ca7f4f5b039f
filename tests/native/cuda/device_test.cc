// The device by itself, with kernels of its own: lists and the graphs they become, memory, staging, errors.
#include <numeric>
#include <thread>

#include "core/error.h"
#include "cuda/common/stream_device.h"
#include "cuda/cuda.h"
#include "cuda/device_kernels.h"
#include "support/lanes_test.h"
#if defined(LANES_TEST_EMULATED)
#include "emulation/control.h"
#endif

namespace lanes_test {
namespace {

using lanes::Accelerator;
using lanes::CopyRows;
using lanes::DeviceBlock;
using lanes::Error;
using lanes::cuda::Device;
using lanes::cuda::StreamDevice;

template <class Call>
void ExpectError(int32_t status, const std::string& text, const Call& call) {
  try {
    call();
    ADD_FAILURE() << "expected an error with: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), status) << error.message();
    EXPECT_NE(std::string(error.message()).find(text), std::string::npos) << error.message();
  }
}

class CudaDeviceTest : public LanesTest {
 protected:
  static constexpr int64_t kCount = 150;

  void SetUp() override {
    LanesTest::SetUp();
    device_ = lanes::cuda::OpenDevice(0);
    x_ = std::make_unique<DeviceBlock>(device_, kCount * sizeof(float), LANES_MEMORY_OTHER);
    y_ = std::make_unique<DeviceBlock>(device_, kCount * sizeof(float), LANES_MEMORY_OTHER);
    std::vector<float> values(kCount);
    std::iota(values.begin(), values.end(), 1.0f);
    Upload(x(), values);
  }
  void TearDown() override {
    x_.reset();
    y_.reset();
    device_.reset();
    LanesTest::TearDown();
  }

  StreamDevice& stream_device() { return static_cast<StreamDevice&>(*device_); }
  Device& ops() { return stream_device(); }
  float* x() const { return static_cast<float*>(x_->data()); }
  float* y() const { return static_cast<float*>(y_->data()); }

  void Upload(float* to, const std::vector<float>& values) {
    const int64_t bytes = static_cast<int64_t>(values.size() * sizeof(float));
    device_->CopyIn({to, bytes, values.data(), bytes, 1, bytes});
  }
  std::vector<float> Download(const float* from, int64_t count = kCount) {
    std::vector<float> values(count);
    const int64_t bytes = static_cast<int64_t>(count * sizeof(float));
    device_->CopyOut({values.data(), bytes, from, bytes, 1, bytes});
    return values;
  }

  // One list: y = (x * 2 + addend) * factor + addend, through scratch.
  void Step(float factor, float addend) {
    device_->Begin(nullptr);
    device_->BeginOp(0);
    float* const between = ops().Scratch<float>(kCount);
    AppendScaleAdd(ops(), between, x(), 2, ops().Stage(&addend, 1), kCount);
    AppendScaleAdd(ops(), y(), between, factor, ops().Stage(&addend, 1), kCount);
    device_->End(false);
  }
  void CheckStep(float factor, float addend) {
    const std::vector<float> got = Download(y());
    for (int64_t i = 0; i < kCount; ++i) {
      ASSERT_EQ(got[i], (static_cast<float>(i + 1) * 2 + addend) * factor + addend) << "element " << i;
    }
  }

  // Expects `expected` graphs since the last call; the first one counts nothing. Where graphs can be counted.
  void ExpectGraphs([[maybe_unused]] int64_t expected) {
    device_->Synchronize();
#if defined(LANES_TEST_EMULATED)
    const int64_t now = lanes::cuda::emulation::GraphsRun();
    if (graphs_ >= 0) {
      EXPECT_EQ(now - graphs_, expected);
    }
    graphs_ = now;
#endif
  }

  std::shared_ptr<Accelerator> device_;
  std::unique_ptr<DeviceBlock> x_, y_;

 private:
  [[maybe_unused]] int64_t graphs_ = -1;
};

TEST_F(CudaDeviceTest, AListThatComesAgainIsAGraphAndReadsNewData) {
  ExpectGraphs(0);
  for (int i = 0; i < 6; ++i) {
    Step(3, static_cast<float>(i));
    CheckStep(3, static_cast<float>(i));
  }
  ExpectGraphs(5);
  // Another argument is another list.
  Step(5, 1);
  CheckStep(5, 1);
  ExpectGraphs(0);
  Step(3, 9);
  CheckStep(3, 9);
  ExpectGraphs(1);
}

TEST_F(CudaDeviceTest, ListsMayFollowEachOtherFasterThanTheyRun) {
  for (int i = 0; i < 40; ++i) Step(3, static_cast<float>(i));
  CheckStep(3, 39);
}

TEST_F(CudaDeviceTest, FreedMemoryDropsGraphs) {
  void* const other = device_->Allocate(1000, LANES_MEMORY_OTHER);
  for (int i = 0; i < 3; ++i) Step(3, 1);
  ExpectGraphs(2);
  device_->Free(other);
  Step(3, 2);
  CheckStep(3, 2);
  ExpectGraphs(0);
  Step(3, 4);
  CheckStep(3, 4);
  ExpectGraphs(1);
}

TEST_F(CudaDeviceTest, MoreListsThanAreKept) {
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 45; ++i) {
      Step(static_cast<float>(i), 1);
      if (i % 11 == 0) CheckStep(static_cast<float>(i), 1);
    }
  }
}

TEST_F(CudaDeviceTest, AnAbandonedOpLeavesTheOthers) {
  const float one = 1, two = 2;
  Upload(y(), std::vector<float>(kCount, -1));
  device_->Begin(nullptr);
  device_->BeginOp(0);
  AppendScaleAdd(ops(), y(), x(), 1, ops().Stage(&one, 1), 10);
  device_->BeginOp(1);
  AppendScaleAdd(ops(), y(), x(), 1, ops().Stage(&two, 1), 20);
  float lost = 7;
  ops().Return(&lost, 1);
  device_->AbandonOp();
  device_->End(true);
  const std::vector<float> got = Download(y());
  EXPECT_EQ(got[9], 11.0f);
  EXPECT_EQ(got[10], -1.0f);
  EXPECT_EQ(lost, 7.0f);
  // A whole list.
  device_->Begin(nullptr);
  device_->BeginOp(0);
  AppendScaleAdd(ops(), y(), x(), 1, ops().Stage(&one, 1), kCount);
  device_->Abandon();
  device_->Synchronize();
  EXPECT_EQ(Download(y())[10], -1.0f);
}

TEST_F(CudaDeviceTest, ResultsOfAnySizeComeBack) {
  for (const int64_t count : {1, 150, 300000, 2500000}) {
    std::vector<float> in(count), out(count, -1), more(3, -1);
    std::iota(in.begin(), in.end(), 0.0f);
    const float zero = 0;
    device_->Begin(nullptr);
    device_->BeginOp(0);
    const float* const staged = ops().Stage(in.data(), count);
    float* const result = ops().Return(out.data(), count);
    AppendScaleAdd(ops(), result, staged, 1, ops().Stage(&zero, 1), std::min<int64_t>(count, 300000));
    if (count > 300000) AppendScaleAdd(ops(), result + 300000, staged + 300000, 1, ops().Stage(&zero, 1), count - 300000);
    AppendScaleAdd(ops(), ops().Return(more.data(), 3), x(), 1, ops().Stage(&zero, 1), 3);
    device_->End(false);
    EXPECT_TRUE(SameBits(in, out)) << count;
    EXPECT_EQ(more, (std::vector<float>{1, 2, 3}));
  }
}

TEST_F(CudaDeviceTest, StagedDataIsToldApartByContent) {
  // The same address with other content is other data, and the same content again is not copied twice.
  float changing = 1;
  device_->Begin(nullptr);
  device_->BeginOp(0);
  const float* const first = ops().Stage(&changing, 1);
  const float* const again = ops().Stage(&changing, 1);
  AppendScaleAdd(ops(), y(), x(), 0, first, 1);
  changing = 2;
  const float* const second = ops().Stage(&changing, 1);
  AppendScaleAdd(ops(), y() + 1, x(), 0, second, 1);
  device_->End(true);
  EXPECT_EQ(first, again);
  EXPECT_NE(first, second);
  EXPECT_EQ(Download(y(), 2), (std::vector<float>{1, 2}));
}

TEST_F(CudaDeviceTest, ScratchIsTheSameForEachOp) {
  device_->Begin(nullptr);
  device_->BeginOp(0);
  const float* const small = ops().Scratch<float>(10);
  const float* const behind = ops().Scratch<float>(10);
  device_->BeginOp(1);
  EXPECT_EQ(ops().Scratch<float>(10), small);
  EXPECT_NE(behind, small);
  // More than there was so far.
  float* const large = ops().Scratch<float>(5 << 20);
  const float one = 1;
  AppendScaleAdd(ops(), large + (5 << 20) - kCount, x(), 1, ops().Stage(&one, 1), kCount);
  AppendScaleAdd(ops(), y(), large + (5 << 20) - kCount, 1, ops().Stage(&one, 1), kCount);
  device_->End(true);
  EXPECT_EQ(Download(y())[4], 7.0f);
}

TEST_F(CudaDeviceTest, AnOpMaySubmitWhatItHasListed) {
  const float one = 1;
  float first = -1, second = -1;
  device_->Begin(nullptr);
  device_->BeginOp(0);
  AppendScaleAdd(ops(), ops().Return(&first, 1), x(), 1, ops().Stage(&one, 1), 1);
  ops().Submit();
  EXPECT_EQ(first, 2.0f);
  AppendScaleAdd(ops(), ops().Return(&second, 1), x(), 10, ops().Stage(&one, 1), 1);
  device_->End(true);
  EXPECT_EQ(second, 11.0f);
}

TEST_F(CudaDeviceTest, FillsAndSharedMemory) {
  device_->Begin(nullptr);
  device_->BeginOp(0);
  ops().Fill(y(), 0, 20 * sizeof(float));
  AppendCopyThroughShared(ops(), y() + 20, x(), 100);
  device_->End(true);
  const std::vector<float> got = Download(y());
  EXPECT_EQ(got[19], 0.0f);
  EXPECT_EQ(got[20], 1.0f);
  const int32_t most = ops().limits().shared_bytes / 4;
  const DeviceBlock in(device_, most * sizeof(float), LANES_MEMORY_OTHER), out(device_, most * sizeof(float), LANES_MEMORY_OTHER);
  const std::vector<float> values(most, 2.5f);
  Upload(static_cast<float*>(in.data()), values);
  for (int i = 0; i < 3; ++i) {
    device_->Begin(nullptr);
    device_->BeginOp(0);
    AppendCopyThroughShared(ops(), static_cast<float*>(out.data()), static_cast<const float*>(in.data()), most);
    device_->End(true);
    EXPECT_TRUE(SameBits(Download(static_cast<const float*>(out.data()), most), values));
  }
  // A launch that the driver refuses is a defect, not a failed device.
  device_->Begin(nullptr);
  device_->BeginOp(0);
  ExpectError(LANES_ERROR_INTERNAL, "shared memory", [&] { AppendCopyThroughShared(ops(), y(), x(), most + 1024); });
  device_->Abandon();
  Step(3, 1);
  CheckStep(3, 1);
}

TEST_F(CudaDeviceTest, ProfilesHaveTheTimesOfOps) {
  lanes_op_profile profiles[16] = {};
  const float one = 1;
  for (int i = 0; i < 3; ++i) {
    device_->Begin(profiles);
    device_->BeginOp(3);
    AppendScaleAdd(ops(), y(), x(), 1, ops().Stage(&one, 1), kCount);
    device_->BeginOp(5);
    AppendScaleAdd(ops(), y(), y(), 1, ops().Stage(&one, 1), kCount);
    device_->End(false);
  }
  EXPECT_EQ(Download(y())[0], 3.0f);
  EXPECT_GT(profiles[3].nanos + profiles[5].nanos, 0u);
  EXPECT_EQ(profiles[4].nanos, 0u);
}

TEST_F(CudaDeviceTest, MemoryIsZeroedCountedAndItsOwn) {
  lanes_runtime_memory before = {}, with = {}, after = {};
  device_->GetMemory(&before);
  {
    const DeviceBlock block(device_, 100001, LANES_MEMORY_KV);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block.data()) % 256, 0u);
    std::vector<char> bytes(100001, 1);
    device_->CopyOut({bytes.data(), 100001, block.data(), 100001, 1, 100001});
    EXPECT_EQ(bytes, std::vector<char>(100001, 0));
    device_->GetMemory(&with);
  }
  device_->GetMemory(&after);
  EXPECT_EQ(with.live_bytes[LANES_MEMORY_KV], before.live_bytes[LANES_MEMORY_KV] + 100001);
  EXPECT_EQ(with.live_blocks[LANES_MEMORY_KV], before.live_blocks[LANES_MEMORY_KV] + 1);
  EXPECT_EQ(after.live_bytes[LANES_MEMORY_KV], before.live_bytes[LANES_MEMORY_KV]);
  EXPECT_GE(after.peak_bytes[LANES_MEMORY_KV], with.live_bytes[LANES_MEMORY_KV]);
  EXPECT_GT(after.total_bytes, after.free_bytes);
  int local = 0;
  ExpectError(LANES_ERROR_INVALID_ARGUMENT, "not a live block", [&] { device_->Free(&local); });
  ExpectError(LANES_ERROR_INVALID_ARGUMENT, "not a live block", [&] { device_->Free(y() + 1); });
  device_->Free(nullptr);
}

TEST_F(CudaDeviceTest, MoreThanIsFreeIsRefusedBeforehand) {
  lanes_runtime_memory memory = {};
  device_->GetMemory(&memory);
  ExpectError(LANES_ERROR_OUT_OF_MEMORY, "for weights: the device has", [&] { device_->Allocate(memory.free_bytes, LANES_MEMORY_WEIGHTS); });
  ExpectError(LANES_ERROR_OUT_OF_MEMORY, "18446744073709551615 bytes", [&] { device_->Allocate(UINT64_MAX, LANES_MEMORY_WEIGHTS); });
  ASSERT_LANES_OK(lanes_fail_allocation(1));
  ExpectError(LANES_ERROR_OUT_OF_MEMORY, "on request", [&] { device_->Allocate(8, LANES_MEMORY_KV); });
  ExpectError(LANES_ERROR_INVALID_ARGUMENT, "memory tag 4", [&] { device_->Allocate(8, 4); });
  Step(3, 1);
  CheckStep(3, 1);
}

TEST_F(CudaDeviceTest, OnlyReachableMemoryIsTaken) {
  device_->CheckReachable(y(), kCount * sizeof(float), "y");
  device_->CheckReachable(y(), kCount * sizeof(float), "y");
  device_->CheckReachable(y() + 10, (kCount - 10) * sizeof(float), "y");
  ExpectError(LANES_ERROR_INVALID_ARGUMENT, "y takes 604 bytes", [&] { device_->CheckReachable(y(), (kCount + 1) * sizeof(float), "y"); });
  float local[4] = {};
  ExpectError(LANES_ERROR_INVALID_ARGUMENT, "bias", [&] { device_->CheckReachable(local, sizeof local, "bias"); });
  void* freed = device_->Allocate(512, LANES_MEMORY_OTHER);
  device_->CheckReachable(freed, 512, "x");
  device_->Free(freed);
  ExpectError(LANES_ERROR_INVALID_ARGUMENT, "out of the device's reach", [&] { device_->CheckReachable(freed, 512, "x"); });
  void* host = nullptr;
  ASSERT_EQ(cudaHostAlloc(&host, 4096, cudaHostAllocDefault), cudaSuccess);
  device_->CheckReachable(host, 4096, "x");
  ASSERT_EQ(cudaFreeHost(host), cudaSuccess);
}

TEST_F(CudaDeviceTest, RowsAreCopiedWithTheirStrides) {
  std::vector<float> in(30);
  std::iota(in.begin(), in.end(), 0.0f);
  Upload(y(), std::vector<float>(kCount, -1));
  device_->CopyIn({y(), 7 * sizeof(float), in.data(), 10 * sizeof(float), 3, 5 * sizeof(float)});
  const std::vector<float> got = Download(y(), 21);
  EXPECT_EQ(got, (std::vector<float>{0, 1, 2, 3, 4, -1, -1, 10, 11, 12, 13, 14, -1, -1, 20, 21, 22, 23, 24, -1, -1}));
  std::vector<float> out(8, -2);
  device_->CopyOut({out.data(), 4 * sizeof(float), y() + 1, 7 * sizeof(float), 2, 2 * sizeof(float)});
  EXPECT_EQ(out, (std::vector<float>{1, 2, -2, -2, 11, 12, -2, -2}));
}

TEST_F(CudaDeviceTest, ThreadsTakeTurns) {
  std::vector<std::thread> threads;
  std::vector<int> wrong(3, 0);
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([this, t, &wrong] {
      for (int i = 0; i < 50; ++i) {
        const float addend = static_cast<float>(100 * t + i);
        float result = -1;
        device_->Begin(nullptr);
        device_->BeginOp(0);
        AppendScaleAdd(ops(), ops().Return(&result, 1), x(), 1, ops().Stage(&addend, 1), 1);
        device_->End(false);
        wrong[t] += result != 1 + addend;
        const DeviceBlock block(device_, 1000, LANES_MEMORY_OTHER);
        device_->FillNow(block.data(), 1, 1000);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(3, 0));
}

TEST_F(CudaDeviceTest, AFailedDeviceSaysSoAndCloses) {
  Step(3, 1);
  device_->Fail();
  const auto dead = [](const auto& call) { ExpectError(LANES_ERROR_DEVICE, "the CUDA device has failed", call); };
  dead([&] { Step(3, 1); });
  dead([&] { Download(y()); });
  dead([&] { Upload(x(), {1}); });
  dead([&] { device_->Synchronize(); });
  dead([&] { device_->Allocate(8, LANES_MEMORY_OTHER); });
  dead([&] { device_->FillNow(y(), 0, 4); });
  dead([&] { lanes::cuda::OpenDevice(0); });
  // What it had can be let go of, and then it can be opened again.
  x_.reset();
  y_.reset();
  device_.reset();
  SetUp();
  Step(3, 1);
  CheckStep(3, 1);
}

#if defined(LANES_TEST_EMULATED)

// y = x * 3 + 1, twice, in a list of two kernels.
void RunTwoKernels(Accelerator& device) {
  const float x = 5, addend = 1;
  float* const memory = static_cast<float*>(device.Allocate(2 * sizeof x, LANES_MEMORY_OTHER));
  device.CopyIn({memory, sizeof x, &x, sizeof x, 1, sizeof x});
  Device& ops = static_cast<StreamDevice&>(device);
  device.Begin(nullptr);
  device.BeginOp(0);
  AppendScaleAdd(ops, memory + 1, memory, 3, ops.Stage(&addend, 1), 1);
  AppendScaleAdd(ops, memory, memory + 1, 3, ops.Stage(&addend, 1), 1);
  device.End(true);
  float y = 0;
  device.CopyOut({&y, sizeof y, memory, sizeof y, 1, sizeof y});
  EXPECT_EQ(y, 49);
  device.Free(memory);
}

// To choose a device is to give it a context: of all that a thread does with another one, nothing may.
TEST_F(CudaDeviceTest, DevicesThatNobodyUsesGetNoContext) {
  lanes::cuda::emulation::SetDevices(2);
  std::thread([] {
    EXPECT_NO_THROW(RunTwoKernels(*lanes::cuda::OpenDevice(1)));
    EXPECT_FALSE(lanes::cuda::emulation::HasContext(0));
    EXPECT_TRUE(lanes::cuda::emulation::HasContext(1));
  }).join();
  std::thread([] {
    cudaSetDevice(0);
    EXPECT_NO_THROW(RunTwoKernels(*lanes::cuda::OpenDevice(1)));
    int now = -1;
    cudaGetDevice(&now);
    EXPECT_EQ(now, 0) << "a device in use is the thread's again";
  }).join();
  lanes::cuda::emulation::SetDevices(1);
}

// Compiled by the driver from PTX for sm_80, kernels do not wait for those ahead: they may not overlap, however new the device.
TEST_F(CudaDeviceTest, KernelsThatCannotWaitDoNotOverlap) {
  const int arch = 10 * stream_device().limits().major + stream_device().limits().minor;
  lanes::cuda::emulation::SetDevices(2);
  lanes::cuda::emulation::SetArch(110);
  lanes::cuda::emulation::SetPtx(80);
  std::thread([] { EXPECT_NO_THROW(RunTwoKernels(*lanes::cuda::OpenDevice(1))); }).join();
  lanes::cuda::emulation::SetPtx(0);
  lanes::cuda::emulation::SetArch(arch);
  lanes::cuda::emulation::SetDevices(1);
}

#endif

}  // namespace
}  // namespace lanes_test
