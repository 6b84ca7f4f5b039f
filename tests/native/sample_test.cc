#include <algorithm>
#include <functional>
#include <numeric>
#include <set>

#include "ops/sample.h"
#include "support/matrix.h"

namespace lanes_test {
namespace {

struct SampleOptions {
  float temperature = 1, top_p = 1, min_p = 0, penalty = 1;
  int32_t top_k = 0;
  uint64_t seed = 1, counter = 0;
};

struct Sampled {
  std::vector<int32_t> token;
  std::vector<float> log_probability;
};

Sampled RunSample(lanes_runtime* runtime, const std::vector<float>& logits, int64_t vocabulary,
                  const std::vector<SampleOptions>& options, const std::vector<std::vector<int32_t>>& seen = {}, int64_t pad = 0) {
  const int64_t rows = static_cast<int64_t>(options.size());
  const MatrixInput input(logits, rows, vocabulary, pad, 0);
  std::vector<int32_t> all_seen;
  std::vector<lanes_sample_row> row(rows);
  for (int64_t i = 0; i < rows; ++i) {
    const SampleOptions& o = options[i];
    row[i] = {o.temperature, o.top_k, o.top_p, o.min_p, o.penalty, 0, o.seed, o.counter, static_cast<int64_t>(all_seen.size()), 0};
    if (seen.empty()) continue;
    row[i].seen_count = static_cast<int64_t>(seen[i].size());
    all_seen.insert(all_seen.end(), seen[i].begin(), seen[i].end());
  }
  const GuardedInput<int32_t> guarded_seen(all_seen);
  std::vector<int32_t> token(rows + 2, -7);
  std::vector<float> log_probability(rows + 2, 77.0f);
  lanes_sample_params params = {};
  params.size = sizeof params;
  params.rows = rows;
  params.vocabulary = vocabulary;
  params.logits = input.data();
  params.logits_len = input.size();
  params.logits_stride = input.stride();
  params.row = row.data();
  params.row_len = row.size();
  params.seen = guarded_seen.data();
  params.seen_len = guarded_seen.size();
  params.token = token.data() + 1;
  params.log_probability = log_probability.data() + 1;
  params.token_len = params.log_probability_len = static_cast<uint64_t>(rows);
  EXPECT_LANES_OK(lanes_sample(runtime, &params));
  EXPECT_EQ(token.front(), -7);
  EXPECT_EQ(token.back(), -7);
  EXPECT_EQ(log_probability.front(), 77.0f);
  EXPECT_EQ(log_probability.back(), 77.0f);
  return {{token.begin() + 1, token.end() - 1}, {log_probability.begin() + 1, log_probability.end() - 1}};
}

double OracleUniform(uint64_t seed, uint64_t counter) {
  const lanes::Philox words = lanes::Philox4x32({static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0},
                                                {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return static_cast<double>((static_cast<uint64_t>(words.word[1]) << 32 | words.word[0]) >> 11) * 0x1p-53;
}

// The steps of ops/sample.h by full sorts in float64. `margin`: how near the draw came to another outcome.
int32_t Oracle(const std::vector<float>& row, const SampleOptions& o, const std::vector<int32_t>& seen, double* margin) {
  *margin = 1;
  const int64_t vocabulary = static_cast<int64_t>(row.size());
  std::vector<float> x = row;
  for (float& value : x) {
    if (std::isnan(value)) value = -INFINITY;
  }
  for (const int32_t id : std::set<int32_t>(seen.begin(), seen.end())) x[id] = x[id] > 0 ? x[id] / o.penalty : x[id] * o.penalty;
  std::vector<int32_t> order(vocabulary);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&x](int32_t a, int32_t b) { return x[a] > x[b]; });
  if (o.temperature == 0) return order[0];
  std::vector<double> weight(vocabulary);
  for (int64_t i = 0; i < vocabulary; ++i) weight[i] = std::exp((static_cast<double>(x[i]) - x[order[0]]) / o.temperature);
  if (o.top_k > 0 && o.top_k < vocabulary) order.resize(o.top_k);
  if (o.top_p < 1) {
    double total = 0, sum = 0;
    for (const int32_t id : order) total += weight[id];
    size_t kept = 0;
    while (kept < order.size() && (kept == 0 || sum < o.top_p * total)) {
      *margin = std::min(*margin, std::fabs(sum / total - o.top_p));
      sum += weight[order[kept++]];
    }
    *margin = std::min(*margin, std::fabs(sum / total - o.top_p));
    order.resize(kept);
  }
  order.erase(std::remove_if(order.begin(), order.end(), [&](int32_t id) { return weight[id] < o.min_p; }), order.end());
  for (int64_t i = 0; i < vocabulary && o.min_p > 0; ++i) *margin = std::min(*margin, std::fabs(weight[i] - o.min_p));
  std::sort(order.begin(), order.end());
  double total = 0, sum = 0;
  for (const int32_t id : order) total += weight[id];
  const double u = OracleUniform(o.seed, o.counter);
  for (const int32_t id : order) {
    *margin = std::min(*margin, std::fabs(sum / total - u));
    sum += weight[id];
    if (sum > u * total) {
      *margin = std::min(*margin, std::fabs(sum / total - u));
      return id;
    }
  }
  return order.back();
}

class SampleTest : public IsaTest {};
INSTANTIATE_FOR_ISAS(SampleTest);

TEST_P(SampleTest, MatchesTheOracleOnCases) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1), many = MakeRuntime(isa(), 8);
  uint64_t stream = 0;
  int compared = 0, skipped = 0;
  for (const Case& c : ReadCases("sample.tsv")) {
    const int64_t vocabulary = c.Integer("vocabulary"), rows = c.Integer("rows");
    Random random(++stream);
    std::vector<float> logits = random.Floats(rows * vocabulary, 6.0f);
    for (float& x : logits) {
      if (random.Chance(5)) x = std::round(x);  // ties
      if (random.Chance(50)) x = random.Chance(2) ? -INFINITY : std::nanf("");
    }
    std::vector<SampleOptions> options(rows);
    std::vector<std::vector<int32_t>> seen(rows);
    for (int64_t i = 0; i < rows; ++i) {
      // At least one logit to draw.
      if (!std::isfinite(logits[i * vocabulary])) logits[i * vocabulary] = 0.25f;
      options[i] = {std::stof(c.Text("temperature")), std::stof(c.Text("top_p")), std::stof(c.Text("min_p")), std::stof(c.Text("penalty")),
                    static_cast<int32_t>(c.Integer("top_k")), random.Next(), random.Next()};
      for (int64_t s = random.Integer(0, 6); s > 0; --s) seen[i].push_back(static_cast<int32_t>(random.Integer(0, vocabulary - 1)));
    }
    const Sampled got = RunSample(runtime.get(), logits, vocabulary, options, seen, c.Integer("pad"));
    const Sampled other = RunSample(many.get(), logits, vocabulary, options, seen);
    ASSERT_EQ(got.token, other.token) << c.Describe();
    ASSERT_TRUE(SameBits(got.log_probability, other.log_probability)) << c.Describe();
    for (int64_t i = 0; i < rows; ++i) {
      const std::vector<float> row(logits.begin() + i * vocabulary, logits.begin() + (i + 1) * vocabulary);
      double margin;
      const int32_t expected = Oracle(row, options[i], seen[i], &margin);
      if (margin > 1e-6) {
        ++compared;
        ASSERT_EQ(got.token[i], expected) << c.Describe() << " row " << i;
      } else {
        ++skipped;  // within rounding of another outcome
      }
      double sum = 0;
      for (const float x : row) sum += std::isnan(x) ? 0 : std::exp(static_cast<double>(x));
      const double log_probability = row[got.token[i]] - std::log(sum);
      ASSERT_NEAR(got.log_probability[i], log_probability, 4e-7 * (1 + std::fabs(log_probability))) << c.Describe() << " row " << i;
    }
  }
  std::printf("%d draws compared, %d within rounding of another outcome\n", compared, skipped);
  EXPECT_GT(compared, 20 * skipped);
}

