#include <functional>

#include "support/quantized.h"

namespace lanes_test {
namespace {

struct NormProblem {
  int32_t kind;
  int64_t rows, cols;
  bool bias, residual, sum, y_is_x, y_is_residual;
  int64_t x_pad, y_pad, offset;
  float epsilon = 1e-5f;
  std::vector<float> x, r, weight, b;
};

NormProblem MakeNorm(const Case& c, uint64_t stream) {
  NormProblem p;
  p.kind = c.Text("kind") == "layer" ? LANES_NORM_LAYER : LANES_NORM_RMS;
  p.rows = c.Integer("rows");
  p.cols = c.Integer("cols");
  p.bias = c.Text("bias") == "b";
  p.residual = c.Text("inputs").find('r') != std::string::npos;
  p.sum = c.Text("inputs").find('s') != std::string::npos;
  p.y_is_x = c.Text("in_place") == "x";
  p.y_is_residual = p.residual && c.Text("in_place") == "r";
  p.x_pad = c.Integer("x_pad");
  p.y_pad = c.Integer("y_pad");
  p.offset = c.Integer("offset");
  Random random(stream);
  p.x = random.Floats(p.rows * p.cols, 3.0f);
  for (float& x : p.x) x += 0.5f;
  p.r = random.Floats(p.rows * p.cols);
  p.weight = random.Floats(p.cols, 2.0f);
  p.b = random.Floats(p.cols);
  return p;
}

struct NormResult {
  std::vector<float> y, sum;
  Quantized quantized;
  std::vector<float> bf16;  // widened
};

// Which outputs are wanted: y, its quantized rows, its rounded rows.
struct NormOutputs {
  bool y = true, quantized = false;
  float output_scale = 0;
  bool bf16 = false;
};

NormResult RunNorm(lanes_runtime* runtime, const NormProblem& p, const NormOutputs& outputs = {}) {
  const MatrixInput x(p.x, p.rows, p.cols, p.x_pad, p.offset), r(p.r, p.rows, p.cols, p.x_pad, p.offset);
  const GuardedInput<float> weight(p.weight), bias(p.b);
  GuardedOutput y(p.rows, p.cols, p.cols + p.y_pad, p.offset), sum(p.rows, p.cols, p.cols + p.y_pad, p.offset);
  lanes_norm_params params = {};
  params.size = sizeof params;
  params.kind = p.kind;
  params.epsilon = p.epsilon;
  params.rows = p.rows;
  params.cols = p.cols;
  params.x = x.data();
  params.x_len = x.size();
  params.x_stride = x.stride();
  params.weight = weight.data();
  params.weight_len = weight.size();
  if (p.bias) {
    params.bias = bias.data();
    params.bias_len = bias.size();
  }
  params.y = y.data();
  params.y_len = y.size();
  params.y_stride = p.cols + p.y_pad;
  if (p.residual) {
    params.residual = r.data();
    params.residual_len = r.size();
    params.residual_stride = r.stride();
  }
  if (p.sum) {
    params.sum = sum.data();
    params.sum_len = sum.size();
    params.sum_stride = p.cols + p.y_pad;
  }
  if (p.y_is_x) {
    FillOutput(&y, p.x, p.rows, p.cols);
    params.x = y.data();
    params.x_len = y.size();
    params.x_stride = params.y_stride;
  } else if (p.y_is_residual) {
    FillOutput(&y, p.r, p.rows, p.cols);
    params.residual = y.data();
    params.residual_len = y.size();
    params.residual_stride = params.y_stride;
  }
  GuardedMatrix<int8_t> yq(p.rows, p.cols, p.cols + p.y_pad, p.offset);
  GuardedOutput y_scale(1, p.rows, p.rows, p.offset);
  if (outputs.quantized) {
    params.yq = yq.data();
    params.yq_len = yq.size();
    params.yq_stride = p.cols + p.y_pad;
    params.y_scale = y_scale.data();
    params.y_scale_len = y_scale.size();
    params.output_scale = outputs.output_scale;
  }
  GuardedMatrix<uint16_t> y_bf16(p.rows, p.cols, p.cols + p.y_pad, p.offset);
  if (outputs.bf16) {
    params.y_bf16 = y_bf16.data();
    params.y_bf16_len = y_bf16.size();
    params.y_bf16_stride = p.cols + p.y_pad;
  }
  if (!outputs.y) params.y = nullptr;
  EXPECT_LANES_OK(lanes_norm(runtime, &params));
  y.CheckSentinels();
  sum.CheckSentinels();
  yq.CheckSentinels();
  y_scale.CheckSentinels();
  y_bf16.CheckSentinels();
  return {y.Dense(), p.sum ? sum.Dense() : std::vector<float>(), {p.rows, p.cols, yq.Dense(), y_scale.Dense()}, WidenBf16(y_bf16.Dense())};
}

// docs/numerics.md.
void CheckAgainstOracle(const NormProblem& p, const NormResult& result, const std::string& what) {
  const double eps = 0x1p-24, additions = p.cols / 32 + 16;
  for (int64_t i = 0; i < p.rows; ++i) {
    std::vector<double> s(p.cols);
    double mean = 0, size = 0, squares = 0;
    for (int64_t j = 0; j < p.cols; ++j) {
      const float sum = p.residual ? p.x[i * p.cols + j] + p.r[i * p.cols + j] : p.x[i * p.cols + j];
      if (p.sum) {
        ASSERT_EQ(result.sum[i * p.cols + j], sum) << what << " sum[" << i << ", " << j << "]";
      }
      s[j] = sum;
      mean += s[j] / p.cols;
      size += std::fabs(s[j]) / p.cols;
    }
    if (p.kind == LANES_NORM_RMS) mean = size = 0;
    for (const double x : s) squares += (x - mean) * (x - mean) / p.cols;
    const double scale = 1 / std::sqrt(squares + p.epsilon);
    for (int64_t j = 0; j < p.cols; ++j) {
      const double normal = (s[j] - mean) * scale, weight = p.weight[j], expected = normal * weight + (p.bias ? p.b[j] : 0);
      const double bound = eps * (additions * std::fabs(weight) * (std::fabs(normal) + scale * size) + 2 * std::fabs(expected));
      const double got = result.y[i * p.cols + j];
      ASSERT_LE(std::fabs(got - expected), bound) << what << " y[" << i << ", " << j << "] is " << got << " not " << expected;
    }
  }
}

class NormTest : public IsaTest {};
INSTANTIATE_FOR_ISAS(NormTest);

TEST_P(NormTest, MatchesTheOracleOnCases) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("norm.tsv")) {
    const NormProblem p = MakeNorm(c, ++stream);
    CheckAgainstOracle(p, RunNorm(runtime.get(), p), c.Describe());
    if (HasFailure()) return;
  }
}

