#include <functional>

#include "cpu/scalar.h"
#include "support/quantized.h"

namespace lanes_test {
namespace {

struct GateProblem {
  int32_t activation;
  int64_t rows, cols, pad, offset;
  std::string in_place;
  std::vector<float> gate, up;
};

GateProblem MakeGate(const Case& c, uint64_t stream) {
  GateProblem p = {ParseActivation(c.Text("activation")), c.Integer("rows"), c.Integer("cols"), c.Integer("pad"),
                   c.Integer("offset"), c.Text("in_place"), {}, {}};
  Random random(stream);
  p.gate = random.Floats(p.rows * p.cols, 6.0f);
  p.up = random.Floats(p.rows * p.cols, 3.0f);
  return p;
}

// Which outputs are wanted: y, its quantized rows, its rounded rows.
struct GateOutputs {
  bool y = true, quantized = false;
  float output_scale = 0;
  bool bf16 = false;
};

struct GateResult {
  std::vector<float> y;
  Quantized quantized;
  std::vector<float> bf16;  // widened
};

GateResult RunGateTo(lanes_runtime* runtime, const GateProblem& p, const GateOutputs& outputs) {
  const MatrixInput gate(p.gate, p.rows, p.cols, p.pad, p.offset), up(p.up, p.rows, p.cols, p.pad, p.offset);
  GuardedOutput y(p.rows, p.cols, p.cols + p.pad, p.offset);
  lanes_gate_params params = {};
  params.size = sizeof params;
  params.activation = p.activation;
  params.rows = p.rows;
  params.cols = p.cols;
  params.gate = gate.data();
  params.gate_len = gate.size();
  params.gate_stride = gate.stride();
  params.up = up.data();
  params.up_len = up.size();
  params.up_stride = up.stride();
  params.y = y.data();
  params.y_len = y.size();
  params.y_stride = p.cols + p.pad;
  if (p.in_place == "gate") {
    FillOutput(&y, p.gate, p.rows, p.cols);
    params.gate = y.data();
    params.gate_len = y.size();
  } else if (p.in_place == "up") {
    FillOutput(&y, p.up, p.rows, p.cols);
    params.up = y.data();
    params.up_len = y.size();
  }
  GuardedMatrix<int8_t> yq(p.rows, p.cols, p.cols + p.pad, p.offset);
  GuardedOutput y_scale(1, p.rows, p.rows, p.offset);
  if (outputs.quantized) {
    params.yq = yq.data();
    params.yq_len = yq.size();
    params.yq_stride = p.cols + p.pad;
    params.y_scale = y_scale.data();
    params.y_scale_len = y_scale.size();
    params.output_scale = outputs.output_scale;
  }
  GuardedMatrix<uint16_t> y_bf16(p.rows, p.cols, p.cols + p.pad, p.offset);
  if (outputs.bf16) {
    params.y_bf16 = y_bf16.data();
    params.y_bf16_len = y_bf16.size();
    params.y_bf16_stride = p.cols + p.pad;
  }
  if (!outputs.y) params.y = nullptr;
  EXPECT_LANES_OK(lanes_gate(runtime, &params));
  y.CheckSentinels();
  yq.CheckSentinels();
  y_scale.CheckSentinels();
  y_bf16.CheckSentinels();
  return {y.Dense(), {p.rows, p.cols, yq.Dense(), y_scale.Dense()}, WidenBf16(y_bf16.Dense())};
}

std::vector<float> RunGate(lanes_runtime* runtime, const GateProblem& p) { return RunGateTo(runtime, p, {}).y; }

class GateTest : public IsaTest {};
INSTANTIATE_FOR_ISAS(GateTest);

TEST_P(GateTest, MatchesTheOracleOnCases) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1), many = MakeRuntime(isa(), 8);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("gate.tsv")) {
    GateProblem p = MakeGate(c, ++stream);
    const std::vector<float> y = RunGate(runtime.get(), p);
    ASSERT_TRUE(SameBits(y, RunGate(many.get(), p))) << c.Describe() << " threads";
    for (size_t i = 0; i < y.size(); ++i) {
      const double x = p.gate[i], expected = lanes::reference::Activate(p.activation, x) * p.up[i];
      // An activation errs by a few units in the last place of its value (tests/native/math_test.cc), the product by a half;
      // the tail of GELU_TANH also by the roundings of its exponent.
      double units = 18;
      if (p.activation == LANES_ACTIVATION_GELU_TANH) units += 4 * std::fabs(1.6 * (x + 0.044715 * x * x * x));
      ASSERT_NEAR(y[i], expected, units * 0x1p-24 * std::fabs(expected) + 1e-37) << c.Describe() << " element " << i;
    }
    // Nor on where a row begins.
    p.pad = p.offset = 0;
    p.in_place = "-";
    ASSERT_TRUE(SameBits(y, RunGate(runtime.get(), p))) << c.Describe() << " in another place";
  }
}