TEST_P(SampleTest, DrawsFollowTheDistribution) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  const int64_t draws = 20000;
  const std::vector<float> row = {0.0f, 1.0f, 2.0f, -1.0f, 0.5f, 1.5f};
  std::vector<float> logits;
  std::vector<SampleOptions> options;
  for (int64_t i = 0; i < draws; ++i) {
    logits.insert(logits.end(), row.begin(), row.end());
    SampleOptions o;
    o.temperature = 0.8f;
    o.top_k = 5;
    o.seed = Seed();
    o.counter = i;
    options.push_back(o);
  }
  std::vector<int> count(6);
  for (const int32_t token : RunSample(runtime.get(), logits, 6, options).token) ++count[token];
  double total = 0;
  for (const float x : row) total += x < -0.5f ? 0 : std::exp(x / 0.8);
  EXPECT_EQ(count[3], 0) << "sixth of six, top-k is 5";
  for (int i = 0; i < 6; ++i) {
    if (i == 3) continue;
    const double p = std::exp(row[i] / 0.8) / total;
    EXPECT_NEAR(count[i], draws * p, 5 * std::sqrt(draws * p * (1 - p))) << "token " << i;
  }
}

TEST_P(SampleTest, Greedy) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const float inf = INFINITY, nan = std::nanf("");
  const auto greedy = [&](std::vector<float> row, float penalty = 1, std::vector<int32_t> seen = {}) {
    SampleOptions o;
    o.temperature = 0;
    o.penalty = penalty;
    return RunSample(runtime.get(), row, static_cast<int64_t>(row.size()), {o}, {seen}).token[0];
  };
  EXPECT_EQ(greedy({1, 3, 3, 2}), 1) << "ties: the lower id";
  EXPECT_EQ(greedy({nan, -5, nan}), 1);
  EXPECT_EQ(greedy({nan, nan}), 0);
  EXPECT_EQ(greedy({-inf, nan, -inf}), 0);
  EXPECT_EQ(greedy({1, inf, inf}), 1);
  EXPECT_EQ(greedy({2, 1.5f}, 1.5f, {0, 0}), 1) << "2 / 1.5, once";
  EXPECT_EQ(greedy({2.5f, 1.5f}, 1.5f, {0, 0}), 0) << "2.5 / 1.5 once is still more than 1.5";
  EXPECT_EQ(greedy({-1, -1.2f}, 1.5f, {0}), 1) << "-1 * 1.5";
  std::vector<float> ties(1000, 1.0f);
  ties[777] = ties[222] = 2.0f;
  EXPECT_EQ(greedy(ties), 222);
}