TEST_P(NormTest, BitsDoNotDependOnRowsThreadsOrPlace) {
  const RuntimePtr one = MakeRuntime(isa(), 1), many = MakeRuntime(isa(), 8);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("norm.tsv")) {
    const NormProblem p = MakeNorm(c, ++stream);
    const std::vector<float> all = RunNorm(one.get(), p).y;
    ASSERT_TRUE(SameBits(all, RunNorm(many.get(), p).y)) << c.Describe();
    NormProblem plain = p;
    plain.y_is_x = plain.y_is_residual = plain.sum = false;
    plain.x_pad = plain.y_pad = plain.offset = 0;
    ASSERT_TRUE(SameBits(all, RunNorm(one.get(), plain).y)) << c.Describe() << " in another place";
    for (int64_t i = 0; i < std::min<int64_t>(p.rows, 5); ++i) {
      NormProblem row = p;
      row.rows = 1;
      row.x.assign(p.x.begin() + i * p.cols, p.x.begin() + (i + 1) * p.cols);
      row.r.assign(p.r.begin() + i * p.cols, p.r.begin() + (i + 1) * p.cols);
      const std::vector<float> expected(all.begin() + i * p.cols, all.begin() + (i + 1) * p.cols);
      ASSERT_TRUE(SameBits(RunNorm(one.get(), row).y, expected)) << c.Describe() << " row " << i;
    }
  }
}