TEST_P(GateTest, QuantizedRowsAreThoseOfY) {
  const RuntimePtr one = MakeRuntime(isa(), 1), many = MakeRuntime(isa(), 3);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("gate.tsv")) {
    GateProblem p = MakeGate(c, ++stream);
    if (p.rows > 2) p.gate[2 * p.cols + p.cols / 2] = std::nanf("");
    if (p.rows > 3) std::fill(p.up.begin() + 3 * p.cols, p.up.begin() + 4 * p.cols, 0.0f);
    const std::vector<float> y = RunGate(one.get(), p);
    GateProblem alone = p;
    alone.in_place = "-";
    for (const float output_scale : {0.0f, 0.07f}) {
      const Quantized expected = QuantizeActivations(y, p.rows, p.cols, output_scale);
      const GateResult both = RunGateTo(one.get(), p, {true, true, output_scale});
      ASSERT_TRUE(SameBits(both.y, y)) << c.Describe();
      ASSERT_TRUE(both.quantized == expected) << c.Describe() << " beside y, output_scale " << output_scale;
      ASSERT_TRUE(RunGateTo(many.get(), alone, {false, true, output_scale}).quantized == expected) << c.Describe() << " without y";
    }
  }
}

TEST_P(GateTest, Bf16RowsAreThoseOfYRounded) {
  const RuntimePtr one = MakeRuntime(isa(), 1), many = MakeRuntime(isa(), 3);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("gate.tsv")) {
    GateProblem p = MakeGate(c, ++stream);
    if (p.rows > 2) p.gate[2 * p.cols + p.cols / 2] = std::nanf("");
    const std::vector<float> y = RunGate(one.get(), p), expected = RoundTo(LANES_BF16, y);
    const Quantized quantized = QuantizeActivations(y, p.rows, p.cols, 0);
    GateProblem alone = p;
    alone.in_place = "-";
    for (const bool with_y : {true, false}) {
      for (const bool with_yq : {true, false}) {
        const std::string what = c.Describe() + (with_y ? " beside y" : "") + (with_yq ? " beside yq" : "");
        const GateResult got = RunGateTo(with_y ? one.get() : many.get(), with_y ? p : alone, {with_y, with_yq, 0, true});
        ASSERT_TRUE(SameBits(got.bf16, expected)) << what;
        ASSERT_TRUE(!with_y || SameBits(got.y, y)) << what;
        ASSERT_TRUE(!with_yq || got.quantized == quantized) << what;
      }
    }
  }
}

