#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

#include "cpu/scalar.h"
#include "support/lanes_test.h"

namespace lanes_test {
namespace {

constexpr int32_t kDtypes[] = {LANES_F32, LANES_BF16, LANES_F16};

struct Shape {
  int64_t m, n, k;
};

struct Epilogue {
  bool bias = false, residual = false, in_place = false;
  int32_t activation = LANES_ACTIVATION_NONE;
};

struct Problem {
  Shape shape;
  int32_t dtype;
  int32_t compute = LANES_COMPUTE_EXACT;
  Epilogue epilogue;
  std::vector<float> x, weight, bias, residual;  // dense; weight as dtype stores it
};

Problem MakeProblem(const Shape& s, int32_t dtype, const Epilogue& epilogue, bool integers, uint64_t stream) {
  Random random(stream);
  const auto values = [&](int64_t count) { return integers ? random.SmallIntegers(count, 4) : random.Floats(count); };
  Problem p{s, dtype, LANES_COMPUTE_EXACT, epilogue, {}, {}, {}, {}};
  p.x = values(s.m * s.k);
  p.weight = RoundTo(dtype, values(s.n * s.k));
  if (epilogue.bias) p.bias = values(s.n);
  if (epilogue.residual || epilogue.in_place) p.residual = values(s.m * s.n);
  return p;
}

struct Layout {
  int64_t x_pad = 0, y_pad = 0, offset = 0;
  bool x_bf16 = false, y_bf16 = false;  // the rows' type; in place means beside it then
};

std::vector<uint16_t> Halves(const std::vector<float>& values) {
  std::vector<uint16_t> halves;
  for (const float v : values) halves.push_back(lanes::reference::FloatToBf16(v));
  return halves;
}

std::vector<float> Strided(const std::vector<float>& dense, int64_t rows, int64_t cols, int64_t stride) {
  std::vector<float> out(rows > 0 ? (rows - 1) * stride + cols : 0, std::nanf(""));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) out[r * stride + c] = dense[r * cols + c];
  }
  return out;
}

// Runs the problem with inputs that end at a forbidden page, and returns y.
std::vector<float> RunLinear(lanes_runtime* runtime, const lanes_weight* weight, const Problem& p, const Layout& layout = {}) {
  const auto [m, n, k] = p.shape;
  const int64_t x_stride = k + layout.x_pad, y_stride = n + layout.y_pad;
  std::vector<float> x_values = Strided(p.x, m, k, x_stride);
  // NaN in front and between: what is not x must not count.
  x_values.insert(x_values.begin(), layout.offset, std::nanf(""));
  const GuardedInput<float> x(layout.x_bf16 ? std::vector<float>() : x_values), bias(p.bias);
  const GuardedInput<uint16_t> x_bf16(layout.x_bf16 ? Halves(x_values) : std::vector<uint16_t>());
  const GuardedInput<float> residual(Strided(p.residual, p.residual.empty() ? 0 : m, n, n));
  FloatOrBf16Output y(layout.y_bf16, m, n, y_stride, layout.offset);
  lanes_linear_params params = {};
  params.size = sizeof params;
  params.weight = weight;
  params.m = m;
  if (layout.x_bf16) {
    params.x_bf16 = x_bf16.data() + layout.offset;
    params.x_bf16_len = x_bf16.size() - layout.offset;
    params.x_bf16_stride = x_stride;
  } else {
    params.x = x.data() + layout.offset;
    params.x_len = x.size() - layout.offset;
    params.x_stride = x_stride;
  }
  if (p.epilogue.bias) {
    params.bias = bias.data();
    params.bias_len = bias.size();
  }
  if (p.epilogue.in_place && !layout.y_bf16) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) y.floats.Set(i, j, p.residual[i * n + j]);
    }
    params.residual = y.floats.data();
    params.residual_len = y.floats.size();
    params.residual_stride = y_stride;
  } else if (!p.residual.empty()) {
    params.residual = residual.data();
    params.residual_len = residual.size();
    params.residual_stride = n;
  }
  y.Give(&params.y, &params.y_len, &params.y_stride, &params.y_bf16, &params.y_bf16_len, &params.y_bf16_stride);
  params.activation = p.epilogue.activation;
  params.compute = p.compute;
  EXPECT_LANES_OK(lanes_linear(runtime, &params));
  return y.Take();
}