TEST_P(NormTest, QuantizedRowsAreThoseOfY) {
  const RuntimePtr one = MakeRuntime(isa(), 1), many = MakeRuntime(isa(), 3);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("norm.tsv")) {
    const NormProblem p = MakeNorm(c, ++stream);
    const std::vector<float> y = RunNorm(one.get(), p).y;
    for (const float output_scale : {0.0f, 0.017f}) {
      const Quantized expected = QuantizeActivations(y, p.rows, p.cols, output_scale);
      const NormResult both = RunNorm(one.get(), p, {true, true, output_scale});
      ASSERT_TRUE(SameBits(both.y, y)) << c.Describe();
      ASSERT_TRUE(both.quantized == expected) << c.Describe() << " beside y, output_scale " << output_scale;
      NormProblem alone = p;
      alone.y_is_x = alone.y_is_residual = false;
      const NormResult only = RunNorm(many.get(), alone, {false, true, output_scale});
      ASSERT_TRUE(only.quantized == expected) << c.Describe() << " without y, output_scale " << output_scale;
      ASSERT_TRUE(SameBits(only.sum, both.sum)) << c.Describe();
    }
  }
}

TEST_P(NormTest, Bf16RowsAreThoseOfYRounded) {
  const RuntimePtr one = MakeRuntime(isa(), 1), many = MakeRuntime(isa(), 3);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("norm.tsv")) {
    const NormProblem p = MakeNorm(c, ++stream);
    const NormResult floats = RunNorm(one.get(), p);
    const std::vector<float> expected = RoundTo(LANES_BF16, floats.y);
    const Quantized quantized = QuantizeActivations(floats.y, p.rows, p.cols, 0);
    NormProblem alone = p;
    alone.y_is_x = alone.y_is_residual = false;
    for (const bool with_y : {true, false}) {
      for (const bool with_yq : {true, false}) {
        const std::string what = c.Describe() + (with_y ? " beside y" : "") + (with_yq ? " beside yq" : "");
        const NormResult got = RunNorm(with_y ? one.get() : many.get(), with_y ? p : alone, {with_y, with_yq, 0, true});
        ASSERT_TRUE(SameBits(got.bf16, expected)) << what;
        ASSERT_TRUE(!with_y || SameBits(got.y, floats.y)) << what;
        ASSERT_TRUE(!with_yq || got.quantized == quantized) << what;
        ASSERT_TRUE(SameBits(got.sum, floats.sum)) << what;
      }
    }
  }
}

TEST_P(NormTest, Bf16RoundsHalfToEvenAndKeepsNan) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  // A row of four equal magnitudes has the norm 1: y is the weight.
  NormProblem p = {};
  p.kind = LANES_NORM_RMS;
  p.rows = 2;
  p.cols = 8;
  p.epsilon = 0;
  p.x.assign(16, 1.0f);
  p.x[9] = std::nanf("");
  p.r.resize(16);
  p.weight = {0x1.01p0f, 0x1.03p0f, 0x1.010002p0f, 0x1.00fffep0f, 0x1.fffffep127f, 0x1.fep127f, -0x1.01p0f, 0x1p-130f};
  const std::vector<float> y = RunNorm(runtime.get(), p).y;
  ASSERT_TRUE(SameBits({y.begin(), y.begin() + 8}, p.weight));
  const std::vector<float> got = RunNorm(runtime.get(), p, {false, false, 0, true}).bf16;
  const std::vector<float> expected = {1.0f, 0x1.04p0f, 0x1.02p0f, 1.0f, INFINITY, 0x1.fep127f, -1.0f, 0x1p-130f};
  EXPECT_TRUE(SameBits({got.begin(), got.begin() + 8}, expected));
  for (int64_t i = 8; i < 16; ++i) EXPECT_TRUE(std::isnan(got[i]));
}

