// The emulation itself: what it says about kernels must be true, above all when they are wrong.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "cuda/common/launch.h"
#include "cuda/common/ptx.cuh"
#include "emulation/control.h"
#include "emulation/matrix.h"

namespace lanes::cuda {
namespace {

using emulation::Schedule;

class CudaEmulation : public ::testing::Test {
 protected:
  void TearDown() override {
    emulation::Reset();
    emulation::FailLaunch(0);
    emulation::SetSchedule(Schedule::kForward);
    emulation::SetArch(90);
  }

  template <class T>
  static T* Device(const std::vector<T>& values) {
    T* memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, values.size() * sizeof(T)), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(memory, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
    return memory;
  }
  template <class T>
  static std::vector<T> Host(const T* memory, size_t count) {
    std::vector<T> values(count);
    EXPECT_EQ(cudaMemcpy(values.data(), memory, count * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
    return values;
  }

  template <class Args>
  static cudaError_t Run(void (*kernel)(Args), const LaunchConfig& config, const Args& args) {
    if (const cudaError_t error = LaunchKernel(RefOf(kernel), config, &args, false, nullptr); error != cudaSuccess) return error;
    return cudaDeviceSynchronize();
  }

  // The same run under each schedule; true when all gave the same bytes.
  static bool SameUnderAllSchedules(const std::function<std::vector<uint32_t>()>& run) {
    std::vector<std::vector<uint32_t>> results;
    for (int i = 0; i < 6; ++i) {
      emulation::SetSchedule(i == 0 ? Schedule::kForward : i == 1 ? Schedule::kBackward : Schedule::kRandom, static_cast<uint64_t>(i));
      results.push_back(run());
    }
    for (const auto& result : results) {
      if (result != results[0]) return false;
    }
    return true;
  }
};

// ---- Threads -----------------------------------------------------------------------------------------------------

struct IndexArgs {
  uint32_t* out;
};
__global__ void IndexKernel(const IndexArgs args) {
  const uint32_t block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const uint32_t thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const uint32_t i = block * blockDim.x * blockDim.y * blockDim.z + thread;
  args.out[i] = i * 3 + 1;
}

TEST_F(CudaEmulation, EveryThreadOfEveryBlockRunsOnce) {
  const LaunchConfig config = {{3, 4, 2}, {5, 7, 2}};
  const size_t count = 24 * 70;
  for (const Schedule schedule : {Schedule::kForward, Schedule::kBackward, Schedule::kRandom}) {
    emulation::SetSchedule(schedule, 7);
    uint32_t* out = Device(std::vector<uint32_t>(count));
    ASSERT_EQ(Run(IndexKernel, config, {out}), cudaSuccess);
    const auto got = Host(out, count);
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(got[i], i * 3 + 1);
    cudaFree(out);
  }
}

struct ShuffleTestArgs {
  int32_t* out;  // [cases][32]
};
__global__ void ShuffleKernel(const ShuffleTestArgs args) {
  const int lane = static_cast<int>(threadIdx.x);
  int32_t* out = args.out + lane;
  out[0 * 32] = __shfl_sync(~0u, lane * 10, 5);
  out[1 * 32] = __shfl_sync(~0u, lane * 10, lane + 1, 8);
  out[2 * 32] = __shfl_up_sync(~0u, lane * 10, 3);
  out[3 * 32] = __shfl_down_sync(~0u, lane * 10, 3, 16);
  out[4 * 32] = __shfl_xor_sync(~0u, lane * 10, 16);
  out[5 * 32] = static_cast<int32_t>(__ballot_sync(~0u, lane % 3 == 0));
  out[6 * 32] = __reduce_max_sync(~0u, lane - 40);
  out[7 * 32] = static_cast<int32_t>(__reduce_add_sync(~0u, static_cast<unsigned>(lane)));
  // Halves of a warp on their own ways.
  if (lane < 16) {
    out[8 * 32] = __shfl_xor_sync(0xFFFFu, lane, 1);
    out[9 * 32] = __shfl_xor_sync(0xFFFFu, lane, 2);
  } else {
    out[8 * 32] = __any_sync(0xFFFF0000u, lane == 20);
    out[9 * 32] = __all_sync(0xFFFF0000u, lane >= 17);
  }
  const double wide = __shfl_sync(~0u, lane + 0.5, 31 - lane);
  out[10 * 32] = static_cast<int32_t>(2 * wide);
}

TEST_F(CudaEmulation, Shuffles) {
  for (const Schedule schedule : {Schedule::kForward, Schedule::kBackward, Schedule::kRandom}) {
    emulation::SetSchedule(schedule, 3);
    int32_t* out = Device(std::vector<int32_t>(11 * 32));
    ASSERT_EQ(Run(ShuffleKernel, {{1}, {32}}, {out}), cudaSuccess);
    const auto got = Host(out, 11 * 32);
    for (int lane = 0; lane < 32; ++lane) {
      auto value = [&](int test) { return got[static_cast<size_t>(test * 32 + lane)]; };
      EXPECT_EQ(value(0), 50);
      EXPECT_EQ(value(1), (lane / 8 * 8 + (lane + 1) % 8) * 10);
      EXPECT_EQ(value(2), (lane < 3 ? lane : lane - 3) * 10);
      EXPECT_EQ(value(3), (lane % 16 + 3 < 16 ? lane + 3 : lane) * 10);
      EXPECT_EQ(value(4), (lane ^ 16) * 10);
      EXPECT_EQ(value(5), 0x49249249);
      EXPECT_EQ(value(6), -9);
      EXPECT_EQ(value(7), 496);
      EXPECT_EQ(value(8), lane < 16 ? lane ^ 1 : 1);
      EXPECT_EQ(value(9), lane < 16 ? lane ^ 2 : 0);
      EXPECT_EQ(value(10), 2 * (31 - lane) + 1);
    }
    cudaFree(out);
  }
}

struct BarrierArgs {
  uint32_t* out;
  bool barrier;
};
// Each thread reads what its mirror wrote.
__global__ void MirrorKernel(const BarrierArgs args) {
  auto* shared = reinterpret_cast<uint32_t*>(SharedMemory());
  const uint32_t i = threadIdx.x, n = blockDim.x;
  for (uint32_t round = 0; round < 3; ++round) {
    shared[i] = blockIdx.x * 1000 + i + round;
    if (args.barrier) __syncthreads();
    args.out[(blockIdx.x * 3 + round) * n + i] = shared[n - 1 - i];
    if (args.barrier) __syncthreads();
  }
}

TEST_F(CudaEmulation, BarriersHold) {
  uint32_t* out = Device(std::vector<uint32_t>(2 * 3 * 100));
  for (const Schedule schedule : {Schedule::kForward, Schedule::kBackward, Schedule::kRandom}) {
    emulation::SetSchedule(schedule, 5);
    ASSERT_EQ(Run(MirrorKernel, {{2}, {100}, 400}, {out, true}), cudaSuccess);
    const auto got = Host(out, 600);
    for (uint32_t b = 0; b < 2; ++b) {
      for (uint32_t round = 0; round < 3; ++round) {
        for (uint32_t i = 0; i < 100; ++i) ASSERT_EQ(got[(b * 3 + round) * 100 + i], b * 1000 + 99 - i + round);
      }
    }
  }
  cudaFree(out);
}

TEST_F(CudaEmulation, AMissingBarrierShowsInDifferentResults) {
  uint32_t* out = Device(std::vector<uint32_t>(600));
  auto run = [&](bool barrier) {
    return SameUnderAllSchedules([&] {
      EXPECT_EQ(Run(MirrorKernel, {{2}, {100}, 400}, {out, barrier}), cudaSuccess);
      return Host(out, 600);
    });
  };
  EXPECT_TRUE(run(true));
  EXPECT_FALSE(run(false));
  cudaFree(out);
}

struct VotesArgs {
  int32_t* out;
};
__global__ void VotesKernel(const VotesArgs args) {
  const int i = static_cast<int>(threadIdx.x);
  if (i >= 90) return;  // a barrier is for those that are left
  const int any = __syncthreads_or(i == 77), all = __syncthreads_and(i != 77), count = __syncthreads_count(i % 2);
  args.out[i] = any * 10000 + all * 1000 + count;
}

TEST_F(CudaEmulation, VotesOfABlock) {
  int32_t* out = Device(std::vector<int32_t>(90));
  ASSERT_EQ(Run(VotesKernel, {{1}, {96}}, {out}), cudaSuccess);
  for (const int32_t value : Host(out, 90)) EXPECT_EQ(value, 10045);
  cudaFree(out);
}

// ---- What is wrong is reported -----------------------------------------------------------------------------------

struct NoArgs {
  int32_t unused;
};
__global__ void HalfBarrierKernel(const NoArgs) {
  if (threadIdx.x % 32 < 16) {
    __syncthreads();
  } else {
    __shfl_sync(~0u, 1, 0);
  }
}
__global__ void DivergentKernel(const NoArgs) {
  if (threadIdx.x < 16) {
    __syncwarp();
  } else {
    __shfl_sync(~0u, 1, 0);
  }
}
__global__ void WrongMaskKernel(const NoArgs) {
  __shfl_sync(0xFFFFu, 1, 0);
}
__global__ void OverrunKernel(const NoArgs) {
#if !defined(__SANITIZE_ADDRESS__)
  SharedMemory()[64 + threadIdx.x] = 1;
#endif
}
__global__ void MisalignedCopyKernel(const NoArgs) { CopyAsync16(SharedMemory() + 8, nullptr, false); }
__global__ void ForeignRowKernel(const NoArgs) {
  uint32_t r[4];
  LoadMatrixX4(r, SharedMemory() + 64 * threadIdx.x);
}

struct Wrong {
  void (*kernel)(NoArgs);
  LaunchConfig config;
  const char* report;
};

TEST_F(CudaEmulation, WrongKernelsAreReportedWithPositions) {
  const std::vector<Wrong> wrong = {
      {HalfBarrierKernel, {{1}, {64}}, "block (0, 0, 0) thread (16, 0, 0) and the next 15: waits for __shfl_sync"},
      {DivergentKernel, {{2}, {32}}, "divergence: lane 31 is at __shfl_sync with mask ffffffff while lane 0 is at __syncwarp"},
      {WrongMaskKernel, {{1}, {32}}, "thread (16, 0, 0): __shfl_sync: the mask 0000ffff does not name lane 16"},
#if !defined(__SANITIZE_ADDRESS__)
      {OverrunKernel, {{1}, {32}, 64}, "a block wrote behind its 64 bytes of shared memory"},
#endif
      {MisalignedCopyKernel, {{1}, {32}, 64}, "cp.async: offset 8 of shared memory is not aligned to 16 bytes"},
      {ForeignRowKernel, {{1}, {32}, 64}, "thread (1, 0, 0): ldmatrix: 16 bytes at offset 64 are not inside"},
  };
  uint32_t* out = Device(std::vector<uint32_t>(6));
  for (const Wrong& w : wrong) {
    EXPECT_EQ(Run(w.kernel, w.config, {0}), cudaErrorLaunchFailure) << w.report;
    EXPECT_NE(emulation::LastFault().find(w.report), std::string::npos) << emulation::LastFault();
    // Sticky: nothing works until the device is reset.
    void* memory;
    EXPECT_EQ(cudaMalloc(&memory, 16), cudaErrorLaunchFailure);
    EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
    EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
    emulation::Reset();
    // And the next kernel finds everything in order.
    EXPECT_EQ(Run(MirrorKernel, {{1}, {2}, 8}, {out, true}), cudaSuccess);
    EXPECT_EQ(Host(out, 6), (std::vector<uint32_t>{1, 0, 2, 1, 3, 2}));
  }
  cudaFree(out);
}

struct ReadArgs {
  const float* in;
  float* out;
  int64_t at;
};
__global__ void ReadKernel(const ReadArgs args) { args.out[0] = args.in[args.at]; }

#if !defined(__SANITIZE_ADDRESS__)
TEST_F(CudaEmulation, DeviceMemoryIsForKernels) {
  float* in = Device(std::vector<float>(64));
  float* out = Device(std::vector<float>(1));
  EXPECT_EQ(Run(ReadKernel, {{1}, {1}}, {in, out, 63}), cudaSuccess);
  EXPECT_EXIT(Run(ReadKernel, {{1}, {1}}, {in, out, 64}), ::testing::KilledBySignal(SIGSEGV), "");
  EXPECT_EXIT(out[0] = 1, ::testing::KilledBySignal(SIGSEGV), "");
  cudaFree(in);
  EXPECT_EXIT(Run(ReadKernel, {{1}, {1}}, {in, out, 0}), ::testing::KilledBySignal(SIGSEGV), "");
  cudaFree(out);
}
#endif

#if defined(__SANITIZE_ADDRESS__)
__global__ void ReadSharedKernel(const ReadArgs args) { args.out[0] = reinterpret_cast<float*>(SharedMemory())[args.at]; }

TEST_F(CudaEmulation, TheSanitizerSeesOverruns) {
  float* in = Device(std::vector<float>(5));
  float* out = Device(std::vector<float>(1));
  EXPECT_EQ(Run(ReadKernel, {{1}, {1}, 20}, {in, out, 4}), cudaSuccess);
  EXPECT_EQ(Run(ReadSharedKernel, {{1}, {1}, 20}, {in, out, 4}), cudaSuccess);
  EXPECT_DEATH(Run(ReadKernel, {{1}, {1}, 20}, {in, out, 5}), "heap-buffer-overflow");
  EXPECT_DEATH(Run(ReadSharedKernel, {{1}, {1}, 20}, {in, out, 5}), "use-after-poison");
  EXPECT_DEATH(Run(ReadSharedKernel, {{1}, {1}, 20}, {in, out, -1}), "use-after-poison");
  cudaFree(in);
  cudaFree(out);
}
#endif

struct PoisonArgs {
  uint32_t* out;
};
__global__ void PoisonKernel(const PoisonArgs args) {
  auto* shared = reinterpret_cast<uint32_t*>(SharedMemory());
  args.out[blockIdx.x] = shared[3];
  shared[3] = 0;
}

TEST_F(CudaEmulation, MemoryBeginsAsNaN) {
  uint32_t* out;
  ASSERT_EQ(cudaMalloc(&out, 8), cudaSuccess);
  EXPECT_EQ(Host(out, 2), (std::vector<uint32_t>{~0u, ~0u}));
  cudaMemset(out, 0, 8);
  ASSERT_EQ(Run(PoisonKernel, {{2}, {1}, 16}, {out}), cudaSuccess);
  EXPECT_EQ(Host(out, 2), (std::vector<uint32_t>{~0u, ~0u}));
  cudaFree(out);
}

// ---- Copies ------------------------------------------------------------------------------------------------------

struct AsyncArgs {
  const uint32_t* in;  // [3][threads][4]
  uint32_t* out;
  bool wait;
};
__global__ void AsyncKernel(const AsyncArgs args) {
  const uint32_t i = threadIdx.x, n = blockDim.x;
  unsigned char* shared = SharedMemory();
  for (uint32_t g = 0; g < 3; ++g) {
    CopyAsync16(shared + (g * n + i) * 16, args.in + (g * n + i) * 4, g != 1 || i % 2 == 0);
    CopyAsyncCommit();
  }
  for (uint32_t g = 0; g < 3; ++g) {
    if (args.wait) {
      if (g == 0) CopyAsyncWait<2>();
      if (g == 1) CopyAsyncWait<1>();
      if (g == 2) CopyAsyncWait<0>();
    }
    for (uint32_t e = 0; e < 4; ++e) args.out[(g * n + i) * 4 + e] = reinterpret_cast<uint32_t*>(shared)[(g * n + i) * 4 + e];
  }
}

TEST_F(CudaEmulation, AsynchronousCopiesLandAtTheirWait) {
  constexpr uint32_t kThreads = 40;
  std::vector<uint32_t> in(3 * kThreads * 4);
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<uint32_t>(i) + 100;
  uint32_t* from = Device(in);
  uint32_t* out = Device(std::vector<uint32_t>(in.size()));
  const LaunchConfig config = {{1}, {kThreads}, 3 * kThreads * 16};
  for (const Schedule schedule : {Schedule::kForward, Schedule::kRandom}) {
    emulation::SetSchedule(schedule, 11);
    ASSERT_EQ(Run(AsyncKernel, config, {from, out, true}), cudaSuccess);
    const auto got = Host(out, in.size());
    for (size_t i = 0; i < in.size(); ++i) {
      const bool zero = i / 4 / kThreads == 1 && i / 4 % kThreads % 2 == 1;
      ASSERT_EQ(got[i], zero ? 0 : in[i]);
    }
  }
  emulation::SetSchedule(Schedule::kForward);
  ASSERT_EQ(Run(AsyncKernel, config, {from, out, false}), cudaSuccess);
  for (const uint32_t value : Host(out, in.size())) ASSERT_EQ(value, ~0u);
  cudaFree(from);
  cudaFree(out);
}

TEST_F(CudaEmulation, PageLockedMemoryIsReadLate) {
  uint32_t *pinned, *device;
  ASSERT_EQ(cudaHostAlloc(&pinned, 16, cudaHostAllocDefault), cudaSuccess);
  ASSERT_EQ(cudaMalloc(&device, 16), cudaSuccess);
  cudaStream_t stream;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  pinned[0] = 1;
  ASSERT_EQ(cudaMemcpyAsync(device, pinned, 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
  pinned[0] = 2;  // too early
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(Host(device, 1)[0], 2u);
  // Pageable memory has been staged when the call returns.
  uint32_t pageable = 3;
  ASSERT_EQ(cudaMemcpyAsync(device, &pageable, 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
  pageable = 4;
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(Host(device, 1)[0], 3u);
  // What comes back is there after the wait only.
  pinned[1] = 0;
  ASSERT_EQ(cudaMemcpyAsync(pinned + 1, device, 4, cudaMemcpyDeviceToHost, stream), cudaSuccess);
  EXPECT_EQ(pinned[1], 0u);
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(pinned[1], 3u);
  cudaStreamDestroy(stream);
  cudaFreeHost(pinned);
  cudaFree(device);
}

struct AddArgs {
  uint32_t* values;
  uint32_t by;
};
__global__ void AddKernel(const AddArgs args) { args.values[threadIdx.x] += args.by; }

TEST_F(CudaEmulation, StreamsWaitForEvents) {
  uint32_t* values = Device(std::vector<uint32_t>(2));
  cudaStream_t first, second;
  cudaEvent_t event;
  cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking);
  cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking);
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  AddArgs args = {values, 5};
  ASSERT_EQ(LaunchKernel(RefOf(AddKernel), {{1}, {2}}, &args, false, first), cudaSuccess);
  args.by = 100;  // arguments are taken at once
  ASSERT_EQ(cudaEventRecord(event, first), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
  ASSERT_EQ(cudaStreamWaitEvent(second, event), cudaSuccess);
  uint32_t* pinned;
  cudaHostAlloc(&pinned, 8, cudaHostAllocDefault);
  ASSERT_EQ(cudaMemcpyAsync(pinned, values, 8, cudaMemcpyDeviceToHost, second), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(second), cudaSuccess);
  EXPECT_EQ(pinned[1], 5u);
  cudaEventDestroy(event);
  cudaStreamDestroy(first);
  cudaStreamDestroy(second);
  cudaFreeHost(pinned);
  cudaFree(values);
}

TEST_F(CudaEmulation, GraphsReplay) {
  uint32_t* values = Device(std::vector<uint32_t>(4));
  cudaStream_t stream;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  auto capture = [&](uint32_t by) {
    EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    for (int i = 0; i < 2; ++i) {
      const AddArgs args = {values, by};
      EXPECT_EQ(LaunchKernel(RefOf(AddKernel), {{1}, {4}}, &args, false, stream), cudaSuccess);
    }
    EXPECT_EQ(cudaMemsetAsync(values + 3, 0, 4, stream), cudaSuccess);
    cudaGraph_t graph;
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    return graph;
  };
  cudaGraph_t graph = capture(3);
  cudaGraphExec_t exec;
  ASSERT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
  cudaGraphDestroy(graph);
  EXPECT_EQ(Host(values, 4), (std::vector<uint32_t>(4)));  // captured, not run
  for (int i = 0; i < 3; ++i) ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(Host(values, 4), (std::vector<uint32_t>{18, 18, 18, 0}));
  graph = capture(10);
  cudaGraphExecUpdateResultInfo info;
  ASSERT_EQ(cudaGraphExecUpdate(exec, graph, &info), cudaSuccess);
  cudaGraphDestroy(graph);
  ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(Host(values, 4), (std::vector<uint32_t>{38, 38, 38, 0}));
  cudaGraphExecDestroy(exec);
  cudaStreamDestroy(stream);
  cudaFree(values);
}

TEST_F(CudaEmulation, LaunchesAreChecked) {
  const AddArgs args = {nullptr, 0};
  auto launch = [&](const LaunchConfig& config) { return LaunchKernel(RefOf(AddKernel), config, &args, false, nullptr); };
  EXPECT_EQ(launch({{1}, {1025}}), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch({{0}, {32}}), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch({{1, 65536}, {32}}), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch({{3}, {32}, 0, 2}), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch({{1}, {32}, 48 * 1024 + 1}), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  const void* function = RefOf(AddKernel).function;
  EXPECT_EQ(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 * 1024 + 1), cudaErrorInvalidValue);
  emulation::SetArch(80);
  EXPECT_EQ(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, 163 * 1024 + 1), cudaErrorInvalidValue);
  EXPECT_EQ(launch({{2}, {32}, 0, 2}), cudaErrorInvalidConfiguration);
  int major;
  EXPECT_EQ(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), cudaSuccess);
  EXPECT_EQ(major, 8);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST_F(CudaEmulation, MemoryEnds) {
  size_t free_before, total;
  ASSERT_EQ(cudaMemGetInfo(&free_before, &total), cudaSuccess);
  emulation::SetMemory(static_cast<int64_t>(total - free_before + 1000));
  void *first, *second;
  ASSERT_EQ(cudaMalloc(&first, 600), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&second, 401), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&second, 400), cudaSuccess);
  EXPECT_EQ(cudaFree(first), cudaSuccess);
  EXPECT_EQ(cudaFree(second), cudaSuccess);
  EXPECT_EQ(cudaFree(second), cudaErrorInvalidValue);
  emulation::SetMemory(static_cast<int64_t>(total));
}

TEST_F(CudaEmulation, AnInjectedErrorSticks) {
  uint32_t* values = Device(std::vector<uint32_t>(1));
  emulation::FailLaunch(2);
  EXPECT_EQ(Run(AddKernel, {{1}, {1}}, {values, 1}), cudaSuccess);
  EXPECT_EQ(Run(AddKernel, {{1}, {1}}, {values, 1}), cudaErrorIllegalAddress);
  EXPECT_EQ(Run(AddKernel, {{1}, {1}}, {values, 1}), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  emulation::Reset();
  EXPECT_EQ(Host(values, 1)[0], 1u);
  cudaFree(values);
}

// ---- Matrices ----------------------------------------------------------------------------------------------------

struct MatrixArgs {
  const unsigned char *a, *b;  // [16][32 bytes] row-major, [8][32 bytes] column-major
  void* d;                     // [16][8] of 4 bytes
  int32_t type;                // 0 bf16, 1 f16, 2 s8
};
__global__ void MatrixKernel(const MatrixArgs args) {
  unsigned char* shared = SharedMemory();
  const uint32_t lane = threadIdx.x;
  reinterpret_cast<uint4*>(shared)[lane] = reinterpret_cast<const uint4*>(args.a)[lane];
  if (lane < 16) reinterpret_cast<uint4*>(shared + 512)[lane] = reinterpret_cast<const uint4*>(args.b)[lane];
  __syncwarp();
  uint32_t a[4], b[2];
  // Matrices of a: rows 0-7 and 8-15 of the first 16 bytes, then of the last 16.
  LoadMatrixX4(a, shared + lane % 16 * 32 + lane / 16 * 16);
  LoadMatrixX2(b, shared + 512 + lane % 8 * 32 + lane / 8 % 2 * 16);
  const uint32_t row = lane / 4, column = lane % 4 * 2;
  if (args.type == 2) {
    int32_t* out = static_cast<int32_t*>(args.d);
    int32_t d[4] = {out[row * 8 + column], out[row * 8 + column + 1], out[(row + 8) * 8 + column], out[(row + 8) * 8 + column + 1]};
    MmaS8(d, a, b);
    for (uint32_t i = 0; i < 4; ++i) out[(row + i / 2 * 8) * 8 + column + i % 2] = d[i];
  } else {
    float* out = static_cast<float*>(args.d);
    float d[4] = {out[row * 8 + column], out[row * 8 + column + 1], out[(row + 8) * 8 + column], out[(row + 8) * 8 + column + 1]};
    if (args.type == 0) MmaBf16(d, a, b);
    if (args.type == 1) MmaF16(d, a, b);
    for (uint32_t i = 0; i < 4; ++i) out[(row + i / 2 * 8) * 8 + column + i % 2] = d[i];
  }
}

TEST_F(CudaEmulation, ProductsOfFloats) {
  std::mt19937 random(20261120);
  std::normal_distribution<float> normal;
  for (int32_t type = 0; type < 2; ++type) {
    std::vector<uint16_t> a(16 * 16), b(8 * 16);
    for (auto* v : {&a, &b}) {
      for (uint16_t& x : *v) x = type == 0 ? ToBf16(normal(random)) : ToF16(normal(random));
    }
    std::vector<float> d(16 * 8);
    for (float& x : d) x = normal(random);
    auto number = [&](uint16_t x) { return static_cast<double>(type == 0 ? FromBf16(x) : FromF16(x)); };
    auto *da = Device(a), *db = Device(b);
    auto* dd = Device(d);
    ASSERT_EQ(Run(MatrixKernel, {{1}, {32}, 768}, {reinterpret_cast<unsigned char*>(da), reinterpret_cast<unsigned char*>(db), dd, type}),
              cudaSuccess);
    const auto got = Host(dd, d.size());
    for (size_t i = 0; i < 16; ++i) {
      for (size_t j = 0; j < 8; ++j) {
        double sum = d[i * 8 + j];
        for (size_t k = 0; k < 16; ++k) sum += number(a[i * 16 + k]) * number(b[j * 16 + k]);
        ASSERT_EQ(got[i * 8 + j], static_cast<float>(sum)) << i << ", " << j;
      }
    }
    cudaFree(da);
    cudaFree(db);
    cudaFree(dd);
  }
}

TEST_F(CudaEmulation, ProductsOfIntegers) {
  std::mt19937 random(7);
  std::uniform_int_distribution<int> byte(-128, 127);
  std::vector<int8_t> a(16 * 32), b(8 * 32);
  for (auto* v : {&a, &b}) {
    for (int8_t& x : *v) x = static_cast<int8_t>(byte(random));
  }
  for (size_t k = 0; k < 32; ++k) a[k] = b[k] = -128;
  std::vector<int32_t> d(16 * 8);
  for (int32_t& x : d) x = static_cast<int32_t>(random() % 1000000);
  auto *da = Device(a), *db = Device(b);
  auto* dd = Device(d);
  ASSERT_EQ(Run(MatrixKernel, {{1}, {32}, 768}, {reinterpret_cast<unsigned char*>(da), reinterpret_cast<unsigned char*>(db), dd, 2}),
            cudaSuccess);
  const auto got = Host(dd, d.size());
  for (size_t i = 0; i < 16; ++i) {
    for (size_t j = 0; j < 8; ++j) {
      int32_t sum = d[i * 8 + j];
      for (size_t k = 0; k < 32; ++k) sum += a[i * 32 + k] * b[j * 32 + k];
      ASSERT_EQ(got[i * 8 + j], sum) << i << ", " << j;
    }
  }
  cudaFree(da);
  cudaFree(db);
  cudaFree(dd);
}

struct TransposeArgs {
  uint32_t* out;  // [4][32]
};
__global__ void TransposeKernel(const TransposeArgs args) {
  auto* shared = reinterpret_cast<uint16_t*>(SharedMemory());
  const uint32_t lane = threadIdx.x;
  for (uint32_t i = 0; i < 8; ++i) shared[lane * 8 + i] = static_cast<uint16_t>(lane * 8 + i);
  __syncwarp();
  uint32_t r[4];
  LoadMatrixX4Trans(r, shared + lane * 8);
  for (uint32_t i = 0; i < 4; ++i) args.out[i * 32 + lane] = r[i];
}

TEST_F(CudaEmulation, TransposedMatrices) {
  uint32_t* out = Device(std::vector<uint32_t>(128));
  ASSERT_EQ(Run(TransposeKernel, {{1}, {32}, 512}, {out}), cudaSuccess);
  const auto got = Host(out, 128);
  for (uint32_t i = 0; i < 4; ++i) {
    for (uint32_t lane = 0; lane < 32; ++lane) {
      const uint32_t row = lane % 4 * 2, column = lane / 4;  // of the stored matrix
      const uint32_t low = i * 64 + row * 8 + column, high = i * 64 + (row + 1) * 8 + column;
      EXPECT_EQ(got[i * 32 + lane], high << 16 | low);
    }
  }
  cudaFree(out);
}

TEST_F(CudaEmulation, Numbers) {
  EXPECT_EQ(ToBf16(1.00390625f), 0x3F80);  // a tie goes to the even one
  EXPECT_EQ(ToBf16(1.01171875f), 0x3F82);
  EXPECT_EQ(ToBf16(3.4e38f), 0x7F80);
  EXPECT_EQ(ToBf16(NAN), 0x7FFF);
  EXPECT_EQ(PackBf16(1.0f, 2.0f), 0x40003F80u);
  EXPECT_EQ(PackF16(1.0f, -2.0f), 0xC0003C00u);
  EXPECT_EQ(FromF16(0x0001), 0x1p-24f);
  EXPECT_EQ(Exp2(-INFINITY), 0.0f);
  EXPECT_EQ(Exp2(-127.0f), 0.0f);
  EXPECT_EQ(Exp2(3.0f), 8.0f);
  EXPECT_EQ(__float2int_rn(2.5f), 2);
  EXPECT_EQ(__float2int_rn(-1e20f), INT32_MIN);
  EXPECT_EQ(__float2int_rn(3e9f), INT32_MAX);
  EXPECT_EQ(__float2int_rn(NAN), 0);
  EXPECT_EQ(__dp4a(0x7F80FF01, 0x02020202, 5), 5 + 2 * (127 - 128 - 1 + 1));
  EXPECT_EQ(__byte_perm(0x33221100, 0x77665544, 0x7410), 0x77441100u);
}

}  // namespace
}  // namespace lanes::cuda

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