// The computes that a weight's type may have.
std::vector<int32_t> ComputesOf(int32_t dtype) {
  if (dtype == LANES_BF16) return {LANES_COMPUTE_EXACT, LANES_COMPUTE_BF16};
  if (dtype == LANES_F16) return {LANES_COMPUTE_EXACT, LANES_COMPUTE_F16};
  return {LANES_COMPUTE_EXACT};
}

// Row i of x as it is multiplied.
std::vector<double> RoundedRow(const Problem& p, int64_t i) {
  const int64_t k = p.shape.k;
  const float* const x = p.x.data() + i * k;
  std::vector<double> row(x, x + k);
  if (p.compute == LANES_COMPUTE_BF16) {
    for (int64_t c = 0; c < k; ++c) row[c] = RoundTo(LANES_BF16, x[c]);
  } else if (p.compute == LANES_COMPUTE_F16 && kOnGpu) {
    float most = 0;
    for (int64_t c = 0; c < k; ++c) most = std::max(most, std::fabs(x[c]));
    const int power = most == 0 ? 0 : std::min(14 - std::ilogb(most), 126);
    for (int64_t c = 0; c < k; ++c) row[c] = std::ldexp(static_cast<double>(RoundTo(LANES_F16, std::ldexp(x[c], power))), -power);
  }
  return row;
}

// docs/numerics.md: runs of up to 256 fused multiply-adds and the sum of the runs err by at most depth eps sum|x w|; the bias
// and the residual round once each, and an activation's slope is at most 1.13 (GELU), its own error a few eps of its value.
void CheckAgainstOracle(const Problem& p, const std::vector<float>& y, const std::string& what) {
  const auto [m, n, k] = p.shape;
  const double eps = 0x1p-24;
  ASSERT_EQ(static_cast<int64_t>(y.size()), m * n);
  for (int64_t i = 0; i < m; ++i) {
    const std::vector<double> x = RoundedRow(p, i);
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0, size = 0;
      for (int64_t c = 0; c < k; ++c) {
        const double product = x[c] * p.weight[j * k + c];
        sum += product;
        size += std::fabs(product);
      }
      const int64_t depth = std::min<int64_t>(k, 256) + (k + 255) / 256;
      double bound = (depth + 2) * eps * size;
      if (!p.bias.empty()) sum += p.bias[j];
      bound += eps * std::fabs(sum);
      const double value = lanes::reference::Activate(p.epilogue.activation, sum);
      const bool activates = p.epilogue.activation != LANES_ACTIVATION_NONE;
      bound = activates ? 1.13 * bound + 16 * eps * (std::fabs(value) + 0x1p-100) : bound;
      const double expected = value + (p.residual.empty() ? 0.0 : p.residual[i * n + j]);
      bound += eps * std::fabs(expected) + 1e-37;
      const double got = y[i * n + j];
      if (!(std::fabs(got - expected) <= bound)) {
        FAIL() << what << ": y[" << i << ", " << j << "] is " << got << ", expected " << expected << " +- " << bound;
      }
    }
  }
}

std::vector<int32_t> DtypesOf(const Case& c) {
  if (c.Text("dtype") == "all") return {LANES_F32, LANES_BF16, LANES_F16};
  return {ParseDtype(c.Text("dtype"))};
}

