// lanes_linear with int8 weights. What is expected here is not a bound but bits: integer sums, and an epilogue in a fixed order.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/cpu_features.h"
#include "core/runtime.h"
#include "cpu/scalar.h"
#include "ops/linear.h"
#include "ops/weight_storage.h"
#include "support/quantized.h"

#if defined(__x86_64__)
namespace lanes::avx512 {
void LinearS8Run(OpContext& context, const LinearArgs& args);
}
#endif

namespace lanes_test {
namespace {

struct Problem {
  int64_t m = 0, n = 0, k = 0;
  Quantized weight;
  Quantized xq;          // given, or what x must become
  std::vector<float> x;  // empty where xq is given
  float input_scale = 0;
  std::vector<float> bias, residual;
  bool in_place = false;
  int32_t activation = LANES_ACTIVATION_NONE;

  Problem Rows(int64_t begin, int64_t count) const {
    Problem p = *this;
    p.m = count;
    p.xq = xq.Rows(begin, count);
    if (!x.empty()) p.x.assign(x.begin() + begin * k, x.begin() + (begin + count) * k);
    if (!residual.empty()) p.residual.assign(residual.begin() + begin * n, residual.begin() + (begin + count) * n);
    return p;
  }
};

enum class Input { kQuantized, kDynamic, kStatic };

Problem MakeProblem(int64_t m, int64_t n, int64_t k, Input input, const std::string& epilogue, int32_t activation, uint64_t stream) {
  Random random(stream);
  Problem p;
  p.m = m;
  p.n = n;
  p.k = k;
  p.weight = RandomQuantized(&random, n, k);
  if (input == Input::kQuantized) {
    p.xq = RandomQuantized(&random, m, k);
  } else {
    p.x = random.Floats(m * k, 3.0f);
    // A static scale that some values are too large for, on both sides.
    p.input_scale = input == Input::kStatic ? 2.7f / 128 : 0.0f;
    p.xq = QuantizeActivations(p.x, m, k, p.input_scale);
  }
  if (epilogue.find('b') != std::string::npos) p.bias = random.Floats(n, 50.0f);
  p.in_place = epilogue.find('i') != std::string::npos;
  if (p.in_place || epilogue.find('r') != std::string::npos) p.residual = random.Floats(m * n, 50.0f);
  p.activation = activation;
  return p;
}

struct Layout {
  int64_t x_pad = 0, y_pad = 0, offset = 0;
  bool y_bf16 = false;  // the residual stands beside it then
};

// Runs the problem with inputs that end at a forbidden page, and returns y.
std::vector<float> RunLinear(lanes_runtime* runtime, const lanes_weight* weight, const Problem& p, const Layout& layout = {}) {
  const bool quantized = p.x.empty() && p.m > 0;
  const StridedInput<int8_t> xq(p.xq.q, quantized ? p.m : 0, p.k, layout.x_pad, layout.offset);
  const MatrixInput x(p.x, quantized ? 0 : p.m, p.k, layout.x_pad, layout.offset);
  const GuardedInput<float> x_scale(p.xq.scale), bias(p.bias), residual(p.residual);
  const int64_t y_stride = p.n + layout.y_pad;
  FloatOrBf16Output y(layout.y_bf16, p.m, p.n, y_stride, layout.offset);
  lanes_linear_params params = {};
  params.size = sizeof params;
  params.weight = weight;
  params.m = p.m;
  params.compute = LANES_COMPUTE_INT8;
  params.activation = p.activation;
  if (quantized) {
    params.xq = xq.data();
    params.xq_len = xq.size();
    params.xq_stride = xq.stride();
    params.x_scale = x_scale.data();
    params.x_scale_len = x_scale.size();
  } else {
    params.x = x.data();
    params.x_len = x.size();
    params.x_stride = x.stride();
    params.input_scale = p.input_scale;
  }
  if (!p.bias.empty()) {
    params.bias = bias.data();
    params.bias_len = bias.size();
  }
  if (p.in_place && !layout.y_bf16) {
    FillOutput(&y.floats, p.residual, p.m, p.n);
    params.residual = y.floats.data();
    params.residual_len = y.floats.size();
    params.residual_stride = y_stride;
  } else if (!p.residual.empty()) {
    params.residual = residual.data();
    params.residual_len = residual.size();
    params.residual_stride = p.n;
  }
  y.Give(&params.y, &params.y_len, &params.y_stride, &params.y_bf16, &params.y_bf16_len, &params.y_bf16_stride);
  EXPECT_LANES_OK(lanes_linear(runtime, &params));
  return y.Take();
}

int64_t Sum(const Problem& p, int64_t i, int64_t j) {
  int64_t sum = 0;
  for (int64_t c = 0; c < p.k; ++c) sum += int64_t{p.xq.At(i, c)} * p.weight.At(j, c);
  return sum;
}

bool SameNumber(float a, float b) { return memcmp(&a, &b, 4) == 0 || (std::isnan(a) && std::isnan(b)); }

// Bit for bit, in the order that lanes.h states; with an activation that rounds, to a few units of its value. And against
// float64, within the roundings of that order.
void CheckResult(const Problem& p, const std::vector<float>& y, const std::string& what) {
  const double eps = 0x1p-24;
  ASSERT_EQ(static_cast<int64_t>(y.size()), p.m * p.n);
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      const int64_t sum = Sum(p, i, j);
      const float scale = p.xq.scale[i] * p.weight.scale[j];
      float value = static_cast<float>(sum) * scale;
      double exact = static_cast<double>(sum) * p.xq.scale[i] * p.weight.scale[j];
      double bound = 3 * eps * std::fabs(exact);
      if (!p.bias.empty()) {
        value += p.bias[j];
        exact += p.bias[j];
        bound += eps * std::fabs(exact);
      }
      exact = lanes::reference::Activate(p.activation, exact);
      bound = 1.13 * bound + (p.activation == LANES_ACTIVATION_NONE ? 0 : 16 * eps * (std::fabs(exact) + 0x1p-100));
      const bool rounds = p.activation != LANES_ACTIVATION_NONE && p.activation != LANES_ACTIVATION_RELU;
      if (p.activation == LANES_ACTIVATION_RELU && value < 0) value = 0;
      if (!p.residual.empty()) {
        value = p.residual[i * p.n + j] + value;
        exact += p.residual[i * p.n + j];
        bound += eps * std::fabs(exact);
      }
      const float got = y[i * p.n + j];
      if (!rounds) {
        ASSERT_TRUE(SameNumber(got, value)) << what << ": y[" << i << ", " << j << "] is " << got << ", expected " << value;
      }
      if (!std::isnan(exact)) {
        ASSERT_LE(std::fabs(got - exact), bound + 1e-37) << what << ": y[" << i << ", " << j << "]";
      }
    }
  }
}

