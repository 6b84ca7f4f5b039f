// Every tile of the wgmma kernels at one shape after the other: time, what the model of heuristics_sm90.h says, and whether the bits are
// those of mma.sync; a star marks the one that is chosen. For tuning, on a GPU of capability 9.0:
//   cuda_gemm_bench [m n k]...       without arguments the shapes of docs/lab/cuda.md
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "cuda/common/probe.h"
#include "cuda/linear/linear_sm90.h"

namespace lanes::cuda {
namespace {

void Check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  fprintf(stderr, "cuda_gemm_bench: %s: %s\n", what, cudaGetErrorString(error));
  exit(1);
}

// Launches at once.
class BenchDevice : public Device {
 public:
  BenchDevice() {
    cudaDeviceProp properties;
    Check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    limits_ = {properties.major,
               properties.minor,
               properties.multiProcessorCount,
               static_cast<int32_t>(properties.sharedMemPerBlockOptin),
               properties.l2CacheSize,
               properties.major == 9,
               true,
               true};
    printf("%s, %d multiprocessors\n", properties.name, limits_.multiprocessors);
  }

  const DeviceLimits& limits() const override { return limits_; }
  void* Allocate(int64_t bytes) {
    void* memory = nullptr;
    Check(cudaMalloc(&memory, static_cast<size_t>(bytes)), "cudaMalloc");
    memory_.push_back(memory);
    return memory;
  }
  void FreeAll() {
    for (void* memory : memory_) Check(cudaFree(memory), "cudaFree");
    memory_.clear();
  }
  void Fill(void* memory, int byte, int64_t bytes) override { Check(cudaMemset(memory, byte, static_cast<size_t>(bytes)), "cudaMemset"); }
  void Submit() override {
    for (const auto& hand_over : returns_) hand_over();
    returns_.clear();
  }
  void Upload(void* to, const void* from, int64_t bytes) override {
    Check(cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice), "a copy to the device");
  }
  void Download(void* to, const void* from, int64_t bytes) override {
    Check(cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost), "a copy from the device");
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
    if (config.shared_bytes > 48 * 1024) {
      Check(cudaFuncSetAttribute(kernel.function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(config.shared_bytes)),
            "cudaFuncSetAttribute");
    }
    Check(LaunchKernel(kernel, config, args, false, nullptr), "a launch");
  }

 private:
  DeviceLimits limits_;
  std::vector<void*> memory_;
  std::vector<std::function<void()>> returns_;
};

struct Times {
  float median, least, most;  // microseconds
};

// Of `run(i)`, i counting on, so that it can change between inputs. Long enough for a clock that has settled.
Times Measure(const std::function<void(int)>& run) {
  cudaEvent_t begin, end;
  Check(cudaEventCreate(&begin), "cudaEventCreate");
  Check(cudaEventCreate(&end), "cudaEventCreate");
  int i = 0;
  const auto batch = [&](int count) {
    Check(cudaEventRecord(begin), "cudaEventRecord");
    for (int n = 0; n < count; ++n) run(i++);
    Check(cudaEventRecord(end), "cudaEventRecord");
    Check(cudaEventSynchronize(end), "the kernels");
    float milliseconds = 0;
    Check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
    return milliseconds * 1000 / static_cast<float>(count);
  };
  batch(1);
  const int count = static_cast<int>(std::clamp(2000.0f / std::max(batch(2), 0.1f), 1.0f, 200.0f));
  std::vector<float> times;
  for (int n = 0; n < 11; ++n) times.push_back(batch(count));
  Check(cudaEventDestroy(begin), "cudaEventDestroy");
  Check(cudaEventDestroy(end), "cudaEventDestroy");
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front(), times.back()};
}

class Numbers {
 public:
  uint32_t Next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    return state_ ^= state_ << 5;
  }
  // bfloat16 from 2^-8 to 2 with any fraction, or any int8.
  std::vector<unsigned char> Rows(int64_t bytes, bool s8) {
    std::vector<unsigned char> rows(static_cast<size_t>(bytes));
    for (size_t i = 0; i < rows.size(); i += 2) {
      const uint32_t random = Next();
      const auto number = static_cast<uint16_t>(s8 ? random >> 7 : (random & 0x8000) | (127 - random % 8) << 7 | (random >> 20 & 0x7F));
      memcpy(&rows[i], &number, 2);
    }
    return rows;
  }
  std::vector<float> Floats(int64_t count) {
    std::vector<float> floats(static_cast<size_t>(count));
    for (float& f : floats) f = static_cast<float>(Next() % 2048) / 1024 - 1;
    return floats;
  }

 private:
  uint32_t state_ = 12345;
};