Epilogue EpilogueOf(const Case& c) {
  const std::string& letters = c.Text("epilogue");
  const std::string& name = c.Text("activation");
  const char* const names[] = {"none", "silu", "gelu", "gelu_tanh", "relu", "tanh"};
  Epilogue e;
  e.bias = letters.find('b') != std::string::npos;
  e.residual = letters.find('r') != std::string::npos;
  e.in_place = letters.find('i') != std::string::npos;
  e.activation = -1;
  for (int i = 0; i < 6; ++i) {
    if (name == names[i]) e.activation = i;
  }
  EXPECT_GE(e.activation, 0) << name;
  return e;
}

class LinearTest : public IsaTest {};
INSTANTIATE_FOR_ISAS(LinearTest);

TEST_P(LinearTest, MatchesTheOracleOnCases) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("linear.tsv")) {
    const Shape shape = {c.Integer("m"), c.Integer("n"), c.Integer("k")};
    // Plain loops take too long for the models' shapes; those are there for blocking, which the reference has not.
    if (isa() == LANES_ISA_REFERENCE && shape.m * shape.n * shape.k > 1000000) continue;
    const Layout layout = {c.Integer("x_pad"), c.Integer("y_pad"), c.Integer("offset")};
    for (const int32_t dtype : DtypesOf(c)) {
      for (const bool integers : {false, true}) {
        Problem p = MakeProblem(shape, dtype, EpilogueOf(c), integers, ++stream);
        const WeightPtr weight = MakeWeight(runtime.get(), p.weight, shape.n, shape.k, dtype);
        for (const int32_t compute : ComputesOf(dtype)) {
          p.compute = compute;
          // Without the instruction BF16 means EXACT; the oracle rounds x, so only compare where the two agree.
          lanes_runtime_info info = {};
          info.size = sizeof info;
          ASSERT_LANES_OK(lanes_get_runtime_info(runtime.get(), &info));
          if (p.compute == LANES_COMPUTE_BF16 && info.bf16_dot == 0 && !integers) continue;
          const std::string what = c.Describe() + " dtype " + std::to_string(dtype) + " compute " + std::to_string(p.compute);
          const std::vector<float> y = RunLinear(runtime.get(), weight.get(), p, layout);
          CheckAgainstOracle(p, y, what);
          if (HasFailure()) return;
          if (integers && p.epilogue.activation != LANES_ACTIVATION_NONE && p.epilogue.activation != LANES_ACTIVATION_RELU) continue;
          if (!integers) continue;
          // Small integers: no rounding anywhere, so not one bit may differ.
          for (int64_t i = 0; i < shape.m * shape.n; ++i) {
            const int64_t row = i / shape.n, col = i % shape.n;
            double sum = p.bias.empty() ? 0 : p.bias[col];
            for (int64_t k = 0; k < shape.k; ++k) sum += static_cast<double>(p.x[row * shape.k + k]) * p.weight[col * shape.k + k];
            if (p.epilogue.activation == LANES_ACTIVATION_RELU && sum < 0) sum = 0;
            if (!p.residual.empty()) sum += p.residual[i];
            ASSERT_EQ(static_cast<double>(y[i]), sum) << what << " element " << i;
          }
        }
      }
    }
  }
}

TEST_P(LinearTest, RowsDoNotDependOnTheirNumberNorOnThreads) {
  const RuntimePtr one = MakeRuntime(isa(), 1);
  const Shape shape = {67, 200, 601};
  for (const int32_t dtype : kDtypes) {
    for (const int32_t compute : ComputesOf(dtype)) {
      Epilogue epilogue;
      epilogue.bias = true;
      epilogue.activation = LANES_ACTIVATION_GELU;
      Problem p = MakeProblem(shape, dtype, epilogue, false, 77);
      p.compute = compute;
      const WeightPtr weight = MakeWeight(one.get(), p.weight, shape.n, shape.k, dtype);
      const std::vector<float> all = RunLinear(one.get(), weight.get(), p);
      for (const int threads : {2, 3, 8}) {
        const RuntimePtr many = MakeRuntime(isa(), threads);
        EXPECT_TRUE(SameBits(all, RunLinear(many.get(), weight.get(), p))) << threads << " threads, dtype " << dtype;
      }
      for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 19, 24, 25, 40}) {
        for (int64_t begin = 0; begin + rows <= shape.m; begin += rows + 9) {
          Problem part = p;
          part.shape.m = rows;
          part.x.assign(p.x.begin() + begin * shape.k, p.x.begin() + (begin + rows) * shape.k);
          const std::vector<float> y = RunLinear(one.get(), weight.get(), part);
          const std::vector<float> expected(all.begin() + begin * shape.n, all.begin() + (begin + rows) * shape.n);
          ASSERT_TRUE(SameBits(y, expected)) << rows << " rows from " << begin << ", dtype " << dtype << " compute " << compute;
        }
      }
    }
  }
}

