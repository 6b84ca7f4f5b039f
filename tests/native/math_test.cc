// The activations against float64, over all magnitudes, through lanes_linear with a weight of 1.
#include <cmath>

#include "cpu/scalar.h"
#include "support/lanes_test.h"

namespace lanes_test {
namespace {

class MathTest : public IsaTest {};
INSTANTIATE_FOR_ISAS(MathTest);

std::vector<float> Activate(lanes_runtime* runtime, int32_t activation, const std::vector<float>& x) {
  const WeightPtr one = MakeWeight(runtime, {1.0f}, 1, 1, LANES_F32);
  std::vector<float> y(x.size());
  lanes_linear_params p = {};
  p.size = sizeof p;
  p.weight = one.get();
  p.m = static_cast<int64_t>(x.size());
  p.x = x.data();
  p.x_len = x.size();
  p.x_stride = 1;
  p.y = y.data();
  p.y_len = y.size();
  p.y_stride = 1;
  p.activation = activation;
  EXPECT_LANES_OK(lanes_linear(runtime, &p));
  return y;
}

std::vector<float> Inputs() {
  std::vector<float> x;
  for (float magnitude = 1e-38f; magnitude < 1e38f; magnitude *= 1.37f) {
    x.push_back(magnitude);
    x.push_back(-magnitude);
  }
  for (float value = -30; value < 30; value += 0.00713f) x.push_back(value);
  for (float value = -110; value < 110; value += 0.0831f) x.push_back(value);
  Random random;
  for (int i = 0; i < 20000; ++i) x.push_back(random.Uniform() * 12);
  return x;
}

// Units in the last place of the true value that `got` is off. Below 2^-118 a factor may have been subnormal, with few digits
// left; there the steps are those of 2^-118.
double Ulps(float got, double expected) {
  const double magnitude = std::max(std::fabs(expected), 0x1p-118);
  return std::fabs(got - expected) / std::ldexp(1.0, std::ilogb(magnitude) - 23);
}

TEST_P(MathTest, ActivationsAreWithinAFewUlps) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const std::vector<float> x = Inputs();
  const struct {
    int32_t activation;
    double most;
    // From this value down the argument's own rounding dominates: the bound is then on the error relative to x.
    double lowest;
  } kBounds[] = {{LANES_ACTIVATION_NONE, 0, -1e39},  {LANES_ACTIVATION_RELU, 0, -1e39}, {LANES_ACTIVATION_SILU, 4, -1e39},
                 {LANES_ACTIVATION_GELU, 8, -1e39}, {LANES_ACTIVATION_TANH, 4, -1e39}, {LANES_ACTIVATION_GELU_TANH, 4, -0.5}};
  for (const auto& bound : kBounds) {
    const std::vector<float> y = Activate(runtime.get(), bound.activation, x);
    double worst = 0, worst_at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double expected = lanes::reference::Activate(bound.activation, x[i]);
      if (x[i] < bound.lowest) {
        EXPECT_LE(std::fabs(y[i] - expected), 4 * 0x1p-24 * std::fabs(x[i])) << "activation " << bound.activation << " of " << x[i];
        continue;
      }
      const double ulps = Ulps(y[i], expected);
      if (!(ulps <= worst)) {
        worst = ulps;
        worst_at = x[i];
      }
    }
    RecordProperty("ulps_" + std::to_string(bound.activation), std::to_string(worst));
    EXPECT_LE(worst, bound.most) << "activation " << bound.activation << " of " << worst_at;
  }
}

TEST_P(MathTest, LimitsAndNan) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const float inf = INFINITY;
  for (int32_t activation = LANES_ACTIVATION_NONE; activation <= LANES_ACTIVATION_TANH; ++activation) {
    const std::vector<float> y = Activate(runtime.get(), activation, {std::nanf(""), inf, 0.0f, 3e38f, -3e38f});
    EXPECT_TRUE(std::isnan(y[0])) << activation;
    EXPECT_EQ(y[1], activation == LANES_ACTIVATION_TANH ? 1.0f : inf) << activation;
    EXPECT_EQ(y[2], 0.0f) << activation;
    EXPECT_EQ(y[3], activation == LANES_ACTIVATION_TANH ? 1.0f : 3e38f) << activation;
    EXPECT_EQ(y[4], activation == LANES_ACTIVATION_TANH ? -1.0f : activation == LANES_ACTIVATION_NONE ? -3e38f : 0.0f) << activation;
  }
}

}  // namespace
}  // namespace lanes_test
