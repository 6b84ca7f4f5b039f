// The kernels of linear one by one: each tile and plan gives the same bits, whether or not a heuristic would have chosen it. Through the
// ABI they are tested by linear_test and linear_s8_test.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "cpu/scalar.h"
#include "cuda/linear/gemm.cuh"
#include "cuda/linear/linear.h"
#include "emulation/control.h"
#include "immediate_device.h"
#include "support/random.h"

namespace lanes::cuda {
namespace {

using lanes_test::Random;

template <class T>
T* Put(ImmediateDevice& device, const std::vector<T>& values) {
  return values.empty() ? nullptr : device.Put(values);
}

struct Problem {
  int64_t m, n, k;
  int32_t dtype;
  std::vector<float> x, weight;  // [m, k], [n, k]; the weight as dtype stores it
  std::vector<int8_t> xq, wq;    // of int8
  std::vector<float> x_scale, w_scale, bias, residual;
};

Problem MakeProblem(int64_t m, int64_t n, int64_t k, int32_t dtype, uint64_t stream) {
  Random random(stream);
  Problem p = {m, n, k, dtype, {}, {}, {}, {}, {}, {}, random.Floats(n), random.Floats(m * n)};
  if (dtype == LANES_S8) {
    const auto integers = [&](int64_t count) {
      std::vector<int8_t> values(static_cast<size_t>(count));
      for (int8_t& v : values) v = static_cast<int8_t>(random.Integer(-128, 127));
      return values;
    };
    p.xq = integers(m * k);
    p.wq = integers(n * k);
    p.x_scale = random.Floats(m);
    p.w_scale = random.Floats(n);
  } else {
    p.x = random.Floats(m * k);
    if (dtype == LANES_F16) {
      // Far beyond f16 on both sides, among them rows that are zero or nearly so, and an element that vanishes beside its row.
      const float factors[] = {1.0f, 1e30f, 1e-30f, 70000.0f, 1e-36f, 0.0f, 3e-44f, 3e38f};
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t c = 0; c < k; ++c) p.x[static_cast<size_t>(i * k + c)] *= factors[(i + static_cast<int64_t>(stream)) % 8];
        p.x[static_cast<size_t>(i * k)] *= 1e-6f;
      }
    }
    p.weight = random.Floats(n * k);
    for (float& w : p.weight) {
      if (dtype == LANES_BF16) w = reference::Bf16ToFloat(reference::FloatToBf16(w));
      if (dtype == LANES_F16) w = reference::F16ToFloat(reference::FloatToF16(w));
    }
  }
  return p;
}

int64_t RowBytes(const Problem& p) {
  return RoundUpTo(p.k * (p.dtype == LANES_F32 ? 4 : p.dtype == LANES_S8 ? 1 : 2), 128);
}

// Rows of the weight as a device keeps them.
std::vector<unsigned char> WeightRows(const Problem& p) {
  const int64_t row_bytes = RowBytes(p), element = p.dtype == LANES_F32 ? 4 : p.dtype == LANES_S8 ? 1 : 2;
  std::vector<unsigned char> rows(static_cast<size_t>(p.n * row_bytes));
  for (int64_t j = 0; j < p.n; ++j) {
    for (int64_t c = 0; c < p.k; ++c) {
      char* const to = reinterpret_cast<char*>(&rows[static_cast<size_t>(j * row_bytes + c * element)]);
      if (p.dtype == LANES_S8) {
        *to = static_cast<char>(p.wq[static_cast<size_t>(j * p.k + c)]);
      } else {
        reference::StoreElement(to, p.dtype, 0, p.weight[static_cast<size_t>(j * p.k + c)]);
      }
    }
  }
  return rows;
}

// The power of two of a row of x for f16, as lanes.h has it.
int PowerOf(const Problem& p, int64_t row) {
  float most = 0;
  for (int64_t c = 0; c < p.k; ++c) most = std::max(most, std::fabs(p.x[static_cast<size_t>(row * p.k + c)]));
  return most == 0 ? 0 : std::min(14 - std::ilogb(most), 126);
}