// Rows of bfloat16 change nothing but their size: the bits are those of float rows with these values, and of y when it is rounded.
TEST_P(LinearTest, Bf16RowsInAndOut) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  uint64_t stream = 500;
  for (const Case& c : ReadCases("linear.tsv")) {
    const Shape shape = {c.Integer("m"), c.Integer("n"), c.Integer("k")};
    if (shape.m * shape.n * shape.k > (isa() == LANES_ISA_REFERENCE ? 200000 : 20000000)) continue;
    if (TooLarge(3.0 * static_cast<double>(shape.m * shape.n * shape.k), c.Describe())) continue;
    for (const int32_t dtype : DtypesOf(c)) {
      Problem p = MakeProblem(shape, dtype, EpilogueOf(c), false, ++stream);
      p.x = RoundTo(LANES_BF16, p.x);
      const WeightPtr weight = MakeWeight(runtime.get(), p.weight, shape.n, shape.k, dtype);
      for (const int32_t compute : ComputesOf(dtype)) {
        p.compute = compute;
        const std::string what = c.Describe() + " dtype " + std::to_string(dtype) + " compute " + std::to_string(compute);
        Layout layout = {c.Integer("x_pad"), c.Integer("y_pad"), c.Integer("offset")};
        const std::vector<float> y = RunLinear(runtime.get(), weight.get(), p, layout), rounded = RoundTo(LANES_BF16, y);
        layout.x_bf16 = true;
        ASSERT_TRUE(SameBits(y, RunLinear(runtime.get(), weight.get(), p, layout))) << what << ", x of bfloat16";
        layout.y_bf16 = true;
        ASSERT_TRUE(SameBits(rounded, RunLinear(runtime.get(), weight.get(), p, layout))) << what << ", x and y of bfloat16";
        layout.x_bf16 = false;
        ASSERT_TRUE(SameBits(rounded, RunLinear(runtime.get(), weight.get(), p, layout))) << what << ", y of bfloat16";
      }
    }
  }
}

