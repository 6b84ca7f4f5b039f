// Microbenchmark for tuning:  native_bench [--threads N] [--isa avx2|avx512] [--only SUBSTRING]
// "--threads 1 --clock cpu" counts CPU time: for tuning on a machine that is busy with other things.
// Ceilings are measured in the same run. The comparison with other libraries is ci/bench.sh.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "bench.h"
#include "lanes/lanes.h"

namespace {

using lanes_bench::Ceilings;
using lanes_bench::Check;
using lanes_bench::Measure;
using lanes_bench::Options;
using lanes_bench::Timing;

const char* const kDtypeNames[] = {"f32", "bf16", "f16", "s8"};

struct Weights {
  std::vector<lanes_weight*> copies;  // together larger than the caches where `cold`
  uint64_t bytes = 0;
  ~Weights() {
    for (lanes_weight* weight : copies) lanes_weight_destroy(weight);
  }
};

void MakeWeights(lanes_runtime* runtime, int64_t n, int64_t k, int32_t dtype, bool cold, Weights* out) {
  lanes_weight_params params = {sizeof params, n, k, dtype, nullptr};
  Check(lanes_weight_bytes(&params, &out->bytes));
  const int64_t copies = cold ? std::max<int64_t>(1, (400 << 20) / static_cast<int64_t>(out->bytes)) : 1;
  std::vector<float> values(n * k);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>((i * 2654435761u >> 16) % 2001) * 1e-3f - 1.0f;
  for (int64_t i = 0; i < copies; ++i) {
    lanes_weight* weight = nullptr;
    Check(lanes_weight_create(&params, &weight));
    out->copies.push_back(weight);
    lanes_weight_pack_params pack = {sizeof pack, weight, values.data(), values.size() * 4, LANES_F32, 0, 0, n, 0, k, nullptr, 0};
    Check(lanes_weight_pack(runtime, &pack));
  }
}

void Linear(lanes_runtime* runtime, const Options& options, const Ceilings& ceilings, int64_t m, int64_t n, int64_t k, int32_t dtype,
            int32_t compute) {
  char name[96];
  std::snprintf(name, sizeof name, "linear m=%lld n=%lld k=%lld %s%s", static_cast<long long>(m), static_cast<long long>(n),
                static_cast<long long>(k), kDtypeNames[dtype], compute == LANES_COMPUTE_BF16 ? " dot" : "");
  if (!options.Wants(name)) return;
  Weights weights;
  MakeWeights(runtime, n, k, dtype, m <= 32, &weights);
  std::vector<float> x(m * k, 0.25f), y(m * n);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 17) * 0.1f - 0.8f;
  lanes_linear_params p = {};
  p.size = sizeof p;
  p.m = m;
  p.x = x.data();
  p.x_len = x.size();
  p.x_stride = k;
  p.y = y.data();
  p.y_len = y.size();
  p.y_stride = n;
  p.compute = compute;
  std::vector<int8_t> xq;
  std::vector<float> x_scale(m, 0.01f);
  if (dtype == LANES_S8) {
    xq.resize(m * k);
    for (size_t i = 0; i < xq.size(); ++i) xq[i] = static_cast<int8_t>(i * 31 % 256);
    p.x = nullptr;
    p.xq = xq.data();
    p.xq_len = xq.size();
    p.xq_stride = k;
    p.x_scale = x_scale.data();
    p.x_scale_len = x_scale.size();
  }
  const Timing t = Measure([&](int i) {
    p.weight = weights.copies[i % weights.copies.size()];
    Check(lanes_linear(runtime, &p));
  });
  const double gflops = 2.0 * static_cast<double>(m * n * k) / t.median * 1e-9;
  const double peak = compute == LANES_COMPUTE_INT8 ? ceilings.s8 : compute == LANES_COMPUTE_BF16 ? ceilings.bf16 : ceilings.fma;
  const double gbs = static_cast<double>(weights.bytes) / t.median * 1e-9;
  std::printf("%-44s %9.1f us (%.1f..%.1f)  %7.1f GFLOP/s %3.0f%%  %6.1f GB/s %3.0f%%\n", name, t.median * 1e6, t.least * 1e6,
              t.most * 1e6, gflops, 100 * gflops / peak, gbs, 100 * gbs / ceilings.read);
  std::fflush(stdout);
}