std::vector<unsigned char> XRows(const Problem& p) {
  const int64_t row_bytes = RowBytes(p);
  std::vector<unsigned char> rows(static_cast<size_t>(p.m * row_bytes));
  for (int64_t i = 0; i < p.m; ++i) {
    const int power = p.dtype == LANES_F16 ? PowerOf(p, i) : 0;
    for (int64_t c = 0; c < p.k; ++c) {
      if (p.dtype == LANES_S8) {
        rows[static_cast<size_t>(i * row_bytes + c)] = static_cast<unsigned char>(p.xq[static_cast<size_t>(i * p.k + c)]);
      } else {
        const float x = p.x[static_cast<size_t>(i * p.k + c)];
        const uint16_t half = p.dtype == LANES_F16 ? reference::FloatToF16(std::ldexp(x, power)) : reference::FloatToBf16(x);
        memcpy(&rows[static_cast<size_t>(i * row_bytes + 2 * c)], &half, 2);
      }
    }
  }
  return rows;
}

Products ProductsOf(const Problem& p) {
  return p.dtype == LANES_S8 ? Products::kS8 : p.dtype == LANES_F16 ? Products::kF16 : Products::kBf16;
}

enum class Epilogue { kPlain, kVectors, kOdd };

// Runs `launch(device, problem, floats)` and returns y.
template <class Launch>
std::vector<float> RunGemm(ImmediateDevice& device, const Problem& p, Epilogue epilogue, const Launch& launch) {
  GemmProblem problem = {};
  problem.products = ProductsOf(p);
  problem.weight = Put(device, WeightRows(p));
  problem.row_bytes = RowBytes(p);
  problem.x = Put(device, XRows(p));
  problem.x_bytes = problem.x_stride = problem.row_bytes;
  EpilogueArgs& e = problem.epilogue;
  e.m = p.m;
  e.n = p.n;
  e.y_stride = RoundUpTo(p.n, 4) + (epilogue == Epilogue::kOdd ? 1 : 0);
  e.y = device.Scratch<float>(p.m * e.y_stride);
  if (epilogue != Epilogue::kPlain) {
    e.bias = Put(device, p.bias);
    std::vector<float> rows(static_cast<size_t>(p.m * e.y_stride), std::nanf(""));
    for (int64_t i = 0; i < p.m; ++i) {
      for (int64_t j = 0; j < p.n; ++j) rows[static_cast<size_t>(i * e.y_stride + j)] = p.residual[static_cast<size_t>(i * p.n + j)];
    }
    device.Upload(e.y, rows.data(), static_cast<int64_t>(rows.size()) * 4);
    e.residual = e.y;
    e.residual_stride = e.y_stride;
  }
  e.vectors = epilogue != Epilogue::kOdd;
  std::vector<float> x_scale = p.x_scale;
  if (p.dtype == LANES_F16) {
    for (int64_t i = 0; i < p.m; ++i) x_scale.push_back(std::ldexp(1.0f, -PowerOf(p, i)));
  }
  e.x_scale = Put(device, x_scale);
  e.w_scale = Put(device, p.w_scale);
  const InputRows floats = {Put(device, p.x), false, p.k, p.k, p.k % 4 == 0};
  launch(device, problem, p.dtype == LANES_S8 ? nullptr : &floats);
  std::vector<float> rows(static_cast<size_t>(p.m * e.y_stride)), y(static_cast<size_t>(p.m * p.n));
  device.Download(rows.data(), e.y, static_cast<int64_t>(rows.size()) * 4);
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) y[static_cast<size_t>(i * p.n + j)] = rows[static_cast<size_t>(i * e.y_stride + j)];
  }
  return y;
}

std::vector<float> RunTile(const Problem& p, int32_t tile, Epilogue epilogue = Epilogue::kVectors) {
  ImmediateDevice device(4);
  return RunGemm(device, p, epilogue, [&](Device& d, const GemmProblem& problem, const InputRows*) {
    (p.dtype == LANES_S8 ? LaunchGemmS8 : p.dtype == LANES_F16 ? LaunchGemmF16 : LaunchGemmBf16)(d, problem, tile);
  });
}