TEST_P(GateTest, RefusesBadArguments) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  std::vector<float> a(6), b(6), y(6);
  lanes_gate_params good = {};
  good.size = sizeof good;
  good.activation = LANES_ACTIVATION_SILU;
  good.rows = 2;
  good.cols = good.gate_stride = good.up_stride = good.y_stride = 3;
  good.gate = a.data();
  good.up = b.data();
  good.y = y.data();
  good.gate_len = good.up_len = good.y_len = 6;
  ASSERT_LANES_OK(lanes_gate(runtime.get(), &good));
  const auto refused = [&](const char* text, const std::function<void(lanes_gate_params*)>& change) {
    lanes_gate_params bad = good;
    change(&bad);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_gate(runtime.get(), &bad));
  };
  refused("activation", [](auto* p) { p->activation = 6; });
  refused("rows", [](auto* p) { p->rows = -1; });
  refused("cols", [](auto* p) { p->cols = -1; });
  refused("gate_len", [](auto* p) { p->gate_len = 5; });
  refused("up", [](auto* p) { p->up = nullptr; });
  refused("up_stride", [](auto* p) { p->up_stride = 2; });
  refused("y_len", [](auto* p) { p->y_len = 5; });
  refused("overlap", [&](auto* p) { p->y = a.data() + 1; p->rows = 1; });
  std::vector<int8_t> yq(6);
  std::vector<float> y_scale(2);
  const auto quantized = [&](lanes_gate_params* p) {
    p->y = nullptr;
    p->yq = yq.data();
    p->yq_len = 6;
    p->yq_stride = 3;
    p->y_scale = y_scale.data();
    p->y_scale_len = 2;
  };
  lanes_gate_params good_quantized = good;
  quantized(&good_quantized);
  EXPECT_LANES_OK(lanes_gate(runtime.get(), &good_quantized));
  refused("yq_len is 5", [&](auto* p) { quantized(p), p->yq_len = 5; });
  refused("yq_stride is 2", [&](auto* p) { quantized(p), p->yq_stride = 2; });
  refused("y_scale is NULL", [&](auto* p) { quantized(p), p->y_scale = nullptr; });
  refused("y_scale_len is 1", [&](auto* p) { quantized(p), p->y_scale_len = 1; });
  refused("output_scale is nan", [&](auto* p) { quantized(p), p->output_scale = std::nanf(""); });
  refused("yq is NULL, but", [&](auto* p) { p->y_scale = y_scale.data(); });
  refused("yq and up overlap", [&](auto* p) { quantized(p), p->yq = reinterpret_cast<int8_t*>(b.data() + 1); });
  refused("y_scale and y overlap", [&](auto* p) { quantized(p), p->y = y.data(), p->y_scale = y.data() + 1; });
  std::vector<uint16_t> y_bf16(6);
  const auto narrow = [&](lanes_gate_params* p) {
    p->y = nullptr;
    p->y_bf16 = y_bf16.data();
    p->y_bf16_len = 6;
    p->y_bf16_stride = 3;
  };
  lanes_gate_params good_bf16 = good;
  narrow(&good_bf16);
  EXPECT_LANES_OK(lanes_gate(runtime.get(), &good_bf16));
  refused("y is NULL", [](auto* p) { p->y = nullptr; });
  refused("y_bf16_len is 5", [&](auto* p) { narrow(p), p->y_bf16_len = 5; });
  refused("y_bf16_stride is 2", [&](auto* p) { narrow(p), p->y_bf16_stride = 2; });
  refused("y_bf16 and gate overlap", [&](auto* p) { narrow(p), p->y_bf16 = reinterpret_cast<uint16_t*>(a.data()); });
  refused("y_bf16 and up overlap", [&](auto* p) { narrow(p), p->y_bf16 = reinterpret_cast<uint16_t*>(b.data() + 1); });
  refused("y_bf16 and y overlap", [&](auto* p) { narrow(p), p->y = y.data(), p->y_bf16 = reinterpret_cast<uint16_t*>(y.data()); });
  refused("y_bf16 and yq overlap", [&](auto* p) { quantized(p), narrow(p), p->yq = reinterpret_cast<int8_t*>(y_bf16.data()); });
  refused("y_bf16 and y_scale overlap", [&](auto* p) {
    quantized(p), narrow(p), p->y_scale = reinterpret_cast<float*>(y_bf16.data());
  });
  refused("64 bits", [](auto* p) { p->rows = INT64_MAX; });
}

}  // namespace
}  // namespace lanes_test