TEST_P(NormTest, QuantizedRowsOfZeroAndNan) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  for (const int64_t cols : {1, 5, 16, 33, 200}) {
    NormProblem p = {};
    p.kind = LANES_NORM_RMS;
    p.rows = 4;
    p.cols = cols;
    p.epsilon = 1e-5f;
    Random random(4);
    p.x = random.Floats(p.rows * cols, 3.0f);
    p.r.resize(p.rows * cols);
    p.weight = random.Floats(cols, 2.0f);
    std::fill(p.x.begin() + cols, p.x.begin() + 2 * cols, 0.0f);
    p.x[3 * cols - 1] = std::nanf("");
    p.x[3 * cols] = INFINITY;
    const std::vector<float> y = RunNorm(runtime.get(), p).y;
    for (const float output_scale : {0.0f, 0.017f}) {
      const Quantized result = RunNorm(runtime.get(), p, {false, true, output_scale}).quantized;
      EXPECT_TRUE(result == QuantizeActivations(y, p.rows, cols, output_scale)) << cols;
      EXPECT_EQ(result.scale[1], output_scale);
      EXPECT_TRUE(std::isnan(result.scale[2]) && std::isnan(result.scale[3]));
    }
  }
}

TEST_P(NormTest, SumMayBeTheResidualAndYTheInput) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const int64_t rows = 3, cols = 70;
  Random random(3);
  std::vector<float> x = random.Floats(rows * cols), r = random.Floats(rows * cols);
  const std::vector<float> weight = random.Floats(cols), x_before = x, r_before = r;
  std::vector<float> y(rows * cols), sum(rows * cols);
  lanes_norm_params params = {};
  params.size = sizeof params;
  params.kind = LANES_NORM_RMS;
  params.epsilon = 1e-6f;
  params.rows = rows;
  params.cols = params.x_stride = params.residual_stride = params.y_stride = params.sum_stride = cols;
  params.x = x.data();
  params.residual = r.data();
  params.weight = weight.data();
  params.y = y.data();
  params.sum = sum.data();
  params.x_len = params.residual_len = params.y_len = params.sum_len = rows * cols;
  params.weight_len = cols;
  ASSERT_LANES_OK(lanes_norm(runtime.get(), &params));
  params.y = x.data();
  params.sum = r.data();
  ASSERT_LANES_OK(lanes_norm(runtime.get(), &params));
  EXPECT_TRUE(SameBits(x, y));
  EXPECT_TRUE(SameBits(r, sum));
  x = x_before;
  r = r_before;
  params.y = r.data();
  params.sum = x.data();
  ASSERT_LANES_OK(lanes_norm(runtime.get(), &params));
  EXPECT_TRUE(SameBits(r, y));
  EXPECT_TRUE(SameBits(x, sum));
}