TEST_P(SampleTest, EdgesOfTheFilters) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const float inf = INFINITY, nan = std::nanf("");
  const auto tokens = [&](const std::vector<float>& row, SampleOptions o) {
    std::set<int32_t> seen;
    for (o.counter = 0; o.counter < 200; ++o.counter) {
      seen.insert(RunSample(runtime.get(), row, static_cast<int64_t>(row.size()), {o}).token[0]);
    }
    return seen;
  };
  SampleOptions o;
  o.top_k = 2;
  EXPECT_EQ(tokens({0, 0, 0, 0}, o), (std::set<int32_t>{0, 1})) << "ties: the lower id";
  o = {};
  o.top_p = 0.5f;
  EXPECT_EQ(tokens({0, 0, 0, 0}, o), (std::set<int32_t>{0, 1})) << "exactly half of the mass is enough";
  o.top_p = 0.51f;
  EXPECT_EQ(tokens({0, 0, 0, 0}, o), (std::set<int32_t>{0, 1, 2}));
  o.top_k = 2;
  o.top_p = 0.5f;
  EXPECT_EQ(tokens({0, 0, 0, 0}, o), (std::set<int32_t>{0})) << "half of what top-k has left";
  o.top_k = 0;
  o.top_p = 1e-9f;
  EXPECT_EQ(tokens({0, 1, 0, 0}, o), (std::set<int32_t>{1})) << "at least one";
  o = {};
  o.min_p = 0.5f;
  EXPECT_EQ(tokens({0, std::log(0.49f), std::log(0.51f), 0}, o), (std::set<int32_t>{0, 2, 3}));
  o = {};
  EXPECT_EQ(tokens({inf, 0, inf, -inf}, o), (std::set<int32_t>{0, 2}));
  EXPECT_EQ(tokens({nan, -inf, nan}, o), (std::set<int32_t>{0}));
  EXPECT_EQ(tokens({nan, 1, -inf, 1}, o), (std::set<int32_t>{1, 3}));
  o.temperature = 1e-30f;
  EXPECT_EQ(tokens({1, 1.1f, 1}, o), (std::set<int32_t>{1})) << "nearly greedy";
  o.temperature = 1e30f;
  EXPECT_EQ(tokens({1, 30, -30}, o).size(), 3u) << "nearly uniform";
}

