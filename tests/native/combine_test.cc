#include <functional>

#include "support/matrix.h"

namespace lanes_test {
namespace {

struct CombineProblem {
  int64_t tokens, cols, terms, x_rows, pad, offset;
  bool residual, in_place;
  std::vector<float> x, weight, r;
  std::vector<int32_t> index;
};

CombineProblem MakeCombine(const Case& c, uint64_t stream) {
  CombineProblem p = {};
  p.tokens = c.Integer("tokens");
  p.cols = c.Integer("cols");
  p.terms = c.Integer("terms");
  p.x_rows = c.Integer("x_rows");
  p.pad = c.Integer("pad");
  p.offset = c.Integer("offset");
  p.residual = c.Integer("residual") != 0;
  p.in_place = p.residual && stream % 2 == 0;
  Random random(stream);
  p.x = random.Floats(p.x_rows * p.cols);
  p.weight = random.Floats(p.tokens * p.terms);
  p.r = random.Floats(p.tokens * p.cols);
  for (int64_t i = 0; i < p.tokens * p.terms; ++i) p.index.push_back(static_cast<int32_t>(random.Integer(0, p.x_rows - 1)));
  return p;
}

std::vector<float> RunCombine(lanes_runtime* runtime, const CombineProblem& p) {
  const MatrixInput x(p.x, p.x_rows, p.cols, p.pad, p.offset), r(p.r, p.tokens, p.cols, p.pad, p.offset);
  const GuardedInput<float> weight(p.weight);
  const GuardedInput<int32_t> index(p.index);
  GuardedOutput y(p.tokens, p.cols, p.cols + p.pad, p.offset);
  lanes_combine_params params = {};
  params.size = sizeof params;
  params.tokens = p.tokens;
  params.cols = p.cols;
  params.terms = static_cast<int32_t>(p.terms);
  params.x_rows = p.x_rows;
  params.index = index.data();
  params.weight = weight.data();
  params.index_len = params.weight_len = index.size();
  params.x = x.data();
  params.x_len = x.size();
  params.x_stride = x.stride();
  params.y = y.data();
  params.y_len = y.size();
  params.y_stride = p.cols + p.pad;
  if (p.residual) {
    params.residual = r.data();
    params.residual_len = r.size();
    params.residual_stride = r.stride();
  }
  if (p.in_place) {
    FillOutput(&y, p.r, p.tokens, p.cols);
    params.residual = y.data();
    params.residual_len = y.size();
  }
  EXPECT_LANES_OK(lanes_combine(runtime, &params));
  y.CheckSentinels();
  return y.Dense();
}

class CombineTest : public IsaTest {};
INSTANTIATE_FOR_ISAS(CombineTest);

TEST_P(CombineTest, IsTheSumInOrderBitForBit) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1), many = MakeRuntime(isa(), 8);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("combine.tsv")) {
    const CombineProblem p = MakeCombine(c, ++stream);
    const std::vector<float> y = RunCombine(runtime.get(), p);
    ASSERT_TRUE(SameBits(y, RunCombine(many.get(), p))) << c.Describe();
    for (int64_t t = 0; t < p.tokens; ++t) {
      for (int64_t i = 0; i < p.cols; ++i) {
        float sum = p.residual ? p.r[t * p.cols + i] : 0.0f;
        for (int64_t j = 0; j < p.terms; ++j) {
          sum = std::fma(p.weight[t * p.terms + j], p.x[p.index[t * p.terms + j] * p.cols + i], sum);
        }
        ASSERT_EQ(y[t * p.cols + i], sum) << c.Describe() << " y[" << t << ", " << i << "]";
      }
    }
  }
}

TEST_P(CombineTest, GatherCopiesRows) {
  const RuntimePtr runtime = MakeRuntime(isa(), 3);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("combine.tsv")) {
    const CombineProblem p = MakeCombine(c, ++stream);
    if (p.terms != 1) continue;
    const MatrixInput x(p.x, p.x_rows, p.cols, p.pad, p.offset);
    GuardedOutput y(p.tokens, p.cols, p.cols + p.pad, p.offset);
    const lanes_gather_params params = {sizeof params, p.tokens, p.cols,     p.x_rows, p.index.data(), p.index.size(), x.data(),
                                        x.size(),      x.stride(), y.data(), y.size(), p.cols + p.pad};
    ASSERT_LANES_OK(lanes_gather(runtime.get(), &params));
    y.CheckSentinels();
    for (int64_t t = 0; t < p.tokens; ++t) {
      for (int64_t i = 0; i < p.cols; ++i) ASSERT_EQ(y.At(t, i), p.x[p.index[t] * p.cols + i]) << c.Describe();
    }
  }
}

TEST_P(CombineTest, RefusesBadArguments) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  std::vector<float> x(6), y(4), w(4);
  const std::vector<int32_t> index = {0, 1, 2, 0}, bad_index = {0, 3, 0, 0}, negative = {0, 0, -1, 0};
  const lanes_combine_params good = {sizeof good, 2, 2, 2, 3, index.data(), 4, w.data(), 4, x.data(), 6, 2, nullptr, 0, 0, y.data(), 4, 2};
  ASSERT_LANES_OK(lanes_combine(runtime.get(), &good));
  const auto refused = [&](const char* text, const std::function<void(lanes_combine_params*)>& change) {
    lanes_combine_params bad = good;
    change(&bad);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_combine(runtime.get(), &bad));
  };
  refused("tokens", [](auto* p) { p->tokens = -1; });
  refused("cols", [](auto* p) { p->cols = -1; });
  refused("terms", [](auto* p) { p->terms = -1; });
  refused("x_rows", [](auto* p) { p->x_rows = -1; });
  refused("index_len", [](auto* p) { p->index_len = 3; });
  refused("weight", [](auto* p) { p->weight = nullptr; });
  refused("x_len", [](auto* p) { p->x_len = 5; });
  refused("y_len", [](auto* p) { p->y_len = 3; });
  refused("residual_len", [&](auto* p) { p->residual = y.data(); p->residual_stride = 2; });
  refused("index[1] is 3", [&](auto* p) { p->index = bad_index.data(); });
  refused("index[2] is -1", [&](auto* p) { p->index = negative.data(); });
  refused("overlap", [&](auto* p) { p->y = x.data(); });
  refused("64 bits", [](auto* p) { p->tokens = INT64_MAX; });
  const lanes_gather_params gather = {sizeof gather, 2, 2, 3, index.data(), 4, x.data(), 6, 2, y.data(), 4, 2};
  ASSERT_LANES_OK(lanes_gather(runtime.get(), &gather));
  const auto gather_refused = [&](const char* text, const std::function<void(lanes_gather_params*)>& change) {
    lanes_gather_params bad = gather;
    change(&bad);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_gather(runtime.get(), &bad));
  };
  gather_refused("rows", [](auto* p) { p->rows = -1; });
  gather_refused("cols", [](auto* p) { p->cols = -1; });
  gather_refused("x_rows", [](auto* p) { p->x_rows = -1; });
  gather_refused("index_len", [](auto* p) { p->index_len = 1; });
  gather_refused("index[1] is 3", [&](auto* p) { p->index = bad_index.data(); });
  gather_refused("index[0] is 0", [](auto* p) { p->x_rows = 0; });
  gather_refused("x", [](auto* p) { p->x = nullptr; });
  gather_refused("y_stride", [](auto* p) { p->y_stride = 1; });
  gather_refused("overlap", [&](auto* p) { p->y = x.data() + 2; });
  gather_refused("y_len", [](auto* p) { p->rows = 4; });
}

}  // namespace
}  // namespace lanes_test
