#include <functional>

#include "support/matrix.h"

namespace lanes_test {
namespace {

struct RopeProblem {
  int32_t pairing, heads, head_dim;
  int64_t half, tokens, pad, offset;
  bool in_place;
  std::vector<float> x, cos, sin;
};

RopeProblem MakeRope(const Case& c, uint64_t stream) {
  RopeProblem p;
  p.pairing = c.Text("pairing") == "half" ? LANES_ROPE_HALF : LANES_ROPE_INTERLEAVED;
  p.heads = static_cast<int32_t>(c.Integer("heads"));
  p.head_dim = static_cast<int32_t>(c.Integer("head_dim"));
  p.half = c.Integer("half");
  p.tokens = c.Integer("tokens");
  p.pad = c.Integer("pad");
  p.offset = c.Integer("offset");
  p.in_place = c.Integer("in_place") != 0;
  Random random(stream);
  p.x = random.Floats(p.tokens * p.heads * p.head_dim, 2.0f);
  p.cos = random.Floats(p.tokens * p.half);
  p.sin = random.Floats(p.tokens * p.half);
  return p;
}

std::vector<float> RunRope(lanes_runtime* runtime, const RopeProblem& p) {
  const int64_t width = static_cast<int64_t>(p.heads) * p.head_dim;
  const MatrixInput x(p.x, p.tokens, width, p.pad, p.offset);
  const GuardedInput<float> cos(p.cos), sin(p.sin);
  GuardedOutput y(p.tokens, width, width + p.pad, p.offset);
  lanes_rope_params params = {};
  params.size = sizeof params;
  params.pairing = p.pairing;
  params.heads = p.heads;
  params.head_dim = p.head_dim;
  params.tokens = p.tokens;
  params.half = p.half;
  params.cos = cos.data();
  params.sin = sin.data();
  params.cos_len = params.sin_len = cos.size();
  params.x = x.data();
  params.x_len = x.size();
  params.x_stride = x.stride();
  params.y = y.data();
  params.y_len = y.size();
  params.y_stride = width + p.pad;
  if (p.in_place) {
    FillOutput(&y, p.x, p.tokens, width);
    params.x = y.data();
    params.x_len = y.size();
  }
  EXPECT_LANES_OK(lanes_rope(runtime, &params));
  y.CheckSentinels();
  return y.Dense();
}

class RopeTest : public IsaTest {};
INSTANTIATE_FOR_ISAS(RopeTest);

TEST_P(RopeTest, MatchesTheOracleOnCases) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2), many = MakeRuntime(isa(), 8);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("rope.tsv")) {
    const RopeProblem p = MakeRope(c, ++stream);
    const std::vector<float> y = RunRope(runtime.get(), p);
    ASSERT_TRUE(SameBits(y, RunRope(many.get(), p))) << c.Describe() << " threads";
    for (int64_t t = 0; t < p.tokens; ++t) {
      for (int64_t h = 0; h < p.heads; ++h) {
        const int64_t at = (t * p.heads + h) * p.head_dim;
        for (int64_t i = 0; i < p.half; ++i) {
          const bool halves = p.pairing == LANES_ROPE_HALF;
          const int64_t first = at + (halves ? i : 2 * i), second = at + (halves ? i + p.half : 2 * i + 1);
          const double a = p.x[first], b = p.x[second], cos = p.cos[t * p.half + i], sin = p.sin[t * p.half + i];
          // One product is rounded, then the sum.
          const double bound = 0x1p-24 * 2 * (std::fabs(a * cos) + std::fabs(b * sin) + std::fabs(a * sin) + std::fabs(b * cos));
          ASSERT_NEAR(y[first], a * cos - b * sin, bound) << c.Describe() << " token " << t << " head " << h << " pair " << i;
          ASSERT_NEAR(y[second], b * cos + a * sin, bound) << c.Describe() << " token " << t << " head " << h << " pair " << i;
        }
        for (int64_t i = 2 * p.half; i < p.head_dim; ++i) ASSERT_EQ(y[at + i], p.x[at + i]) << c.Describe();
      }
    }
  }
}