// With n tokens kept, all as likely, the draw is floor(u n), exactly: ties go by id, and the first of them are kept.
TEST_P(SampleTest, ManyTies) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  struct {
    int64_t vocabulary;
    int32_t top_k;
    float top_p;
    int64_t kept;
  } const cases[] = {{6000, 0, 1, 6000}, {6000, 700, 1, 700}, {6000, 0, 0.25f, 1500}, {6000, 4096, 0.25f, 1024}, {9000, 3, 1, 3}, {513, 512, 0.5f, 256}};
  for (const auto& c : cases) {
    // Lower logits that are too unlikely to be drawn lie in between.
    std::vector<float> row(2 * c.vocabulary, 1.5f);
    for (int64_t i = 0; i < c.vocabulary; ++i) row[2 * i + 1] = -150.0f;
    SampleOptions o;
    o.top_k = c.top_k;
    o.top_p = c.top_p;
    for (o.counter = 0; o.counter < 6; ++o.counter) {
      const int64_t drawn = static_cast<int64_t>(OracleUniform(o.seed, o.counter) * static_cast<double>(c.kept));
      EXPECT_EQ(RunSample(runtime.get(), row, 2 * c.vocabulary, {o}).token[0], 2 * drawn)
          << "of " << c.vocabulary << " with top-k " << c.top_k << " and top-p " << c.top_p;
    }
  }
}

TEST_P(SampleTest, TopLogProbabilities) {
  const RuntimePtr runtime = MakeRuntime(isa(), 3);
  uint64_t stream = 40;
  for (const int64_t vocabulary : {1, 2, 17, 100, 5000}) {
    for (const int32_t top_k : {1, 2, 5, 20, 4999}) {
      if (top_k > vocabulary) continue;
      const int64_t rows = 4;
      Random random(++stream);
      std::vector<float> logits = random.Floats(rows * vocabulary, 8.0f);
      for (float& x : logits) x = random.Chance(3) ? std::round(x) : random.Chance(40) ? std::nanf("") : x;
      const MatrixInput input(logits, rows, vocabulary, 1, 0);
      std::vector<int32_t> token(rows * top_k);
      GuardedOutput log_probability(1, rows * top_k, rows * top_k, 0);
      const lanes_top_log_probabilities_params params = {sizeof params, rows, vocabulary, top_k, input.data(), input.size(), input.stride(),
                                                         token.data(), token.size(), log_probability.data(), log_probability.size()};
      ASSERT_LANES_OK(lanes_top_log_probabilities(runtime.get(), &params));
      log_probability.CheckSentinels();
      for (int64_t r = 0; r < rows; ++r) {
        std::vector<float> row(logits.begin() + r * vocabulary, logits.begin() + (r + 1) * vocabulary);
        double sum = 0;
        for (float& x : row) x = std::isnan(x) ? -INFINITY : x;
        for (const float x : row) sum += std::exp(static_cast<double>(x));
        std::vector<int32_t> order(vocabulary);
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&row](int32_t a, int32_t b) { return row[a] > row[b]; });
        for (int32_t i = 0; i < top_k; ++i) {
          ASSERT_EQ(token[r * top_k + i], order[i]) << "vocabulary " << vocabulary << " k " << top_k << " row " << r << " place " << i;
          const double expected = row[order[i]] - std::log(sum);
          const float got = log_probability.At(0, r * top_k + i);
          if (std::isinf(expected)) {
            ASSERT_EQ(got, -INFINITY);
          } else {
            ASSERT_NEAR(got, expected, 4e-7 * (1 + std::fabs(expected)));
          }
        }
      }
    }
  }
}