// On a device like that, with what it would choose.
std::vector<float> RunGemv(const Problem& p, int32_t multiprocessors, int32_t shared_bytes, Epilogue epilogue = Epilogue::kVectors) {
  ImmediateDevice device(multiprocessors, shared_bytes);
  return RunGemm(device, p, epilogue, [&](Device& d, const GemmProblem& problem, const InputRows* floats) {
    EXPECT_TRUE(LaunchGemv(d, problem, floats)) << p.m << " x " << p.n << " x " << p.k;
  });
}

void ExpectSameBits(const std::vector<float>& a, const std::vector<float>& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); ++i) {
    uint32_t x, y;
    memcpy(&x, &a[i], 4);
    memcpy(&y, &b[i], 4);
    ASSERT_EQ(x, y) << what << ", element " << i << ": " << a[i] << " and " << b[i];
  }
}

std::string Name(const Problem& p) {
  return "m " + std::to_string(p.m) + " n " + std::to_string(p.n) + " k " + std::to_string(p.k) + " dtype " + std::to_string(p.dtype);
}

// In the order of the contract; of int8 these are the bits, of bf16 and f16 the sum is float64, and `size` what it is made of.
struct Sums {
  std::vector<double> y, size;
};
Sums Expected(const Problem& p, Epilogue epilogue) {
  Sums sums;
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      double value, size = 0;
      if (p.dtype == LANES_S8) {
        int64_t sum = 0;
        for (int64_t c = 0; c < p.k; ++c) sum += int64_t{p.xq[static_cast<size_t>(i * p.k + c)]} * p.wq[static_cast<size_t>(j * p.k + c)];
        float v = static_cast<float>(sum) * (p.x_scale[static_cast<size_t>(i)] * p.w_scale[static_cast<size_t>(j)]);
        if (epilogue != Epilogue::kPlain) v = p.residual[static_cast<size_t>(i * p.n + j)] + (v + p.bias[static_cast<size_t>(j)]);
        value = v;
      } else {
        value = 0;
        const int power = p.dtype == LANES_F16 ? PowerOf(p, i) : 0;
        for (int64_t c = 0; c < p.k; ++c) {
          const float x = p.x[static_cast<size_t>(i * p.k + c)];
          const double rounded =
              p.dtype == LANES_F16 ? std::ldexp(double{reference::F16ToFloat(reference::FloatToF16(std::ldexp(x, power)))}, -power)
                                   : double{reference::Bf16ToFloat(reference::FloatToBf16(x))};
          value += rounded * p.weight[static_cast<size_t>(j * p.k + c)];
          size += std::fabs(rounded * p.weight[static_cast<size_t>(j * p.k + c)]);
        }
        if (epilogue != Epilogue::kPlain) {
          value += p.bias[static_cast<size_t>(j)] + p.residual[static_cast<size_t>(i * p.n + j)];
          size += 4;
        }
      }
      sums.y.push_back(value);
      sums.size.push_back(size);
    }
  }
  return sums;
}

void ExpectRight(const Problem& p, const std::vector<float>& y, Epilogue epilogue) {
  const Sums expected = Expected(p, epilogue);
  for (size_t i = 0; i < y.size(); ++i) {
    if (p.dtype == LANES_S8) {
      ASSERT_EQ(static_cast<double>(y[i]), expected.y[i]) << Name(p) << ", element " << i;
    } else if (std::fabs(expected.y[i]) < 3.4e38) {
      const double bound = 0x1p-24 * static_cast<double>(p.k / 16 + 8) * expected.size[i] + 0x1p-149;
      ASSERT_NEAR(y[i], expected.y[i], bound) << Name(p) << ", element " << i;
    } else {
      ASSERT_TRUE(std::isinf(y[i])) << Name(p) << ", element " << i << ": " << y[i];
    }
  }
}