// A row's magnitude is its own affair: f16 overflows nowhere, and what vanishes beside the row's largest does so there alone.
TEST_P(LinearTest, F16TakesRowsOfAnyMagnitude) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  const float factors[] = {1.0f, 1e30f, 1e-30f, 65504.0f, 7e4f, 0x1p-112f, 1e-37f, 0.0f, 1e-20f, 2e38f, 1e-42f, 0x1p-149f};
  constexpr int64_t kFactors = sizeof factors / sizeof factors[0];
  for (const Shape& shape : {Shape{kFactors, 37, 130}, {40, 70, 301}, {5, 33, 1100}, {1, 20, 2100}}) {
    Problem p = MakeProblem(shape, LANES_F16, {}, false, 31);
    // Small enough that float32 has the sums, whose terms reach down to the subnormal weights.
    for (size_t i = 0; i < p.weight.size(); ++i) p.weight[i] *= i % 3 == 0 ? 0x1p-24f : i % 3 == 1 ? 0x1p-16f : 0x1p-8f;
    p.weight = RoundTo(LANES_F16, p.weight);
    for (int64_t i = 0; i < shape.m; ++i) {
      float* const row = &p.x[i * shape.k];
      // Parts of a row differ in size: its largest is not what some threads find.
      for (int64_t c = 0; c < shape.k; ++c) row[c] = std::ldexp(row[c] * factors[i % kFactors], -static_cast<int>(c / 100 % 5));
      // Beside the largest these are subnormal numbers of f16, or nothing.
      for (int64_t c = 3; c < shape.k; c += 7) row[c] *= 0x1p-30f;
      for (int64_t c = 5; c < shape.k; c += 7) row[c] *= 0x1p-36f;
    }
    const WeightPtr weight = MakeWeight(runtime.get(), p.weight, shape.n, shape.k, LANES_F16);
    const std::vector<float> exact = RunLinear(runtime.get(), weight.get(), p);
    p.compute = LANES_COMPUTE_F16;
    const std::vector<float> y = RunLinear(runtime.get(), weight.get(), p);
    CheckAgainstOracle(p, y, "m " + std::to_string(shape.m));
    if (!kOnGpu) {
      EXPECT_TRUE(SameBits(exact, y)) << "on a CPU F16 is EXACT";
    }
    for (int64_t i = 0; i < shape.m; ++i) {
      Problem alone = p;
      alone.shape.m = 1;
      alone.x.assign(p.x.begin() + i * shape.k, p.x.begin() + (i + 1) * shape.k);
      const std::vector<float> its(y.begin() + i * shape.n, y.begin() + (i + 1) * shape.n);
      ASSERT_TRUE(SameBits(its, RunLinear(runtime.get(), weight.get(), alone))) << "row " << i;
    }
  }
}

// Beside infinity or NaN the row's numbers must not overflow themselves: what EXACT makes of the row is what comes out.
TEST_P(LinearTest, F16KeepsInfinityAndNanApart) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const float inf = INFINITY, nan = std::nanf("");
  for (const int64_t m : {7, 21}) {
    Problem p = MakeProblem({m, 18, 100}, LANES_F16, {}, false, 41);
    const int64_t k = p.shape.k;
    for (int64_t j = 0; j < p.shape.n; ++j) p.weight[j * k + 9] = j % 2 == 0 ? 0.5f : -2.0f;
    p.weight[2 * k + 9] = 0;
    for (int64_t i = 0; i < m; ++i) {
      float* const row = &p.x[i * k];
      for (int64_t c = 0; c < k; c += 2) row[c] *= i % 7 == 0 ? 1.0f : 1e36f;
      if (i % 7 == 1) row[9] = inf;
      if (i % 7 == 2) row[9] = -inf;
      if (i % 7 == 3) row[9] = nan;
      if (i % 7 == 4) row[9] = inf, row[10] = -inf;
    }
    const WeightPtr weight = MakeWeight(runtime.get(), p.weight, p.shape.n, k, LANES_F16);
    const std::vector<float> exact = RunLinear(runtime.get(), weight.get(), p);
    p.compute = LANES_COMPUTE_F16;
    const std::vector<float> y = RunLinear(runtime.get(), weight.get(), p);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < p.shape.n; ++j) {
        const float got = y[i * p.shape.n + j], expected = exact[i * p.shape.n + j];
        if (std::isfinite(expected)) {
          ASSERT_TRUE(std::isfinite(got)) << i << ", " << j;
        } else if (std::isinf(expected)) {
          ASSERT_EQ(got, expected) << i << ", " << j;
        } else {
          ASSERT_TRUE(std::isnan(got)) << i << ", " << j;
        }
      }
    }
  }
}