void Pack(lanes_runtime* runtime, const Options& options, int32_t src, int32_t dst, bool transposed) {
  const std::string name = std::string("pack ") + kDtypeNames[src] + " to " + kDtypeNames[dst] + (transposed ? " transposed" : "");
  if (!options.Wants(name)) return;
  const int64_t n = 2048, k = 5632;
  lanes_weight_params params = {sizeof params, n, k, dst};
  lanes_weight* weight = nullptr;
  Check(lanes_weight_create(&params, &weight));
  const std::vector<char> data(n * k * (src == LANES_F32 ? 4 : 2), 1);
  lanes_weight_pack_params pack = {sizeof pack, weight, data.data(), data.size(), src, transposed, 0, n, 0, k, nullptr, 0};
  const Timing t = Measure([&](int) { Check(lanes_weight_pack(runtime, &pack)); });
  std::printf("%-44s %9.1f us  %6.2f GB/s of source\n", name.c_str(), t.median * 1e6, data.size() / t.median * 1e-9);
  lanes_weight_destroy(weight);
}

void Embed(lanes_runtime* runtime, const Options& options, int32_t dtype, int64_t tokens) {
  const std::string name = std::string("embed ") + kDtypeNames[dtype] + " tokens=" + std::to_string(tokens);
  if (!options.Wants(name)) return;
  const int64_t n = 32000, k = 2048;
  Weights weights;
  MakeWeights(runtime, n, k, dtype, false, &weights);
  std::vector<int32_t> ids(tokens);
  std::vector<float> y(tokens * k);
  lanes_embed_params p = {};
  p.size = sizeof p;
  p.weight = weights.copies[0];
  p.ids = ids.data();
  p.ids_len = ids.size();
  p.tokens = tokens;
  p.y = y.data();
  p.y_len = y.size();
  p.y_stride = k;
  uint32_t state = 1;
  const Timing t = Measure([&](int) {
    for (int32_t& id : ids) id = static_cast<int32_t>((state = state * 1664525u + 1013904223u) >> 8) % n;
    Check(lanes_embed(runtime, &p));
  });
  std::printf("%-44s %9.1f us  %6.2f us a token\n", name.c_str(), t.median * 1e6, t.median * 1e6 / tokens);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--threads")) options.threads = std::atoi(argv[i + 1]);
    if (!std::strcmp(argv[i], "--only")) options.only = argv[i + 1];
    if (!std::strcmp(argv[i], "--clock") && !std::strcmp(argv[i + 1], "cpu")) lanes_bench::UseCpuTime();
    if (!std::strcmp(argv[i], "--isa")) options.isa = !std::strcmp(argv[i + 1], "avx2") ? LANES_ISA_AVX2 : LANES_ISA_AVX512;
  }
  lanes_runtime_params params = {};
  params.size = sizeof params;
  params.threads = options.threads;
  params.isa = options.isa;
  lanes_runtime* runtime = nullptr;
  Check(lanes_runtime_create(&params, &runtime));
  lanes_runtime_info info = {};
  info.size = sizeof info;
  Check(lanes_get_runtime_info(runtime, &info));
  const Ceilings ceilings = {lanes_bench::PeakFma(info.threads), lanes_bench::PeakBf16(info.threads),
                             lanes_bench::PeakS8(info.threads), lanes_bench::ReadBandwidth(info.threads)};
  std::printf("threads %d: fma %.0f GFLOP/s, bf16 dot %.0f GFLOP/s, s8 dot %.0f GOP/s, read %.1f GB/s\n", info.threads, ceilings.fma,
              ceilings.bf16, ceilings.s8, ceilings.read);
  const struct {
    int32_t dtype, compute;
  } kTypes[] = {{LANES_F32, 0}, {LANES_BF16, 0}, {LANES_BF16, LANES_COMPUTE_BF16}, {LANES_F16, 0}, {LANES_S8, LANES_COMPUTE_INT8}};
  const struct {
    int64_t n, k;
  } kShapes[] = {{5632, 2048}, {2048, 5632}, {2048, 2048}, {4096, 4096}, {1024, 1024},
                 {1536, 576},  {576, 1536},  {576, 576},   {288, 288},   {64, 64}};
  for (const auto& type : kTypes) {
    for (const auto& shape : kShapes) {
      for (const int64_t m : {1, 2, 4, 6, 8, 12, 16, 32, 128, 512, 1024}) {
        if (m == 1024 && shape.k < 1024) continue;
        Linear(runtime, options, ceilings, m, shape.n, shape.k, type.dtype, type.compute);
      }
    }
  }
  for (const int32_t src : {LANES_F32, LANES_BF16, LANES_F16}) {
    for (const int32_t dst : {LANES_F32, LANES_BF16, LANES_F16}) {
      Pack(runtime, options, src, dst, false);
      Pack(runtime, options, src, dst, true);
    }
  }
  for (const int32_t dtype : {LANES_F32, LANES_BF16}) {
    Embed(runtime, options, dtype, 1);
    Embed(runtime, options, dtype, 512);
  }
  BenchAttention(runtime, options, ceilings);
  Check(lanes_runtime_destroy(runtime));
  return 0;
}