class LinearKernels : public ::testing::TestWithParam<emulation::Schedule> {
 protected:
  void SetUp() override { emulation::SetSchedule(GetParam(), 11); }
  void TearDown() override { emulation::SetSchedule(emulation::Schedule::kForward); }
};
std::string ScheduleName(const ::testing::TestParamInfo<emulation::Schedule>& schedule) {
  if (schedule.param == emulation::Schedule::kForward) return "forward";
  return schedule.param == emulation::Schedule::kBackward ? "backward" : "random";
}
INSTANTIATE_TEST_SUITE_P(Schedules, LinearKernels,
                         ::testing::Values(emulation::Schedule::kForward, emulation::Schedule::kBackward, emulation::Schedule::kRandom),
                         ScheduleName);

TEST_P(LinearKernels, TilesAndGemvGiveTheSameBits) {
  uint64_t stream = 0;
  for (const int32_t dtype : {LANES_BF16, LANES_F16, LANES_S8}) {
    // Fewer steps than stages and more, tails on every side, several tiles and groups of tiles, rows that warps share.
    const struct {
      int64_t m, n, k;
      Epilogue epilogue;
    } shapes[] = {{1, 40, 1000, Epilogue::kVectors}, {7, 17, 130, Epilogue::kOdd},    {16, 130, 65, Epilogue::kPlain},
                  {9, 64, 1153, Epilogue::kPlain},   {130, 140, 200, Epilogue::kOdd}, {300, 40, 72, Epilogue::kVectors},
                  {1, 24, 4200, Epilogue::kOdd},     {12, 20, 5000, Epilogue::kPlain}};
    for (const auto& shape : shapes) {
      const Problem p = MakeProblem(shape.m, shape.n, shape.k, dtype, ++stream);
      const std::vector<float> y = RunTile(p, 0, shape.epilogue);
      ExpectRight(p, y, shape.epilogue);
      for (int32_t tile = 1; tile < kGemmTileCount; ++tile) {
        ExpectSameBits(y, RunTile(p, tile, shape.epilogue), Name(p) + " tile " + std::to_string(tile));
      }
      if (shape.m > kGemvTokens) continue;
      for (const auto& [multiprocessors, shared] : {std::pair{1, 232448}, {2, 232448}, {3, 101376}, {132, 232448}, {132, 101376}}) {
        if (!PlanGemv(p.m, p.n, RowBytes(p), ProductsOf(p), {multiprocessors, shared}).taken) continue;
        const std::string what = Name(p) + " gemv " + std::to_string(multiprocessors) + " " + std::to_string(shared);
        ExpectSameBits(y, RunGemv(p, multiprocessors, shared, shape.epilogue), what);
      }
    }
  }
}

// Each row alone, and any rows together.
TEST_P(LinearKernels, RowsDoNotDependOnTheirNumber) {
  for (const int32_t dtype : {LANES_BF16, LANES_F16, LANES_S8}) {
    const Problem all = MakeProblem(48, 33, 321, dtype, 5);
    const std::vector<float> y = RunTile(all, 2);
    for (const int64_t rows : {1, 2, 5, 8, 9, 16, 17, 31, 48}) {
      for (int64_t begin = 0; begin + rows <= all.m; begin += rows + 13) {
        Problem part = all;
        const auto cut = [&](auto& values, int64_t width) {
          if (!values.empty()) values = {values.begin() + begin * width, values.begin() + (begin + rows) * width};
        };
        part.m = rows;
        cut(part.x, all.k);
        cut(part.xq, all.k);
        cut(part.x_scale, 1);
        cut(part.residual, all.n);
        ImmediateDevice device(1 + static_cast<int32_t>(begin % 7));
        const std::vector<float> its = RunGemm(device, part, Epilogue::kVectors, [](Device& d, const auto& problem, const auto* floats) {
          if (!LaunchGemv(d, problem, floats)) LaunchGemm(d, problem);
        });
        ExpectSameBits({y.begin() + begin * all.n, y.begin() + (begin + rows) * all.n}, its, std::to_string(rows) + " rows");
      }
    }
  }
}