class LinearS8Test : public IsaTest {};
INSTANTIATE_FOR_ISAS(LinearS8Test);

TEST_P(LinearS8Test, EqualsTheDefinitionOnCases) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("linear_s8.tsv")) {
    const std::string& kind = c.Text("input");
    const Input input = kind == "q" ? Input::kQuantized : kind == "d" ? Input::kDynamic : Input::kStatic;
    const Problem p = MakeProblem(c.Integer("m"), c.Integer("n"), c.Integer("k"), input, c.Text("epilogue"),
                                  ParseActivation(c.Text("activation")), ++stream);
    const WeightPtr weight = MakeWeight(runtime.get(), p.weight);
    Layout layout = {c.Integer("x_pad"), c.Integer("y_pad"), c.Integer("offset")};
    const std::vector<float> y = RunLinear(runtime.get(), weight.get(), p, layout);
    CheckResult(p, y, c.Describe());
    layout.y_bf16 = true;
    ASSERT_TRUE(SameBits(RoundTo(LANES_BF16, y), RunLinear(runtime.get(), weight.get(), p, layout))) << c.Describe() << ", y of bfloat16";
    if (HasFailure()) return;
  }
}

// Sums that fit neither 32 bits nor, taken as unsigned by signed bytes, half of the depth; and those that cancel to a few units,
// where a lost one would show.
TEST_P(LinearS8Test, SumsAreExactForEveryValueAndDepth) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  const int64_t n = 19;
  for (const int64_t k : {1, 2, 3, 4, 5, 7, 8, 64, 65, 127, 255, 1021, 4096, 65535, 65536, 65537, 70000, 131072, 140000, 200003}) {
    for (const int64_t m : {1, 2, 7}) {
      Problem p;
      p.m = m;
      p.n = n;
      p.k = k;
      p.xq = {m, k, std::vector<int8_t>(m * k), std::vector<float>(m, 1.0f)};
      p.weight = {n, k, std::vector<int8_t>(n * k), std::vector<float>(n, 1.0f)};
      const int extremes[] = {-128, 127, -127, -128, 1, 0, -1};
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t c = 0; c < k; ++c) p.xq.q[i * k + c] = static_cast<int8_t>(extremes[i]);
      }
      for (int64_t j = 0; j < n; ++j) {
        for (int64_t c = 0; c < k; ++c) {
          // From row 4 on large values that change sign half way, and leave a small sum.
          const int value = j < 4 ? extremes[j] : c == 0 ? static_cast<int>(j) : c <= (k - 1) / 2 ? -128 : c < (k - 1) / 2 * 2 ? 127 : 3;
          p.weight.q[j * k + c] = static_cast<int8_t>(j % 2 == 0 || j < 4 ? value : -1 - value);
        }
      }
      const WeightPtr weight = MakeWeight(runtime.get(), p.weight);
      CheckResult(p, RunLinear(runtime.get(), weight.get(), p), "m " + std::to_string(m) + " k " + std::to_string(k));
      if (HasFailure()) return;
    }
  }
}