TEST_P(LinearTest, KeepsNegativeZeroInfinityAndNan) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const int64_t n = 20, k = 3;
  for (const int32_t dtype : kDtypes) {
    std::vector<float> ones(n * k, 1.0f);
    const WeightPtr weight = MakeWeight(runtime.get(), ones, n, k, dtype);
    const float inf = INFINITY;
    Problem p{{4, n, k}, dtype, LANES_COMPUTE_EXACT, {}, {inf, 1, 1, inf, -inf, 1, std::nanf(""), 1, 1, 1, 2, 3}, {}, {}, {}};
    const std::vector<float> y = RunLinear(runtime.get(), weight.get(), p);
    for (int64_t j = 0; j < n; ++j) {
      EXPECT_EQ(y[j], inf);
      EXPECT_TRUE(std::isnan(y[n + j]));
      EXPECT_TRUE(std::isnan(y[2 * n + j])) << "one row's NaN belongs to that row";
      EXPECT_EQ(y[3 * n + j], 6.0f) << "and to no other";
    }
  }
}

TEST_P(LinearTest, ThreadsMayShareARuntime) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  const Shape shape = {9, 130, 70};
  const Problem p = MakeProblem(shape, LANES_F32, {}, false, 5);
  const WeightPtr weight = MakeWeight(runtime.get(), p.weight, shape.n, shape.k, LANES_F32);
  const std::vector<float> expected = RunLinear(runtime.get(), weight.get(), p);
  std::vector<std::thread> threads;
  std::vector<int> good(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) good[t] += SameBits(expected, RunLinear(runtime.get(), weight.get(), p));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : good) EXPECT_EQ(count, 25);
}