TEST_P(LinearKernels, DeepSumsOfInt8AreExact) {
  for (const auto& [m, k] : {std::pair<int64_t, int64_t>{1, 65536}, {3, 65536}, {1, 65537}, {3, 131200}}) {
    Problem p = MakeProblem(m, 18, k, LANES_S8, 7);
    // The largest sums of all.
    std::fill(p.xq.begin(), p.xq.begin() + k, int8_t{-128});
    std::fill(p.wq.begin(), p.wq.begin() + 2 * k, int8_t{-128});
    p.xq[5] = 127;
    ImmediateDevice device(4);
    const std::vector<float> y = RunGemm(device, p, Epilogue::kVectors, [&](Device& d, const auto& problem, const auto* floats) {
      const bool taken = LaunchGemv(d, problem, floats);
      EXPECT_EQ(taken, m == 1 && k == 65536);
      if (!taken) LaunchGemm(d, problem);
    });
    ExpectRight(p, y, Epilogue::kVectors);
  }
}

TEST_P(LinearKernels, ExactSumsHaveTheBitsOfTheContract) {
  const struct {
    int64_t m, n, k;
    int32_t multiprocessors, x_pad;
  } shapes[] = {{1, 33, 2500, 4, 0}, {2, 16, 256, 4, 0}, {3, 20, 257, 4, 3},  {5, 40, 511, 4, 0},   {13, 17, 1030, 4, 0},
                {70, 65, 300, 4, 0}, {70, 65, 300, 1, 4}, {130, 129, 37, 1, 1}, {17, 5, 1023, 4, 0}, {150, 140, 513, 1, 0}};
  uint64_t stream = 100;
  for (const auto& shape : shapes) {
    for (const int32_t dtype : {LANES_F32, LANES_BF16, LANES_F16}) {
      Problem p = MakeProblem(shape.m, shape.n, shape.k, dtype, ++stream);
      // Products that vanish: sums of -0.
      std::fill(p.x.begin(), p.x.begin() + p.k, -1e-40f);
      std::fill(p.weight.begin(), p.weight.begin() + p.k, dtype == LANES_F16 ? 0.0f : 1e-30f);
      if (dtype == LANES_BF16) {
        for (float& w : p.weight) w = reference::Bf16ToFloat(reference::FloatToBf16(w));
      }
      ImmediateDevice device(shape.multiprocessors);
      const std::vector<unsigned char> rows = WeightRows(p);
      LinearArgs args = {};
      args.weight.rows = p.n;
      args.weight.cols = p.k;
      args.weight.dtype = dtype;
      args.weight.element_bytes = dtype == LANES_F32 ? 4 : 2;
      args.weight.padded_cols = RowBytes(p) / args.weight.element_bytes;
      args.weight.data = reinterpret_cast<char*>(Put(device, rows));
      args.m = p.m;
      args.x_stride = p.k + shape.x_pad;
      std::vector<float> x(static_cast<size_t>((p.m - 1) * args.x_stride + p.k), std::nanf(""));
      for (int64_t i = 0; i < p.m; ++i) {
        for (int64_t c = 0; c < p.k; ++c) x[static_cast<size_t>(i * args.x_stride + c)] = p.x[static_cast<size_t>(i * p.k + c)];
      }
      args.x = Put(device, x);
      EpilogueArgs e = {};
      e.m = p.m;
      e.n = p.n;
      e.y_stride = p.n;
      e.y = device.Scratch<float>(p.m * p.n);
      e.vectors = p.n % 4 == 0;
      LaunchExact(device, args, e);
      std::vector<float> y(static_cast<size_t>(p.m * p.n)), expected;
      device.Download(y.data(), e.y, static_cast<int64_t>(y.size()) * 4);
      for (int64_t i = 0; i < p.m; ++i) {
        for (int64_t j = 0; j < p.n; ++j) {
          float total = 0;
          for (int64_t begin = 0; begin < p.k; begin += 256) {
            float sum = 0;
            for (int64_t c = begin; c < p.k && c < begin + 256; ++c) {
              sum = std::fma(p.x[static_cast<size_t>(i * p.k + c)], p.weight[static_cast<size_t>(j * p.k + c)], sum);
            }
            total = begin == 0 ? sum : total + sum;
          }
          expected.push_back(total);
        }
      }
      ExpectSameBits(expected, y, Name(p));
    }
  }
}

