#include "support/quantized.h"

namespace lanes_test {
namespace {

class EmbedTest : public IsaTest {};
INSTANTIATE_FOR_ISAS(EmbedTest);

std::vector<int32_t> DtypesOf(const Case& c) {
  if (c.Text("dtype") == "all") return {LANES_F32, LANES_BF16, LANES_F16};
  return {ParseDtype(c.Text("dtype"))};
}

// `ids` is an array with data() and size().
template <class Ids>
lanes_embed_params EmbedParams(const Case& c, const WeightPtr& weight, const Ids& ids, GuardedOutput* y) {
  lanes_embed_params p = {};
  p.size = sizeof p;
  p.weight = weight.get();
  p.ids = ids.data();
  p.ids_len = ids.size();
  p.accumulate = c.Integer("accumulate") != 0;
  p.tokens = c.Integer("tokens");
  p.y = y->data();
  p.y_len = y->size();
  p.y_stride = c.Integer("hidden") + c.Integer("y_pad");
  return p;
}

TEST_P(EmbedTest, RowsComeOutExactlyOnCases) {
  const RuntimePtr runtime = MakeRuntime(isa(), 3);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("embed.tsv")) {
    const int64_t tokens = c.Integer("tokens"), vocabulary = c.Integer("vocabulary"), hidden = c.Integer("hidden");
    const bool accumulate = c.Integer("accumulate") != 0;
    for (const int32_t dtype : DtypesOf(c)) {
      Random random(++stream);
      const std::vector<float> values = RoundTo(dtype, random.Floats(vocabulary * hidden, 3.0f));
      const WeightPtr weight = MakeWeight(runtime.get(), values, vocabulary, hidden, dtype);
      std::vector<int32_t> id_values;
      for (int64_t t = 0; t < tokens; ++t) id_values.push_back(static_cast<int32_t>(random.Integer(0, vocabulary - 1)));
      if (tokens > 0) id_values.back() = static_cast<int32_t>(vocabulary - 1);
      const GuardedInput<int32_t> ids(id_values);
      const std::vector<float> before = random.Floats(tokens * hidden);
      GuardedOutput y(tokens, hidden, hidden + c.Integer("y_pad"), c.Integer("offset"));
      FillOutput(&y, before, tokens, hidden);
      const lanes_embed_params p = EmbedParams(c, weight, ids, &y);
      ASSERT_LANES_OK(lanes_embed(runtime.get(), &p)) << c.Describe();
      y.CheckSentinels();
      for (int64_t i = 0; i < tokens * hidden; ++i) {
        const float value = values[id_values[i / hidden] * hidden + i % hidden];
        ASSERT_EQ(y.At(i / hidden, i % hidden), accumulate ? before[i] + value : value) << c.Describe() << " element " << i;
      }
    }
  }
}

TEST_P(EmbedTest, Int8RowsAreScaled) {
  const RuntimePtr runtime = MakeRuntime(isa(), 3);
  uint64_t stream = 50;
  for (const Case& c : ReadCases("embed.tsv")) {
    const int64_t tokens = c.Integer("tokens"), vocabulary = c.Integer("vocabulary"), hidden = c.Integer("hidden");
    const bool accumulate = c.Integer("accumulate") != 0;
    Random random(++stream);
    const Quantized values = RandomQuantized(&random, vocabulary, hidden);
    const WeightPtr weight = MakeWeight(runtime.get(), values);
    std::vector<int32_t> ids;
    for (int64_t t = 0; t < tokens; ++t) ids.push_back(static_cast<int32_t>(random.Integer(0, vocabulary - 1)));
    const std::vector<float> before = random.Floats(tokens * hidden);
    GuardedOutput y(tokens, hidden, hidden + c.Integer("y_pad"), c.Integer("offset"));
    FillOutput(&y, before, tokens, hidden);
    const lanes_embed_params p = EmbedParams(c, weight, ids, &y);
    ASSERT_LANES_OK(lanes_embed(runtime.get(), &p)) << c.Describe();
    y.CheckSentinels();
    for (int64_t i = 0; i < tokens * hidden; ++i) {
      const int32_t id = ids[i / hidden];
      const float value = static_cast<float>(values.At(id, i % hidden)) * values.scale[id];
      ASSERT_EQ(y.At(i / hidden, i % hidden), accumulate ? before[i] + value : value) << c.Describe() << " element " << i;
    }
  }
}

TEST_P(EmbedTest, ArgumentsAreChecked) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const WeightPtr weight = MakeWeight(runtime.get(), std::vector<float>(5 * 3, 1.0f), 5, 3, LANES_F32);
  std::vector<int32_t> ids = {0, 4};
  std::vector<float> y(7);
  lanes_embed_params good = {};
  good.size = sizeof good;
  good.weight = weight.get();
  good.ids = ids.data();
  good.ids_len = 2;
  good.tokens = 2;
  good.y = y.data();
  good.y_len = 7;
  good.y_stride = 4;
  EXPECT_LANES_OK(lanes_embed(runtime.get(), &good));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "params is NULL", lanes_embed(runtime.get(), nullptr));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "runtime is NULL", lanes_embed(nullptr, &good));
  const auto bad = [&](const char* text, auto change) {
    lanes_embed_params p = good;
    change(p);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_embed(runtime.get(), &p));
  };
  bad("size", [](auto& p) { p.size = 4; });
  bad("weight is NULL", [](auto& p) { p.weight = nullptr; });
  bad("tokens is -1", [](auto& p) { p.tokens = -1; });
  bad("ids is NULL", [](auto& p) { p.ids = nullptr; });
  bad("ids_len is 1", [](auto& p) { p.ids_len = 1; });
  bad("y is NULL", [](auto& p) { p.y = nullptr; });
  bad("y_len is 6", [](auto& p) { p.y_len = 6; });
  bad("y_stride is 2", [](auto& p) { p.y_stride = 2; });
  bad("y_stride is -4", [](auto& p) { p.y_stride = -4; });
  bad("64 bits", [](auto& p) { p.y_stride = INT64_MAX; });
  bad("overlap", [&](auto& p) { p.ids = reinterpret_cast<int32_t*>(y.data() + 1); });
  ids[1] = 5;
  bad("ids[1] is 5: expected 0 to 4", [](auto&) {});
  ids[1] = -1;
  bad("ids[1] is -1", [](auto&) {});
}

}  // namespace
}  // namespace lanes_test
