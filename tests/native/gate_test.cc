#include <functional>

#include "cpu/scalar.h"
#include "support/matrix.h"

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

std::vector<float> RunGate(lanes_runtime* runtime, const GateProblem& p) {
  const MatrixInput gate(p.gate, p.rows, p.cols, p.pad, p.offset), up(p.up, p.rows, p.cols, p.pad, p.offset);
  GuardedOutput y(p.rows, p.cols, p.cols + p.pad, p.offset);
  lanes_gate_params params = {sizeof params, p.activation, p.rows,        p.cols,   gate.data(), gate.size(), gate.stride(),
                              up.data(),     up.size(),    up.stride(),   y.data(), y.size(),    p.cols + p.pad};
  if (p.in_place == "gate") {
    FillOutput(&y, p.gate, p.rows, p.cols);
    params.gate = y.data();
    params.gate_len = y.size();
  } else if (p.in_place == "up") {
    FillOutput(&y, p.up, p.rows, p.cols);
    params.up = y.data();
    params.up_len = y.size();
  }
  EXPECT_LANES_OK(lanes_gate(runtime, &params));
  y.CheckSentinels();
  return y.Dense();
}

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

TEST_P(GateTest, RefusesBadArguments) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  std::vector<float> a(6), b(6), y(6);
  lanes_gate_params good = {sizeof good, 1, 2, 3, a.data(), 6, 3, b.data(), 6, 3, y.data(), 6, 3};
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
  refused("64 bits", [](auto* p) { p->rows = INT64_MAX; });
}

}  // namespace
}  // namespace lanes_test
