#include <algorithm>
#include <functional>
#include <numeric>

#include "support/matrix.h"

namespace lanes_test {
namespace {

class RouteTest : public LanesTest {};

struct Routed {
  std::vector<int32_t> expert;
  std::vector<float> weight;
};

Routed RunRoute(lanes_runtime* runtime, const std::vector<float>& logits, int64_t tokens, int32_t experts, int32_t top_k,
                bool normalize, int64_t pad) {
  const MatrixInput input(logits, tokens, experts, pad, 0);
  std::vector<int32_t> expert(tokens * top_k + 2, -7);
  GuardedOutput weight(1, tokens * top_k, tokens * top_k, 0);
  lanes_route_params params = {};
  params.size = sizeof params;
  params.tokens = tokens;
  params.experts = experts;
  params.top_k = top_k;
  params.normalize = normalize;
  params.logits = input.data();
  params.logits_len = input.size();
  params.logits_stride = input.stride();
  params.expert = expert.data() + 1;
  params.weight = weight.data();
  params.expert_len = params.weight_len = static_cast<uint64_t>(tokens * top_k);
  EXPECT_LANES_OK(lanes_route(runtime, &params));
  weight.CheckSentinels();
  EXPECT_EQ(expert.front(), -7);
  EXPECT_EQ(expert.back(), -7);
  return {std::vector<int32_t>(expert.begin() + 1, expert.end() - 1), weight.Dense()};
}

TEST_F(RouteTest, MatchesTheOracleOnCases) {
  const RuntimePtr runtime = MakeRuntime(LANES_ISA_AUTO, 1), many = MakeRuntime(LANES_ISA_AUTO, 8);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("route.tsv")) {
    const int64_t tokens = c.Integer("tokens");
    const int32_t experts = static_cast<int32_t>(c.Integer("experts")), top_k = static_cast<int32_t>(c.Integer("top_k"));
    const bool normalize = c.Integer("normalize") != 0;
    Random random(++stream);
    std::vector<float> logits = random.Floats(tokens * experts, 5.0f);
    for (float& x : logits) {
      if (random.Chance(4)) x = std::round(x);  // ties
    }
    const Routed got = RunRoute(runtime.get(), logits, tokens, experts, top_k, normalize, c.Integer("pad"));
    const Routed other = RunRoute(many.get(), logits, tokens, experts, top_k, normalize, c.Integer("pad"));
    ASSERT_EQ(got.expert, other.expert);
    ASSERT_TRUE(SameBits(got.weight, other.weight));
    for (int64_t t = 0; t < tokens; ++t) {
      const float* row = logits.data() + t * experts;
      std::vector<int32_t> order(experts);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [row](int32_t a, int32_t b) { return row[a] > row[b]; });
      double sum = 0;
      for (int32_t i = 0; i < (normalize ? top_k : experts); ++i) sum += std::exp(static_cast<double>(row[order[i]]));
      for (int32_t i = 0; i < top_k; ++i) {
        ASSERT_EQ(got.expert[t * top_k + i], order[i]) << c.Describe() << " token " << t << " place " << i;
        const double expected = std::exp(static_cast<double>(row[order[i]])) / sum;
        ASSERT_NEAR(got.weight[t * top_k + i], expected, 0x1p-23 * expected) << c.Describe() << " token " << t << " place " << i;
      }
    }
  }
}

TEST_F(RouteTest, TiesAndNan) {
  const RuntimePtr runtime = MakeRuntime(LANES_ISA_AUTO, 1);
  EXPECT_EQ(RunRoute(runtime.get(), {1, 3, 3, 1}, 1, 4, 3, true, 0).expert, (std::vector<int32_t>{1, 2, 0}));
  EXPECT_EQ(RunRoute(runtime.get(), {std::nanf(""), 3, -1, std::nanf("")}, 1, 4, 4, true, 0).expert, (std::vector<int32_t>{1, 2, 0, 3}));
  const std::vector<float> weight = RunRoute(runtime.get(), {1000, 1000, -1000, 0}, 1, 4, 2, false, 0).weight;
  EXPECT_EQ(weight, (std::vector<float>{0.5f, 0.5f}));
}

TEST_F(RouteTest, RefusesBadArguments) {
  const RuntimePtr runtime = MakeRuntime(LANES_ISA_AUTO, 1);
  std::vector<float> logits(8), weight(4);
  std::vector<int32_t> expert(4);
  const lanes_route_params good = {sizeof good, 2, 4, 2, 1, logits.data(), 8, 4, expert.data(), 4, weight.data(), 4};
  ASSERT_LANES_OK(lanes_route(runtime.get(), &good));
  const auto refused = [&](const char* text, const std::function<void(lanes_route_params*)>& change) {
    lanes_route_params bad = good;
    change(&bad);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_route(runtime.get(), &bad));
  };
  refused("tokens", [](auto* p) { p->tokens = -1; });
  refused("experts", [](auto* p) { p->experts = 0; });
  refused("top_k", [](auto* p) { p->top_k = 0; });
  refused("top_k", [](auto* p) { p->top_k = 5; });
  refused("logits_len", [](auto* p) { p->logits_len = 7; });
  refused("logits", [](auto* p) { p->logits = nullptr; });
  refused("logits_stride", [](auto* p) { p->logits_stride = 3; });
  refused("expert_len", [](auto* p) { p->expert_len = 3; });
  refused("weight_len", [](auto* p) { p->weight_len = 3; });
  refused("weight", [](auto* p) { p->weight = nullptr; });
  refused("overlap", [&](auto* p) { p->weight = logits.data(); });
  refused("64 bits", [](auto* p) { p->tokens = INT64_MAX; });
}

}  // namespace
}  // namespace lanes_test