void Run(BenchDevice& device, int64_t m, int64_t n, int64_t k, bool s8) {
  Numbers numbers;
  const int64_t row_bytes = (k * (s8 ? 1 : 2) + 127) / 128 * 128;
  // Sets of inputs, so that they come from memory as they would.
  const int64_t bytes = (m + n) * row_bytes;
  const auto sets = static_cast<int>(std::clamp<int64_t>(3 * device.limits().l2_bytes / bytes + 1, 1, 16));
  const auto put = [&](const auto& values) {
    const auto size = static_cast<int64_t>(values.size() * sizeof(values[0]));
    void* memory = device.Allocate(size);
    device.Upload(memory, values.data(), size);
    return memory;
  };
  const std::vector<unsigned char> weight = numbers.Rows(n * row_bytes, s8), x = numbers.Rows(m * row_bytes, s8);
  std::vector<GemmProblem> problems;
  auto* y = static_cast<float*>(device.Allocate(m * n * 4));
  const auto* x_scale = static_cast<float*>(put(numbers.Floats(m)));
  const auto* w_scale = static_cast<float*>(put(numbers.Floats(n)));
  for (int i = 0; i < sets; ++i) {
    GemmProblem problem = {};
    problem.products = s8 ? Products::kS8 : Products::kBf16;
    problem.weight = static_cast<unsigned char*>(put(weight));
    problem.x = static_cast<unsigned char*>(put(x));
    problem.row_bytes = problem.x_bytes = problem.x_stride = row_bytes;
    EpilogueArgs& e = problem.epilogue;
    e.y = y;
    e.y_stride = e.residual_stride = n;
    e.m = m;
    e.n = n;
    if (s8) {
      e.x_scale = x_scale;
      e.w_scale = w_scale;
    }
    e.vectors = n % 4 == 0;
    problems.push_back(problem);
  }
  std::vector<float> expected(static_cast<size_t>(m * n)), got(expected.size());
  const double operations = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  printf("\nm %lld, n %lld, k %lld, %s, %d sets of inputs\n", static_cast<long long>(m), static_cast<long long>(n),
         static_cast<long long>(k), s8 ? "int8" : "bf16", sets);
  printf("%-22s %9s %21s %9s %7s %9s  bits\n", "", "us", "[min..max]", "TOP/s", "TB/s", "model us");
  const auto line = [&](const std::string& name, const Times& t, double model, const char* bits) {
    printf("%-22s %9.1f [%8.1f..%8.1f] %9.1f %7.2f %9.1f  %s\n", name.c_str(), t.median, t.least, t.most, operations / t.median / 1e6,
           static_cast<double>(n * row_bytes) / t.median / 1e6, model, bits);
    fflush(stdout);
  };
  const auto poison = [&] { device.Fill(y, 0xFF, m * n * 4); };
  poison();
  LaunchGemm(device, problems[0]);
  device.Download(expected.data(), y, m * n * 4);
  line("mma.sync", Measure([&](int i) { LaunchGemm(device, problems[static_cast<size_t>(i % sets)]); }), 0, "");
  const Sm90Shape shape = {m, n, row_bytes};
  const int32_t multiprocessors = device.limits().multiprocessors;
  Sm90Plan chosen = {}, plan = {};
  if (!ChooseSm90(shape, multiprocessors, &chosen)) return;
  for (int32_t tile = 0; tile < static_cast<int32_t>(std::size(kSm90Tiles)); ++tile) {
    for (const int32_t cluster : {2, 1}) {
      if (cluster == 2 && !Sm90Clusters(shape, kSm90Tiles[tile], multiprocessors)) continue;
      if (!PlanSm90(shape, tile, cluster, multiprocessors, &plan)) continue;
      const auto run = [&](int i) {
        const GemmProblem& problem = problems[static_cast<size_t>(i % sets)];
        if (!(s8 ? LaunchS8Sm90 : LaunchBf16Sm90)(device, problem, plan)) Check(cudaErrorInvalidValue, "a tensor map");
      };
      poison();
      run(0);
      device.Download(got.data(), y, m * n * 4);
      const bool same = memcmp(got.data(), expected.data(), got.size() * 4) == 0;
      const bool is_chosen = tile == chosen.tile && cluster == chosen.cluster;
      const std::string name = std::to_string(Sm90Features(kSm90Tiles[tile])) + "x" + std::to_string(kSm90Tiles[tile].tokens) +
                               ", cluster " + std::to_string(cluster) + (is_chosen ? " *" : "");
      line(name, Measure(run), Sm90Cycles(shape, kSm90Tiles[tile], cluster, multiprocessors) / 1750, same ? "same" : "DIFFER");
    }
  }
  device.FreeAll();
}

}  // namespace
}  // namespace lanes::cuda

int main(int argc, char** argv) {
  using namespace lanes::cuda;
  BenchDevice device;
  if (!device.limits().hopper) {
    fprintf(stderr, "cuda_gemm_bench: needs a GPU of capability 9.0\n");
    return 1;
  }
  const HopperBits bits = ProbeHopperBits(device);
  printf("bits of wgmma and mma.sync: bf16 %s, f16 %s\n", bits.bf16 ? "same" : "DIFFER", bits.f16 ? "same" : "DIFFER");
  device.FreeAll();
  std::vector<int64_t> shapes;
  for (int i = 1; i < argc; ++i) shapes.push_back(atoll(argv[i]));
  if (shapes.size() < 3) {
    shapes = {8192, 8192, 8192, 4096, 4096, 4096, 1024, 4096, 4096,   2048, 8192, 2048, 512, 8192, 2048,
              512,  2048, 2048, 128,  2048, 2048, 64,   8192, 2048,   32,   128256, 2048};
  }
  for (size_t i = 0; i + 2 < shapes.size(); i += 3) {
    for (const bool s8 : {false, true}) Run(device, shapes[i], shapes[i + 1], shapes[i + 2], s8);
  }
  return 0;
}