TEST_P(SampleTest, RefusesBadArguments) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const std::vector<float> logits(10);
  std::vector<int32_t> token(2), seen = {1, 5};
  std::vector<float> log_probability(2);
  std::vector<lanes_sample_row> rows(2, {1, 0, 1, 0, 1, 0, 0, 0, 0, 0});
  lanes_sample_params good = {};
  good.size = sizeof good;
  good.rows = 2;
  good.vocabulary = good.logits_stride = 5;
  good.logits = logits.data();
  good.logits_len = 10;
  good.row = rows.data();
  good.row_len = 2;
  good.seen = seen.data();
  good.seen_len = 2;
  good.token = token.data();
  good.token_len = 2;
  ASSERT_LANES_OK(lanes_sample(runtime.get(), &good));
  const auto refused = [&](const char* text, const std::function<void(lanes_sample_params*)>& change) {
    const std::vector<lanes_sample_row> before = rows;
    lanes_sample_params bad = good;
    change(&bad);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_sample(runtime.get(), &bad));
    std::copy(before.begin(), before.end(), rows.begin());
  };
  refused("rows", [](auto* p) { p->rows = -1; });
  refused("vocabulary", [](auto* p) { p->vocabulary = 0; });
  refused("logits_len", [](auto* p) { p->logits_len = 9; });
  refused("logits", [](auto* p) { p->logits = nullptr; });
  refused("row_len", [](auto* p) { p->row_len = 1; });
  refused("row is NULL", [](auto* p) { p->row = nullptr; });
  refused("token_len", [](auto* p) { p->token_len = 1; });
  refused("token", [](auto* p) { p->token = nullptr; });
  refused("log_probability_len", [&](auto* p) { p->log_probability = log_probability.data(); });
  refused("row[1].temperature", [&](auto*) { rows[1].temperature = -1; });
  refused("row[1].temperature", [&](auto*) { rows[1].temperature = std::nanf(""); });
  refused("row[1].temperature", [&](auto*) { rows[1].temperature = INFINITY; });
  refused("row[0].top_k", [&](auto*) { rows[0].top_k = -1; });
  refused("row[0].top_p", [&](auto*) { rows[0].top_p = 0; });
  refused("row[0].top_p", [&](auto*) { rows[0].top_p = 1.5f; });
  refused("row[0].top_p", [&](auto*) { rows[0].top_p = std::nanf(""); });
  refused("row[0].min_p", [&](auto*) { rows[0].min_p = 1; });
  refused("row[0].min_p", [&](auto*) { rows[0].min_p = -0.1f; });
  refused("row[0].repetition_penalty", [&](auto*) { rows[0].repetition_penalty = 0; });
  refused("row[0].repetition_penalty", [&](auto*) { rows[0].repetition_penalty = std::nanf(""); });
  refused("seen_begin", [&](auto*) { rows[0].seen_count = 3; });
  refused("seen_begin", [&](auto*) { rows[0].seen_begin = -1; });
  refused("seen_begin", [&](auto*) { rows[0].seen_begin = INT64_MAX; rows[0].seen_count = INT64_MAX; });
  refused("seen[1] is 5", [&](auto*) { rows[0].seen_count = 2; });
  const lanes_top_log_probabilities_params top = {sizeof top, 1, 5, 2, logits.data(), 10, 5, token.data(), 2, log_probability.data(), 2};
  ASSERT_LANES_OK(lanes_top_log_probabilities(runtime.get(), &top));
  const auto top_refused = [&](const char* text, const std::function<void(lanes_top_log_probabilities_params*)>& change) {
    lanes_top_log_probabilities_params bad = top;
    change(&bad);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_top_log_probabilities(runtime.get(), &bad));
  };
  top_refused("rows", [](auto* p) { p->rows = -1; });
  top_refused("top_k", [](auto* p) { p->top_k = 0; });
  top_refused("top_k", [](auto* p) { p->top_k = 6; });
  top_refused("token_len", [](auto* p) { p->token_len = 1; });
  top_refused("log_probability", [](auto* p) { p->log_probability = nullptr; });
  top_refused("logits_stride", [](auto* p) { p->logits_stride = 4; });
  top_refused("64 bits", [](auto* p) { p->rows = INT64_MAX; });
}

class PhiloxTest : public LanesTest {};

// Known answers of the authors' Random123 library.
TEST_F(PhiloxTest, KnownAnswers) {
  const auto words = [](const lanes::Philox& random) { return std::vector<uint32_t>(random.word, random.word + 4); };
  EXPECT_EQ(words(lanes::Philox4x32({0, 0, 0, 0}, {0, 0})), (std::vector<uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(words(lanes::Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff})),
            (std::vector<uint32_t>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(words(lanes::Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0})),
            (std::vector<uint32_t>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

}  // namespace
}  // namespace lanes_test