// Of y, on any CPU: an activation rounds as it does there.
TEST(LinearActivations, HaveTheBitsOfTheCpu) {
  constexpr int64_t kCount = 20000;
  Random random(1);
  std::vector<float> inputs = {0.0f, -0.0f, INFINITY, -INFINITY, std::nanf(""), 0.625f, 0.70710677f, 88.8f, -88.8f, -104.0f};
  while (inputs.size() < kCount) {
    // Any magnitude, then those where something happens.
    const auto bits = static_cast<uint32_t>(random.Next());
    float any;
    memcpy(&any, &bits, 4);
    inputs.push_back(any);
    inputs.push_back(random.Uniform() * 16);
  }
  inputs.resize(kCount);
  lanes_runtime_params runtime_params = {};
  runtime_params.size = sizeof runtime_params;
  runtime_params.threads = 1;
  runtime_params.isa = LANES_ISA_AVX2;
  lanes_runtime* runtime = nullptr;
  ASSERT_EQ(lanes_runtime_create(&runtime_params, &runtime), LANES_OK) << lanes_last_error();
  lanes_weight_params weight_params = {};
  weight_params.size = sizeof weight_params;
  weight_params.rows = kCount;
  weight_params.cols = 1;
  weight_params.dtype = LANES_F32;
  lanes_weight* weight = nullptr;
  ASSERT_EQ(lanes_weight_create(&weight_params, &weight), LANES_OK) << lanes_last_error();
  lanes_weight_pack_params pack = {};
  pack.size = sizeof pack;
  pack.weight = weight;
  pack.src = inputs.data();
  pack.src_bytes = inputs.size() * 4;
  pack.src_dtype = LANES_F32;
  pack.row_count = kCount;
  pack.col_count = 1;
  ASSERT_EQ(lanes_weight_pack(runtime, &pack), LANES_OK) << lanes_last_error();
  Problem p = {};
  p.n = kCount;
  p.k = 1;
  p.dtype = LANES_F32;
  p.weight = inputs;
  const std::vector<float> one(17, 1.0f);
  // A single row, and enough for a tile, whose epilogue takes four at a time.
  for (const int64_t m : {1, 17}) {
    for (int32_t activation = LANES_ACTIVATION_NONE; activation <= LANES_ACTIVATION_TANH; ++activation) {
      std::vector<float> expected(static_cast<size_t>(m * kCount)), y(expected.size());
      lanes_linear_params params = {};
      params.size = sizeof params;
      params.weight = weight;
      params.m = m;
      params.x = one.data();
      params.x_len = one.size();
      params.x_stride = 1;
      params.y = expected.data();
      params.y_len = expected.size();
      params.y_stride = kCount;
      params.activation = activation;
      ASSERT_EQ(lanes_linear(runtime, &params), LANES_OK) << lanes_last_error();
      ImmediateDevice device(132);
      LinearArgs args = {};
      args.weight.rows = kCount;
      args.weight.cols = 1;
      args.weight.dtype = LANES_F32;
      args.weight.element_bytes = 4;
      args.weight.padded_cols = 32;
      args.weight.data = reinterpret_cast<char*>(Put(device, WeightRows(p)));
      args.m = m;
      args.x = Put(device, one);
      args.x_stride = 1;
      EpilogueArgs e = {};
      e.m = m;
      e.n = kCount;
      e.y_stride = kCount;
      e.y = device.Scratch<float>(m * kCount);
      e.activation = activation;
      e.vectors = true;
      LaunchExact(device, args, e);
      device.Download(y.data(), e.y, m * kCount * 4);
      for (size_t i = 0; i < y.size(); ++i) {
        if (std::isnan(expected[i]) && std::isnan(y[i])) continue;
        ASSERT_EQ(memcmp(&expected[i], &y[i], 4), 0) << "activation " << activation << " of " << inputs[i % kCount] << ": " << expected[i]
                                                     << " and " << y[i];
      }
    }
  }
  EXPECT_EQ(lanes_weight_destroy(weight), LANES_OK);
  EXPECT_EQ(lanes_runtime_destroy(runtime), LANES_OK);
}

}  // namespace
}  // namespace lanes::cuda