TEST_P(NormTest, RefusesBadArguments) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  std::vector<float> x(12), y(12), w(4);
  lanes_norm_params good = {};
  good.size = sizeof good;
  good.epsilon = 1e-5f;
  good.rows = 3;
  good.cols = good.x_stride = good.y_stride = 4;
  good.x = x.data();
  good.weight = w.data();
  good.y = y.data();
  good.x_len = good.y_len = 12;
  good.weight_len = 4;
  ASSERT_LANES_OK(lanes_norm(runtime.get(), &good));
  const auto refused = [&](const char* text, const std::function<void(lanes_norm_params*)>& change) {
    lanes_norm_params bad = good;
    change(&bad);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_norm(runtime.get(), &bad));
  };
  refused("kind", [](auto* p) { p->kind = 2; });
  refused("epsilon", [](auto* p) { p->epsilon = std::nanf(""); });
  refused("epsilon", [](auto* p) { p->epsilon = -1e-5f; });
  refused("epsilon", [](auto* p) { p->epsilon = INFINITY; });
  refused("rows", [](auto* p) { p->rows = -1; });
  refused("cols", [](auto* p) { p->cols = 0; });
  refused("x_len", [](auto* p) { p->x_len = 11; });
  refused("x", [](auto* p) { p->x = nullptr; });
  refused("x_stride", [](auto* p) { p->x_stride = 3; });
  refused("weight", [](auto* p) { p->weight = nullptr; });
  refused("weight_len", [](auto* p) { p->weight_len = 3; });
  refused("bias_len", [&](auto* p) { p->bias = w.data(); });
  refused("y_len", [](auto* p) { p->y_len = 11; });
  refused("y", [](auto* p) { p->y = nullptr; });
  refused("residual_len", [&](auto* p) { p->residual = x.data(); p->residual_stride = 4; });
  refused("overlap", [&](auto* p) { p->y = x.data() + 1; p->y_len = 11; p->rows = 2; });
  refused("overlap", [&](auto* p) { p->sum = p->y; p->sum_len = 12; p->sum_stride = 4; });
  std::vector<int8_t> yq(12);
  std::vector<float> y_scale(3);
  const auto quantized = [&](lanes_norm_params* p) {
    p->y = nullptr;
    p->yq = yq.data();
    p->yq_len = 12;
    p->yq_stride = 4;
    p->y_scale = y_scale.data();
    p->y_scale_len = 3;
  };
  lanes_norm_params good_quantized = good;
  quantized(&good_quantized);
  EXPECT_LANES_OK(lanes_norm(runtime.get(), &good_quantized));
  refused("yq_len is 11", [&](auto* p) { quantized(p), p->yq_len = 11; });
  refused("yq_stride is 3", [&](auto* p) { quantized(p), p->yq_stride = 3; });
  refused("y_scale is NULL", [&](auto* p) { quantized(p), p->y_scale = nullptr; });
  refused("y_scale_len is 2", [&](auto* p) { quantized(p), p->y_scale_len = 2; });
  refused("output_scale is -1", [&](auto* p) { quantized(p), p->output_scale = -1; });
  refused("output_scale is inf", [&](auto* p) { quantized(p), p->output_scale = INFINITY; });
  refused("yq is NULL, but", [&](auto* p) { p->y_scale = y_scale.data(); });
  refused("yq is NULL, but", [&](auto* p) { p->output_scale = 1; });
  refused("yq and x overlap", [&](auto* p) { quantized(p), p->yq = reinterpret_cast<int8_t*>(x.data() + 1); });
  refused("yq and y overlap", [&](auto* p) { quantized(p), p->y = y.data(), p->yq = reinterpret_cast<int8_t*>(y.data()); });
  refused("yq and y_scale overlap", [&](auto* p) { quantized(p), p->y_scale = reinterpret_cast<float*>(yq.data()); });
  refused("y_scale and weight overlap", [&](auto* p) { quantized(p), p->y_scale = w.data(); });
  std::vector<uint16_t> y_bf16(24);
  const auto narrow = [&](lanes_norm_params* p) {
    p->y = nullptr;
    p->y_bf16 = y_bf16.data();
    p->y_bf16_len = 12;
    p->y_bf16_stride = 4;
  };
  lanes_norm_params good_bf16 = good;
  narrow(&good_bf16);
  EXPECT_LANES_OK(lanes_norm(runtime.get(), &good_bf16));
  refused("y_bf16_len is 11", [&](auto* p) { narrow(p), p->y_bf16_len = 11; });
  refused("y_bf16_stride is 3", [&](auto* p) { narrow(p), p->y_bf16_stride = 3; });
  refused("y_bf16 and x overlap", [&](auto* p) { narrow(p), p->y_bf16 = reinterpret_cast<uint16_t*>(x.data()); });
  refused("y_bf16 and y overlap", [&](auto* p) { narrow(p), p->y = y.data(), p->y_bf16 = reinterpret_cast<uint16_t*>(y.data() + 1); });
  refused("y_bf16 and weight overlap", [&](auto* p) { narrow(p), p->y_bf16 = reinterpret_cast<uint16_t*>(w.data()); });
  refused("y_bf16 and sum overlap", [&](auto* p) {
    narrow(p), p->sum = y.data(), p->sum_len = 12, p->sum_stride = 4, p->y_bf16 = reinterpret_cast<uint16_t*>(y.data());
  });
  refused("y_bf16 and yq overlap", [&](auto* p) { quantized(p), narrow(p), p->yq = reinterpret_cast<int8_t*>(y_bf16.data() + 2); });
  refused("y_bf16 and y_scale overlap", [&](auto* p) {
    quantized(p), narrow(p), p->y_scale = reinterpret_cast<float*>(y_bf16.data());
  });
  refused("64 bits", [](auto* p) { p->rows = INT64_MAX; });
  refused("size", [](auto* p) { p->size = 4; });
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "params", lanes_norm(runtime.get(), nullptr));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "runtime", lanes_norm(nullptr, &good));
}

}  // namespace
}  // namespace lanes_test