TEST_P(LinearS8Test, RowsDoNotDependOnTheirNumberNorOnThreads) {
  const RuntimePtr one = MakeRuntime(isa(), 1);
  for (const Input input : {Input::kQuantized, Input::kDynamic, Input::kStatic}) {
    const Problem p = MakeProblem(67, 200, 601, input, "br", LANES_ACTIVATION_GELU, 77);
    const WeightPtr weight = MakeWeight(one.get(), p.weight);
    const std::vector<float> all = RunLinear(one.get(), weight.get(), p);
    for (const int threads : {2, 3, 8}) {
      const RuntimePtr many = MakeRuntime(isa(), threads);
      EXPECT_TRUE(SameBits(all, RunLinear(many.get(), weight.get(), p))) << threads << " threads";
    }
    for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 16, 33, 64}) {
      for (int64_t begin = 0; begin + rows <= p.m; begin += rows + 9) {
        const std::vector<float> expected(all.begin() + begin * p.n, all.begin() + (begin + rows) * p.n);
        ASSERT_TRUE(SameBits(RunLinear(one.get(), weight.get(), p.Rows(begin, rows)), expected)) << rows << " rows from " << begin;
      }
    }
  }
}

TEST_P(LinearS8Test, FloatRowsGiveTheBitsOfTheirQuantizedRows) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  for (const float static_scale : {0.0f, 0.01f, 1e-30f, 1e30f}) {
    for (const float size : {1.0f, 1e-38f, 3e-41f, 1e-45f, 1e38f}) {
      Problem p = MakeProblem(9, 33, 131, Input::kDynamic, "-", LANES_ACTIVATION_NONE, 5);
      for (float& x : p.x) x *= size;
      p.input_scale = static_scale;
      p.xq = QuantizeActivations(p.x, p.m, p.k, static_scale);
      const WeightPtr weight = MakeWeight(runtime.get(), p.weight);
      const std::vector<float> y = RunLinear(runtime.get(), weight.get(), p);
      p.x.clear();
      EXPECT_TRUE(SameBits(y, RunLinear(runtime.get(), weight.get(), p))) << size << " with the static scale " << static_scale;
    }
  }
}