TEST_P(RopeTest, TableIsTheRoundedSineAndCosine) {
  const RuntimePtr runtime = MakeRuntime(isa(), 3);
  for (const int64_t half : {0, 1, 5, 32}) {
    std::vector<int64_t> positions = {0, 1, 7, 4095, 131071, 1000000007};
    std::vector<double> frequency(half);
    for (int64_t i = 0; i < half; ++i) frequency[i] = std::pow(500000.0, -static_cast<double>(i) / half);
    const int64_t tokens = static_cast<int64_t>(positions.size());
    GuardedOutput cos(1, tokens * half, tokens * half + 1, 1), sin(1, tokens * half, tokens * half + 1, 1);
    lanes_rope_table_params params = {};
    params.size = sizeof params;
    params.positions = positions.data();
    params.positions_len = positions.size();
    params.inverse_frequency = frequency.data();
    params.inverse_frequency_len = frequency.size();
    params.scale = 1.25f;
    params.tokens = tokens;
    params.half = half;
    params.cos = cos.data();
    params.sin = sin.data();
    params.cos_len = params.sin_len = static_cast<uint64_t>(tokens * half);
    ASSERT_LANES_OK(lanes_rope_table(runtime.get(), &params));
    cos.CheckSentinels();
    sin.CheckSentinels();
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(positions[t]) * frequency[i];
        EXPECT_EQ(cos.At(0, t * half + i), static_cast<float>(1.25 * std::cos(angle))) << t << ", " << i;
        EXPECT_EQ(sin.At(0, t * half + i), static_cast<float>(1.25 * std::sin(angle))) << t << ", " << i;
      }
    }
  }
}

// A token's keys and queries turn with their distance only.
TEST_P(RopeTest, ProductsDependOnDistance) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const int64_t half = 16;
  std::vector<double> frequency(half);
  for (int64_t i = 0; i < half; ++i) frequency[i] = std::pow(10000.0, -static_cast<double>(i) / half);
  Random random(1);
  const std::vector<float> q = random.Floats(32), k = random.Floats(32);
  for (const int32_t pairing : {LANES_ROPE_HALF, LANES_ROPE_INTERLEAVED}) {
    std::vector<double> products;
    for (const int64_t start : {0, 3, 250}) {
      const int64_t positions[] = {start + 9, start};
      std::vector<float> cos(2 * half), sin(2 * half);
      lanes_rope_table_params table = {sizeof table, positions, 2, frequency.data(), 16, 1.0f, 2, half, cos.data(), 32, sin.data(), 32};
      ASSERT_LANES_OK(lanes_rope_table(runtime.get(), &table));
      RopeProblem p = {pairing, 1, 32, half, 2, 0, 0, false, q, cos, sin};
      p.x.insert(p.x.end(), k.begin(), k.end());
      const std::vector<float> y = RunRope(runtime.get(), p);
      double product = 0;
      for (int64_t i = 0; i < 32; ++i) product += static_cast<double>(y[i]) * y[32 + i];
      products.push_back(product);
    }
    EXPECT_NEAR(products[0], products[1], 1e-5);
    EXPECT_NEAR(products[0], products[2], 1e-5);
  }
}

TEST_P(RopeTest, RefusesBadArguments) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  std::vector<float> x(24), y(24), cos(4), sin(4);
  lanes_rope_params good = {sizeof good, 0,  2,  6, 2,  2,        cos.data(), 4, sin.data(),
                            4,           x.data(), 24, 12, y.data(), 24,         12};
  ASSERT_LANES_OK(lanes_rope(runtime.get(), &good));
  const auto refused = [&](const char* text, const std::function<void(lanes_rope_params*)>& change) {
    lanes_rope_params bad = good;
    change(&bad);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_rope(runtime.get(), &bad));
  };
  refused("pairing", [](auto* p) { p->pairing = -1; });
  refused("heads", [](auto* p) { p->heads = 0; });
  refused("head_dim", [](auto* p) { p->head_dim = 0; });
  refused("half", [](auto* p) { p->half = 4; });
  refused("half", [](auto* p) { p->half = -1; });
  refused("tokens", [](auto* p) { p->tokens = -2; });
  refused("cos_len", [](auto* p) { p->cos_len = 3; });
  refused("sin", [](auto* p) { p->sin = nullptr; });
  refused("x_len", [](auto* p) { p->x_len = 23; });
  refused("x_stride", [](auto* p) { p->x_stride = 11; });
  refused("y_len", [](auto* p) { p->y_len = 23; });
  refused("overlap", [&](auto* p) { p->y = x.data() + 6; p->tokens = 1; });
  refused("cos", [](auto* p) { p->tokens = INT64_MAX; });
  const int64_t positions[] = {0, -1};
  const double frequency[] = {1.0, 0.1};
  lanes_rope_table_params table = {sizeof table, positions, 2, frequency, 2, 1.0f, 1, 2, cos.data(), 4, sin.data(), 4};
  ASSERT_LANES_OK(lanes_rope_table(runtime.get(), &table));
  table.tokens = 2;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "positions[1]", lanes_rope_table(runtime.get(), &table));
  table.tokens = 1;
  table.scale = INFINITY;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "scale", lanes_rope_table(runtime.get(), &table));
  table.scale = 1;
  table.cos_len = 1;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "cos_len", lanes_rope_table(runtime.get(), &table));
  table.cos_len = 4;
  const double bad_frequency[] = {1.0, std::nan("")};
  table.inverse_frequency = bad_frequency;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "inverse_frequency", lanes_rope_table(runtime.get(), &table));
}

}  // namespace
}  // namespace lanes_test