TEST_P(LinearTest, ArgumentsAreChecked) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const WeightPtr weight = MakeWeight(runtime.get(), std::vector<float>(5 * 3, 1.0f), 5, 3, LANES_F32);
  std::vector<float> x(8, 1.0f), bias(5, 1.0f), residual(12, 1.0f), y(40);
  lanes_linear_params good = {};
  good.size = sizeof good;
  good.weight = weight.get();
  good.m = 2;
  good.x = x.data();
  good.x_len = 8;
  good.x_stride = 4;
  good.bias = bias.data();
  good.bias_len = 5;
  good.residual = residual.data();
  good.residual_len = 12;
  good.residual_stride = 6;
  good.y = y.data();
  good.y_len = 40;
  good.y_stride = 10;
  ASSERT_LANES_OK(lanes_linear(runtime.get(), &good));
  EXPECT_EQ(y[10], 5.0f);
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "params is NULL", lanes_linear(runtime.get(), nullptr));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "runtime is NULL", lanes_linear(nullptr, &good));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "expected a runtime",
                     lanes_linear(reinterpret_cast<lanes_runtime*>(weight.get()), &good));
  const auto bad = [&](const char* text, auto change) {
    lanes_linear_params p = good;
    change(p);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_linear(runtime.get(), &p));
  };
  bad("size", [](auto& p) { p.size = 0; });
  bad("size", [](auto& p) { p.size = sizeof p + 1; });
  bad("weight is NULL", [](auto& p) { p.weight = nullptr; });
  bad("expected a weight", [&](auto& p) { p.weight = reinterpret_cast<lanes_weight*>(runtime.get()); });
  bad("not a live weight", [&](auto& p) { p.weight = reinterpret_cast<lanes_weight*>(x.data()); });
  bad("m is -1", [](auto& p) { p.m = -1; });
  bad("x is NULL", [](auto& p) { p.x = nullptr; });
  bad("x_len is 6", [](auto& p) { p.x_len = 6; });
  bad("x_stride is 2", [](auto& p) { p.x_stride = 2; });
  bad("x_stride is -4", [](auto& p) { p.x_stride = -4; });
  bad("x (", [&](auto& p) { p.x = reinterpret_cast<float*>(reinterpret_cast<char*>(x.data()) + 2); });
  bad("64 bits", [](auto& p) { p.x_stride = INT64_MAX; });
  bad("64 bits", [](auto& p) { p.m = INT64_MAX; });
  bad("bias_len is 4", [](auto& p) { p.bias_len = 4; });
  bad("residual_len is 10", [](auto& p) { p.residual_len = 10; });
  bad("residual_stride is 4", [](auto& p) { p.residual_stride = 4; });
  bad("y is NULL", [](auto& p) { p.y = nullptr; });
  bad("y_len is 14", [](auto& p) { p.y_len = 14; });
  bad("y_stride is 4", [](auto& p) { p.y_stride = 4; });
  bad("64 bits", [](auto& p) { p.y_stride = INT64_MAX / 2; });
  for (const int32_t value : {-1, 6, INT32_MAX}) bad("activation is", [&](auto& p) { p.activation = value; });
  for (const int32_t value : {-1, 2, 3, 4, INT32_MIN}) bad("compute is", [&](auto& p) { p.compute = value; });
  std::vector<uint16_t> halves(40);
  bad("x is NULL", [&](auto& p) { p.x = nullptr, p.x_bf16_len = 40; });
  bad("both x and x_bf16", [&](auto& p) { p.x_bf16 = halves.data(); });
  bad("x_bf16_len is 6", [&](auto& p) { p.x = nullptr, p.x_bf16 = halves.data(), p.x_bf16_len = 6, p.x_bf16_stride = 4; });
  bad("x_bf16_stride is 2", [&](auto& p) { p.x = nullptr, p.x_bf16 = halves.data(), p.x_bf16_len = 40, p.x_bf16_stride = 2; });
  bad("x_bf16 (", [&](auto& p) {
    p.x = nullptr, p.x_bf16_len = 8, p.x_bf16_stride = 4;
    p.x_bf16 = reinterpret_cast<uint16_t*>(reinterpret_cast<char*>(halves.data()) + 1);
  });
  bad("both y and y_bf16", [&](auto& p) { p.y_bf16 = halves.data(); });
  bad("y_bf16_len is 14", [&](auto& p) { p.y = nullptr, p.y_bf16 = halves.data(), p.y_bf16_len = 14, p.y_bf16_stride = 10; });
  bad("y_bf16_stride is 4", [&](auto& p) { p.y = nullptr, p.y_bf16 = halves.data(), p.y_bf16_len = 40, p.y_bf16_stride = 4; });
  bad("y_bf16 and x_bf16 overlap", [&](auto& p) {
    p.x = nullptr, p.x_bf16 = halves.data() + 5, p.x_bf16_len = 8, p.x_bf16_stride = 4;
    p.y = nullptr, p.y_bf16 = halves.data(), p.y_bf16_len = 40, p.y_bf16_stride = 10;
  });
  bad("y_bf16 and residual overlap", [&](auto& p) {
    p.y = nullptr, p.y_bf16 = reinterpret_cast<uint16_t*>(residual.data()), p.y_bf16_len = 24, p.y_bf16_stride = 12;
  });
  bad("expected a bf16 weight", [](auto& p) { p.compute = LANES_COMPUTE_BF16; });
  bad("compute is F16 for a weight of f32: expected an f16 weight", [](auto& p) { p.compute = LANES_COMPUTE_F16; });
  bad("y and x overlap", [&](auto& p) { p.y = x.data() + 5, p.y_len = 15; });
  bad("y and bias overlap", [&](auto& p) { p.bias = y.data() + 3; });
  bad("y and residual overlap without", [&](auto& p) { p.residual = y.data() + 1, p.residual_len = 20, p.residual_stride = 10; });
  bad("y and residual overlap without", [&](auto& p) { p.residual = y.data(), p.residual_len = 20, p.residual_stride = 9; });
  // Column slices of one matrix are not each other: residual in columns 5 to 9 of y's rows.
  lanes_linear_params slices = good;
  slices.residual = y.data() + 5;
  slices.residual_len = 15;
  slices.residual_stride = 10;
  EXPECT_LANES_OK(lanes_linear(runtime.get(), &slices));
}

}  // namespace
}  // namespace lanes_test