// Half way between two integers, at both ends, and just beside.
TEST_P(LinearS8Test, RoundsHalfToEven) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  Problem p;
  p.m = 1;
  p.n = p.k = 512;
  p.x.assign(p.k, 0.0f);
  for (int64_t c = 0; c < p.k; ++c) {
    const float half = static_cast<float>(c - 256) / 2 + (c % 3 == 0 ? 0.0f : 0.25f);
    p.x[c] = half > 127 ? 127 : half < -127 ? -127 : half;
  }
  p.weight = {p.n, p.k, std::vector<int8_t>(p.n * p.k), std::vector<float>(p.n, 1.0f)};
  for (int64_t j = 0; j < p.n; ++j) p.weight.q[j * p.k + j] = 1;
  const WeightPtr weight = MakeWeight(runtime.get(), p.weight);
  for (const float static_scale : {0.0f, 1.0f}) {
    p.input_scale = static_scale;
    const std::vector<float> y = RunLinear(runtime.get(), weight.get(), p);
    for (int64_t c = 0; c < p.k; ++c) ASSERT_EQ(y[c], std::nearbyint(p.x[c])) << p.x[c];
  }
}

TEST_P(LinearS8Test, ZeroNanAndInfinityStayInTheirRows) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const float inf = INFINITY, nan = std::nanf("");
  for (const int64_t k : {1, 3, 40, 1300}) {
    Problem p = MakeProblem(9, 70, k, Input::kDynamic, "b", LANES_ACTIVATION_NONE, 6);
    const auto row = [&](int64_t i) { return p.x.begin() + i * k; };
    std::fill(row(1), row(2), 0.0f);
    std::fill(row(3), row(4), -0.0f);
    p.x[4 * k + k / 2] = nan;
    p.x[5 * k + k - 1] = inf;
    p.x[7 * k] = -inf;
    for (const float static_scale : {0.0f, 0.02f}) {
      p.input_scale = static_scale;
      p.xq = QuantizeActivations(p.x, p.m, k, static_scale);
      const WeightPtr weight = MakeWeight(runtime.get(), p.weight);
      const std::vector<float> y = RunLinear(runtime.get(), weight.get(), p);
      CheckResult(p, y, "k " + std::to_string(k));
      for (int64_t j = 0; j < p.n; ++j) {
        EXPECT_EQ(y[1 * p.n + j], p.bias[j]);
        EXPECT_EQ(y[3 * p.n + j], p.bias[j]);
        EXPECT_TRUE(std::isnan(y[4 * p.n + j])) << "a row's NaN shows";
        EXPECT_EQ(std::isnan(y[5 * p.n + j]), static_scale == 0) << "infinity saturates against a static scale";
        EXPECT_EQ(std::isnan(y[7 * p.n + j]), static_scale == 0);
        for (const int64_t i : {0, 2, 6, 8}) EXPECT_FALSE(std::isnan(y[i * p.n + j])) << "and in no other";
      }
    }
  }
}

#if defined(__x86_64__)
// What CPUs with AVX-512 but without its int8 dot products run, which this one may never choose.
TEST(LinearS8WithoutDotProducts, EqualsTheDefinition) {
  if (kOnGpu || !lanes::CpuFeatures().avx512) GTEST_SKIP() << "no AVX-512 here";
  const RuntimePtr runtime = MakeRuntime(LANES_ISA_AVX512, 2);
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{1, 70, 601}, {7, 33, 2051}, {29, 130, 64}, {13, 17, 70000}}) {
    Problem p = MakeProblem(m, n, k, Input::kQuantized, "b", LANES_ACTIVATION_NONE, 8);
    if (k > 60000) std::fill(p.xq.q.begin(), p.xq.q.end(), -128), std::fill(p.weight.q.begin(), p.weight.q.end(), -128);
    const WeightPtr weight = MakeWeight(runtime.get(), p.weight);
    std::vector<float> y(m * n);
    lanes::LinearArgs args = {};
    args.weight = weight->view;
    args.m = m;
    args.bias = p.bias.data();
    args.y = y.data();
    args.y_stride = n;
    args.xq = p.xq.q.data();
    args.xq_stride = k;
    args.x_scale = p.xq.scale.data();
    lanes::Turn turn(*runtime, lanes::OpId::linear);
    lanes::avx512::LinearS8Run(turn.context(), args);
    CheckResult(p, y, "k " + std::to_string(k));
  }
}
#endif

TEST_P(LinearS8Test, ArgumentsAreChecked) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  Random random;
  const WeightPtr weight = MakeWeight(runtime.get(), RandomQuantized(&random, 5, 3));
  const WeightPtr floats = MakeWeight(runtime.get(), random.Floats(15), 5, 3, LANES_F32);
  std::vector<int8_t> xq(8, 1);
  std::vector<float> x_scale(2, 1.0f), x(8, 1.0f), y(40);
  lanes_linear_params good = {};
  good.size = sizeof good;
  good.weight = weight.get();
  good.m = 2;
  good.xq = xq.data();
  good.xq_len = 8;
  good.xq_stride = 4;
  good.x_scale = x_scale.data();
  good.x_scale_len = 2;
  good.y = y.data();
  good.y_len = 40;
  good.y_stride = 10;
  good.compute = LANES_COMPUTE_INT8;
  ASSERT_LANES_OK(lanes_linear(runtime.get(), &good));
  const auto bad = [&](const char* text, auto change) {
    lanes_linear_params p = good;
    change(p);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_linear(runtime.get(), &p));
  };
  const auto use_x = [&](auto& p) {
    p.xq = nullptr;
    p.x_scale = nullptr;
    p.x = x.data();
    p.x_len = 8;
    p.x_stride = 4;
  };
  lanes_linear_params from_floats = good;
  use_x(from_floats);
  ASSERT_LANES_OK(lanes_linear(runtime.get(), &from_floats));
  bad("INT8 (2) goes with s8 weights", [](auto& p) { p.compute = LANES_COMPUTE_EXACT; });
  bad("expected a bf16 weight", [](auto& p) { p.compute = LANES_COMPUTE_BF16; });
  bad("INT8 (2) goes with s8 weights", [&](auto& p) { use_x(p), p.weight = floats.get(); });
  bad("compute is F16 for a weight of s8", [](auto& p) { p.compute = LANES_COMPUTE_F16; });
  bad("compute is 4", [](auto& p) { p.compute = 4; });
  bad("both x and xq", [&](auto& p) { p.x = x.data(); });
  std::vector<uint16_t> halves(8);
  bad("both x_bf16 and xq", [&](auto& p) { p.x_bf16 = halves.data(); });
  bad("x_bf16 is given with compute INT8", [&](auto& p) {
    use_x(p), p.x = nullptr, p.x_bf16 = halves.data(), p.x_bf16_len = 8, p.x_bf16_stride = 4;
  });
  bad("xq is given: expected compute INT8", [&](auto& p) { p.weight = floats.get(), p.compute = LANES_COMPUTE_EXACT; });
  bad("x is NULL", [&](auto& p) { use_x(p), p.x = nullptr; });
  bad("x_len is 6", [&](auto& p) { use_x(p), p.x_len = 6; });
  bad("x_scale is given without xq", [&](auto& p) { use_x(p), p.x_scale = x_scale.data(); });
  bad("xq_len is 6", [](auto& p) { p.xq_len = 6; });
  bad("xq_stride is 2", [](auto& p) { p.xq_stride = 2; });
  bad("64 bits", [](auto& p) { p.xq_stride = INT64_MAX; });
  bad("x_scale is NULL", [](auto& p) { p.x_scale = nullptr; });
  bad("x_scale_len is 1", [](auto& p) { p.x_scale_len = 1; });
  bad("expected 0 beside xq", [](auto& p) { p.input_scale = 0.5f; });
  for (const float scale : {-1.0f, INFINITY, std::nanf("")}) {
    bad("input_scale is", [&](auto& p) { use_x(p), p.input_scale = scale; });
  }
  bad("input_scale is given: expected compute INT8", [&](auto& p) {
    use_x(p), p.weight = floats.get(), p.compute = LANES_COMPUTE_EXACT, p.input_scale = 1;
  });
  bad("y and xq overlap", [&](auto& p) { p.xq = reinterpret_cast<int8_t*>(y.data() + 2); });
  bad("y and x_scale overlap", [&](auto& p) { p.x_scale = y.data() + 3; });
}

}  // namespace
}  // namespace lanes_test
