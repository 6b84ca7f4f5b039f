#include <functional>

#include "support/attention_problem.h"

namespace lanes_test {
namespace {

using Rows = std::vector<std::vector<float>>;

std::vector<AttentionKind> KindsOf(const Case& c) {
  std::vector<AttentionKind> kinds;
  for (const AttentionKind& kind : kAttentionKinds) {
    // On a CPU that is EXACT: HalvesKeepQueriesOfEverySize.
    if (kind.compute == LANES_COMPUTE_F16 && !kOnGpu) continue;
    if (c.Text("dtype") == "all" || ParseDtype(c.Text("dtype")) == kind.dtype) kinds.push_back(kind);
  }
  return kinds;
}

// How `runtime` computes the problem: without bfloat16 dot products BF16 is EXACT (the reference always rounds), and so is F16 on a CPU.
AttentionProblem AsComputed(lanes_runtime* runtime, AttentionProblem problem) {
  lanes_runtime_info info = {};
  info.size = sizeof info;
  EXPECT_LANES_OK(lanes_get_runtime_info(runtime, &info));
  const bool rounds = kOnGpu || info.bf16_dot != 0 || info.isa == LANES_ISA_REFERENCE;
  if (problem.compute == LANES_COMPUTE_BF16 && !rounds) problem.compute = LANES_COMPUTE_EXACT;
  if (problem.compute == LANES_COMPUTE_F16 && !kOnGpu) problem.compute = LANES_COMPUTE_EXACT;
  return problem;
}

// docs/numerics.md: at most twice the error of the same arithmetic done unfused in float32, plus a floor of a few roundings, plus
// what rounding the weights may do.
void CheckAgainstOracle(lanes_runtime* runtime, const AttentionProblem& given, const Rows& rows, const std::string& what) {
  const AttentionProblem problem = AsComputed(runtime, given);
  for (size_t s = 0; s < problem.sequences.size(); ++s) {
    const Unfused<double> truth(problem, problem.sequences[s]);
    const Unfused<float> unfused(problem, problem.sequences[s]);
    ASSERT_EQ(rows[s].size(), truth.out.size());
    double arithmetic = 0;
    for (size_t i = 0; i < truth.out.size(); ++i) arithmetic = std::max(arithmetic, std::fabs(unfused.out[i] - truth.out[i]));
    arithmetic = 2 * arithmetic + 8 * 0x1p-24;
    for (size_t i = 0; i < truth.out.size(); ++i) {
      const double error = std::fabs(rows[s][i] - truth.out[i]), allowed = arithmetic + truth.allowed[i];
      if (!(error <= allowed)) {
        FAIL() << what << " dtype " << problem.dtype << " compute " << problem.compute << ": sequence " << s << " query "
               << i / problem.Width() << " head " << i % problem.Width() / problem.dim << " dim " << i % problem.dim << " is "
               << rows[s][i] << ", expected " << truth.out[i] << " +- " << allowed;
      }
    }
  }
}

void ExpectSameBits(const Rows& a, const Rows& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) ASSERT_TRUE(SameBits(a[i], b[i])) << what << ": sequence " << i;
}

class AttentionTest : public IsaTest {};
INSTANTIATE_FOR_ISAS(AttentionTest);

TEST_P(AttentionTest, MatchesTheOracleOnCases) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("attention.tsv")) {
    for (const AttentionKind& kind : KindsOf(c)) {
      const AttentionProblem problem = MakeAttention(c, kind, ++stream);
      PagedCache cache(problem, stream);
      cache.WriteAll(runtime.get());
      const Rows rows = cache.RunAll(runtime.get());
      CheckAgainstOracle(runtime.get(), problem, rows, c.Describe());
      const Rows halves = cache.RunAll(runtime.get(), true);
      for (size_t s = 0; s < rows.size(); ++s) {
        ASSERT_TRUE(SameBits(halves[s], RoundTo(LANES_BF16, rows[s]))) << c.Describe() << " as bfloat16: sequence " << s;
      }
      if (HasFailure()) return;
    }
  }
}

TEST_P(AttentionTest, BitsDoNotDependOnBatchPlacementOrThreads) {
  const RuntimePtr one = MakeRuntime(isa(), 1);
  std::vector<RuntimePtr> others;
  for (const int threads : {2, 3, 8}) {
    // The reference shares out rows only: one count of threads shows as much as three.
    if (isa() != LANES_ISA_REFERENCE || threads == 3) others.push_back(MakeRuntime(isa(), threads));
  }
  uint64_t stream = 100;
  for (const Case& c : ReadCases("attention.tsv")) {
    for (const AttentionKind& kind : KindsOf(c)) {
      const AttentionProblem problem = MakeAttention(c, kind, ++stream);
      PagedCache cache(problem, stream);
      cache.WriteAll(one.get());
      const Rows batch = cache.RunAll(one.get());
      for (size_t s = 0; s < problem.sequences.size(); ++s) {
        const Rows alone = cache.Run(one.get(), {{s, 0, problem.sequences[s].n}});
        ASSERT_TRUE(SameBits(alone[0], batch[s])) << c.Describe() << ": sequence " << s << " alone";
      }
      for (const RuntimePtr& other : others) ExpectSameBits(batch, cache.RunAll(other.get()), c.Describe() + " threads");
      PagedCache elsewhere(problem, stream + 1000);
      elsewhere.WriteAll(one.get());
      ExpectSameBits(batch, elsewhere.RunAll(one.get()), c.Describe() + " pages");
      if (HasFailure()) return;
    }
  }
}

// A prompt in chunks: each chunk's keys are written just before it runs, what comes later is NaN.
Rows RunInChunks(lanes_runtime* runtime, const AttentionProblem& problem, int64_t chunk) {
  PagedCache cache(problem, 7);
  Rows rows(problem.sequences.size());
  for (size_t s = 0; s < problem.sequences.size(); ++s) {
    const Sequence& sequence = problem.sequences[s];
    cache.Write(runtime, s, 0, sequence.kv - sequence.n);
    for (int64_t begin = 0; begin < sequence.n; begin += chunk) {
      const int64_t end = std::min(begin + chunk, sequence.n), base = sequence.kv - sequence.n;
      cache.Write(runtime, s, base + begin, base + end);
      const Rows part = cache.Run(runtime, {{s, begin, end}});
      rows[s].insert(rows[s].end(), part[0].begin(), part[0].end());
    }
  }
  return rows;
}

AttentionProblem LongPrompts(const AttentionKind& kind) {
  AttentionProblem problem = {};
  problem.dim = 24;
  problem.heads = 6;
  problem.kv_heads = 2;
  problem.dtype = kind.dtype;
  problem.compute = kind.compute;
  problem.causal = true;
  problem.use_q_sink = true;
  problem.scale = 0.25f;
  problem.sequences = {{300, 300, 0, 0, {}, {}, {}, {}},
                       {300, 300, 100, 0, {}, {}, {}, {}},
                       {300, 300, 70, 5, {}, {}, {}, {}},
                       {70, 2100, 0, 0, {}, {}, {}, {}},
                       {70, 2100, 1000, 66, {}, {}, {}, {}}};
  Random random(5);
  Fill(&problem, &random);
  return problem;
}

TEST_P(AttentionTest, BitsDoNotDependOnChunks) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2), wide = MakeRuntime(isa(), 8);
  for (const AttentionKind& kind : kAttentionKinds) {
    const AttentionProblem problem = LongPrompts(kind);
    const Rows whole = RunInChunks(runtime.get(), problem, 100000);
    CheckAgainstOracle(runtime.get(), problem, whole, "long prompts");
    for (const int64_t chunk : {1, 16, 33, 256}) {
      ExpectSameBits(whole, RunInChunks(chunk == 1 ? wide.get() : runtime.get(), problem, chunk), "chunks of " + std::to_string(chunk));
    }
  }
}

// What the tests above compare must be able to differ: another order of the keys does change bits.
TEST_P(AttentionTest, OrderOfKeysChangesBits) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  AttentionProblem problem = LongPrompts(kAttentionKinds[0]);
  problem.causal = false;
  problem.sequences = {{4, 200, 0, 0, {}, {}, {}, {}}};
  Random random(6);
  Fill(&problem, &random);
  AttentionProblem reversed = problem;
  for (int64_t j = 0; j < 200; ++j) {
    for (int64_t i = 0; i < problem.KvWidth(); ++i) {
      reversed.sequences[0].k[j * problem.KvWidth() + i] = problem.sequences[0].k[(199 - j) * problem.KvWidth() + i];
      reversed.sequences[0].v[j * problem.KvWidth() + i] = problem.sequences[0].v[(199 - j) * problem.KvWidth() + i];
    }
  }
  PagedCache cache(problem, 1), other(reversed, 1);
  cache.WriteAll(runtime.get());
  other.WriteAll(runtime.get());
  EXPECT_FALSE(SameBits(cache.RunAll(runtime.get())[0], other.RunAll(runtime.get())[0]));
}

// Equal keys give equal weights: with values that are small integers the mean of 2^k of them is exact.
TEST_P(AttentionTest, MeanOfEqualKeysIsExact) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  for (const int32_t dtype : {LANES_F32, LANES_BF16, LANES_F16}) {
    for (const int64_t kv : {1, 2, 64, 128, 1024, 4096}) {
      AttentionProblem problem = {};
      problem.dim = 20;
      problem.heads = problem.kv_heads = 2;
      problem.dtype = dtype;
      problem.causal = true;
      problem.scale = 1.0f;
      problem.sequences = {{1, kv, 0, 0, {}, {}, {}, {}}};
      Random random(kv);
      Fill(&problem, &random);
      Sequence& s = problem.sequences[0];
      for (int64_t i = 0; i < kv * problem.KvWidth(); ++i) s.k[i] = s.k[i % problem.KvWidth()];
      s.v = random.SmallIntegers(kv * problem.KvWidth(), 8);
      PagedCache cache(problem, 1);
      cache.WriteAll(runtime.get());
      const std::vector<float> out = cache.RunAll(runtime.get())[0];
      for (int64_t i = 0; i < problem.Width(); ++i) {
        double sum = 0;
        for (int64_t j = 0; j < kv; ++j) sum += s.v[j * problem.KvWidth() + i];
        ASSERT_EQ(out[i], static_cast<float>(sum / kv)) << kv << " keys, element " << i;
      }
    }
  }
}

TEST_P(AttentionTest, ExtremeScoresStayFinite) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  for (const float size : {1e-20f, 30.0f, 1e4f, 1e15f}) {
    AttentionProblem problem = {};
    problem.dim = 16;
    problem.heads = problem.kv_heads = 1;
    problem.dtype = LANES_F32;
    problem.causal = true;
    problem.scale = 1.0f;
    problem.sequences = {{150, 150, 0, 0, {}, {}, {}, {}}};
    Random random(9);
    Fill(&problem, &random);
    for (float& q : problem.sequences[0].q) q *= size;
    for (float& k : problem.sequences[0].k) k *= size;
    PagedCache cache(problem, 1);
    cache.WriteAll(runtime.get());
    const Rows rows = cache.RunAll(runtime.get());
    for (const float value : rows[0]) ASSERT_LE(std::fabs(value), 1.0f) << "queries and keys of " << size;
  }
}

// Scores of -infinity weigh nothing, in their tile and in a split of their own.
TEST_P(AttentionTest, MinusInfinityWeighsNothing) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  AttentionProblem problem = {};
  problem.dim = 8;
  problem.heads = problem.kv_heads = 1;
  problem.dtype = LANES_F32;
  problem.causal = true;
  problem.scale = 1.0f;
  for (const int64_t kv : {70, 2200}) {
    problem.sequences = {{3, kv, 0, 0, {}, {}, {}, {}}};
    Random random(10);
    Fill(&problem, &random);
    Sequence& s = problem.sequences[0];
    for (float& q : s.q) q = std::fabs(q) + 0.5f;
    for (int64_t j = 0; j < kv - 4; ++j) {
      for (int64_t d = 0; d < 8; ++d) s.k[j * 8 + d] = -INFINITY;
    }
    PagedCache cache(problem, 1);
    cache.WriteAll(runtime.get());
    CheckAgainstOracle(runtime.get(), problem, cache.RunAll(runtime.get()), "minus infinity");
  }
}

// NaN and infinity in one sequence, head or value stay there.
TEST_P(AttentionTest, NanStaysInItsRow) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  AttentionProblem problem = LongPrompts(kAttentionKinds[0]);
  problem.use_q_sink = false;
  problem.sequences.resize(2);
  PagedCache clean(problem, 3);
  clean.WriteAll(runtime.get());
  const Rows expected = clean.RunAll(runtime.get());
  AttentionProblem dirty = problem;
  const int64_t width = problem.Width(), key = 150;
  dirty.sequences[0].q[5 * width + 2 * 24] = std::nanf("");            // query 5, head 2
  dirty.sequences[1].v[key * problem.KvWidth() + 24 + 3] = INFINITY;  // kv head 1, dim 3
  PagedCache cache(dirty, 3);
  cache.WriteAll(runtime.get());
  const Rows rows = cache.RunAll(runtime.get());
  for (int64_t i = 0; i < 300 * width; ++i) {
    const int64_t query = i / width, head = i % width / 24, d = i % 24;
    if (query == 5 && head == 2) {
      EXPECT_TRUE(std::isnan(rows[0][i]));
    } else {
      ASSERT_EQ(memcmp(&rows[0][i], &expected[0][i], 4), 0) << "query " << query << " head " << head;
    }
    const bool sees = query >= key && query < key + 100 && head >= 3 && d == 3;
    if (sees) {
      EXPECT_FALSE(std::isfinite(rows[1][i]));
    } else {
      ASSERT_EQ(memcmp(&rows[1][i], &expected[1][i], 4), 0) << "query " << query << " head " << head << " dim " << d;
    }
  }
}

// A row of keys or values that holds NaN or infinity makes an int8 page's scale NaN: whoever sees it is NaN, in every dimension, and
// nobody else.
TEST_P(AttentionTest, NanInAnInt8RowReachesThoseWhoSeeIt) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  for (const bool in_key : {true, false}) {
    AttentionProblem problem = LongPrompts({LANES_S8, LANES_COMPUTE_INT8});
    problem.use_q_sink = false;
    problem.sequences.resize(2);
    PagedCache clean(problem, 3);
    clean.WriteAll(runtime.get());
    const Rows expected = clean.RunAll(runtime.get());
    const int64_t width = problem.Width(), key = 150;
    AttentionProblem dirty = problem;
    Sequence& s = dirty.sequences[1];
    (in_key ? s.k : s.v)[key * problem.KvWidth() + 24 + 3] = in_key ? std::nanf("") : -INFINITY;  // kv head 1
    PagedCache cache(dirty, 3);
    cache.WriteAll(runtime.get());
    const Rows rows = cache.RunAll(runtime.get());
    EXPECT_TRUE(SameBits(rows[0], expected[0]));
    for (int64_t i = 0; i < 300 * width; ++i) {
      const int64_t query = i / width, head = i % width / 24;
      if (query >= key && query < key + 100 && head >= 3) {
        ASSERT_TRUE(std::isnan(rows[1][i])) << "query " << query << " head " << head;
      } else {
        ASSERT_EQ(memcmp(&rows[1][i], &expected[1][i], 4), 0) << "query " << query << " head " << head;
      }
    }
  }
}

// Queries, keys and values of any size that a float can have, zero among them, and of sizes that differ from token to token.
TEST_P(AttentionTest, Int8PagesKeepEverySize) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  for (const float size : {0.0f, 1e-44f, 1e-38f, 1e-30f, 1e-20f, 1.0f, 1e20f, 1e36f}) {
    for (const bool mixed : {false, true}) {
      AttentionProblem problem = {};
      problem.dim = 20;
      problem.heads = 2;
      problem.kv_heads = 1;
      problem.dtype = LANES_S8;
      problem.compute = LANES_COMPUTE_INT8;
      problem.causal = true;
      problem.scale = 1.0f;
      problem.sequences = {{70, 140, 0, 0, {}, {}, {}, {}}};
      Random random(12);
      Fill(&problem, &random);
      Sequence& s = problem.sequences[0];
      for (int64_t j = 0; j < 140; ++j) {
        for (int64_t d = 0; d < 20; ++d) s.v[j * 20 + d] *= mixed && j % 3 == 0 ? 1e-3f * size : size;
        if (mixed && j % 5 == 0) std::fill_n(s.k.begin() + j * 20, 20, 0.0f);
      }
      // Scores of ordinary size from queries and keys that are not.
      if (size > 0) {
        for (float& k : s.k) k *= std::min(size, 1e30f);
        for (float& q : s.q) q /= std::min(size, 1e30f);
        if (size < 1e-30f) s.q = random.Floats(s.q.size(), 2.0f);
      }
      PagedCache cache(problem, 1);
      cache.WriteAll(runtime.get());
      const Rows rows = cache.RunAll(runtime.get());
      const Unfused<double> truth(problem, s);
      // Weights times scales below 2^-113 lose digits, down to nothing.
      const double floor = 127 * 0x1p-126;
      for (size_t i = 0; i < truth.out.size(); ++i) {
        ASSERT_NEAR(rows[0][i], truth.out[i], truth.allowed[i] + 1e-5 * size + floor) << "size " << size << " element " << i;
      }
    }
  }
}

// A page that is used again has the scales of what it holds now.
TEST_P(AttentionTest, ReusedPagesForgetTheirScales) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  AttentionProblem large = LongPrompts({LANES_S8, LANES_COMPUTE_INT8});
  large.sequences.resize(1);
  AttentionProblem small = large;
  for (float& k : large.sequences[0].k) k *= 50;
  for (float& v : large.sequences[0].v) v *= 1000;
  PagedCache fresh(small, 4), reused(large, 4);
  fresh.WriteAll(runtime.get());
  reused.WriteAll(runtime.get());
  reused.Replace(small);
  reused.WriteAll(runtime.get());
  EXPECT_TRUE(SameBits(fresh.RunAll(runtime.get())[0], reused.RunAll(runtime.get())[0]));
}

// Queries of any size that a float can have, in float16 arithmetic: nothing overflows, and little is lost.
TEST_P(AttentionTest, HalvesKeepQueriesOfEverySize) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  for (const float size : {0.0f, 1e-42f, 1e-38f, 1e-30f, 1e-4f, 1.0f, 1e5f, 1e30f, 1e38f}) {
    AttentionProblem problem = {};
    problem.dim = 40;
    problem.heads = 2;
    problem.kv_heads = 1;
    problem.dtype = LANES_F16;
    problem.compute = LANES_COMPUTE_F16;
    problem.causal = true;
    problem.scale = 1.0f;
    problem.sequences = {{50, 140, 0, 0, {}, {}, {}, {}}, {1, 150, 0, 0, {}, {}, {}, {}}};
    Random random(13);
    Fill(&problem, &random);
    // Scores are of ordinary size, or as small as queries make them.
    for (Sequence& s : problem.sequences) {
      for (float& q : s.q) q *= size;
      for (float& k : s.k) k = RoundTo(LANES_F16, size > 1 ? std::max(1 / size, 6e-5f) * k : k);
    }
    PagedCache cache(problem, 1);
    cache.WriteAll(runtime.get());
    const Rows rows = cache.RunAll(runtime.get());
    if (!kOnGpu) {
      AttentionProblem exact = problem;
      exact.compute = LANES_COMPUTE_EXACT;
      cache.Replace(exact);
      ExpectSameBits(rows, cache.RunAll(runtime.get()), "EXACT");
    }
    if (size <= 1e5f) {
      CheckAgainstOracle(runtime.get(), problem, rows, "queries of " + std::to_string(size));
    } else {
      // One key has all the weight, or several that tie.
      for (const std::vector<float>& row : rows) {
        for (const float value : row) ASSERT_LE(std::fabs(value), 1.0f) << "queries of " << size;
      }
    }
    if (HasFailure()) return;
  }
}

// A query that holds infinity or NaN gives NaN in its own row alone, whatever it is multiplied in.
TEST_P(AttentionTest, QueriesThatAreNotFiniteGiveNan) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  for (const AttentionKind& kind : kAttentionKinds) {
    AttentionProblem problem = LongPrompts(kind);
    problem.use_q_sink = false;
    problem.sequences.resize(1);
    PagedCache cache(problem, 3);
    cache.WriteAll(runtime.get());
    const std::vector<float> expected = cache.RunAll(runtime.get())[0];
    AttentionProblem dirty = problem;
    const int64_t width = problem.Width(), dim = problem.dim;
    dirty.sequences[0].q[7 * width + 1 * dim + 3] = INFINITY;
    dirty.sequences[0].q[9 * width + 4 * dim + 23] = -INFINITY;
    dirty.sequences[0].q[9 * width + 5 * dim] = std::nanf("");
    cache.Replace(dirty);
    const std::vector<float> rows = cache.RunAll(runtime.get())[0];
    for (int64_t i = 0; i < 300 * width; ++i) {
      const int64_t query = i / width, head = i % width / dim;
      if ((query == 7 && head == 1) || (query == 9 && head >= 4)) {
        ASSERT_TRUE(std::isnan(rows[i])) << "dtype " << kind.dtype << " query " << query << " head " << head << " is " << rows[i];
      } else {
        ASSERT_EQ(memcmp(&rows[i], &expected[i], 4), 0) << "dtype " << kind.dtype << " query " << query << " head " << head;
      }
    }
  }
}

TEST_P(AttentionTest, OutputMayReplaceQueries) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  const PoolPtr pool = MakePool(1, 1, 2, 16, LANES_F32);
  const int64_t n = 20, width = 64;
  Random random(11);
  std::vector<int64_t> slots(n);
  for (int64_t i = 0; i < n; ++i) slots[i] = i;
  const std::vector<float> k = random.Floats(n * 32), v = random.Floats(n * 32);
  lanes_kv_write_params write = {};
  write.size = sizeof write;
  write.pool = pool.get();
  write.tokens = n;
  write.slots = slots.data();
  write.slots_len = n;
  write.k = k.data();
  write.v = v.data();
  write.k_len = write.v_len = k.size();
  write.k_stride = write.v_stride = 32;
  ASSERT_LANES_OK(lanes_kv_write(runtime.get(), &write));
  std::vector<float> q = random.Floats(n * width), out(n * width);
  const int64_t q_begin[] = {0, n}, kv_len[] = {n};
  const int32_t page = 0;
  lanes_attention_params params = {};
  params.size = sizeof params;
  params.pool = pool.get();
  params.heads = 4;
  params.sequences = 1;
  params.causal = 1;
  params.scale = 0.25f;
  params.tokens = n;
  params.q = q.data();
  params.q_len = params.out_len = q.size();
  params.q_stride = params.out_stride = width;
  params.q_begin = q_begin;
  params.q_begin_len = 2;
  params.kv_len = kv_len;
  params.kv_len_len = 1;
  params.page_table = &page;
  params.page_table_len = params.page_table_stride = 1;
  params.out = out.data();
  ASSERT_LANES_OK(lanes_attention(runtime.get(), &params));
  params.out = q.data();
  ASSERT_LANES_OK(lanes_attention(runtime.get(), &params));
  EXPECT_TRUE(SameBits(q, out));
}

TEST_P(AttentionTest, RefusesBadArguments) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const PoolPtr pool = MakePool(4, 2, 2, 8, LANES_F32);
  std::vector<float> q(3 * 32 + 1), q_sink(3 * 32), out(3 * 32);
  std::vector<int64_t> q_begin = {0, 2, 3}, kv_len = {70, 1}, window = {0, 0}, sinks = {0, 0};
  std::vector<int32_t> pages = {0, 3, 2, -1};
  lanes_attention_params good = {};
  good.size = sizeof good;
  good.pool = pool.get();
  good.heads = 4;
  good.sequences = 2;
  good.causal = 1;
  good.scale = 0.5f;
  good.tokens = 3;
  good.q = q.data();
  good.q_len = good.out_len = 3 * 32;
  good.q_stride = good.out_stride = 32;
  good.q_begin = q_begin.data();
  good.q_begin_len = 3;
  good.kv_len = kv_len.data();
  good.kv_len_len = 2;
  good.page_table = pages.data();
  good.page_table_len = 4;
  good.page_table_stride = 2;
  good.window = window.data();
  good.window_len = 2;
  good.sinks = sinks.data();
  good.sinks_len = 2;
  good.out = out.data();
  ASSERT_LANES_OK(lanes_attention(runtime.get(), &good));
  const auto refused = [&](const char* text, const std::function<void(lanes_attention_params*)>& change) {
    const std::vector<int64_t> q_begin_before = q_begin, kv_len_before = kv_len;
    const std::vector<int32_t> pages_before = pages;
    lanes_attention_params bad = good;
    change(&bad);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_attention(runtime.get(), &bad));
    std::copy(q_begin_before.begin(), q_begin_before.end(), q_begin.begin());
    std::copy(kv_len_before.begin(), kv_len_before.end(), kv_len.begin());
    std::copy(pages_before.begin(), pages_before.end(), pages.begin());
    window = sinks = {0, 0};
  };
  refused("pool", [](auto* p) { p->pool = nullptr; });
  refused("layer", [](auto* p) { p->layer = 2; });
  refused("heads", [](auto* p) { p->heads = 3; });
  refused("heads", [](auto* p) { p->heads = 0; });
  refused("sequences", [](auto* p) { p->sequences = -1; });
  refused("scale", [](auto* p) { p->scale = std::nanf(""); });
  refused("scale", [](auto* p) { p->scale = INFINITY; });
  refused("tokens", [](auto* p) { p->tokens = -1; });
  refused("q_begin[2]", [](auto* p) { p->tokens = 2; });
  refused("q_len", [](auto* p) { p->q_len = 95; });
  refused("q is NULL", [](auto* p) { p->q = nullptr; });
  refused("q_stride", [](auto* p) { p->q_stride = 31; });
  refused("q_sink_len", [&](auto* p) { p->q_sink = q_sink.data(); });
  refused("q_begin_len", [](auto* p) { p->q_begin_len = 2; });
  refused("q_begin is NULL", [](auto* p) { p->q_begin = nullptr; });
  refused("q_begin[0]", [&](auto*) { q_begin[0] = 1; });
  refused("q_begin[1]", [&](auto*) { q_begin[1] = 4; });
  refused("q_begin[1]", [&](auto*) { q_begin[1] = -1; });
  refused("q_begin[2]", [&](auto*) { q_begin[2] = 1; });
  refused("kv_len_len", [](auto* p) { p->kv_len_len = 1; });
  refused("kv_len[0]", [&](auto*) { kv_len[0] = 1; });
  refused("kv_len[1]", [&](auto*) { kv_len[1] = -5; });
  refused("page_table_stride", [&](auto*) { kv_len[0] = 129; });
  refused("page_table_stride", [&](auto*) { kv_len[0] = INT64_MAX; });
  refused("page_table_len", [](auto* p) { p->page_table_len = 3; });
  refused("page_table is NULL", [](auto* p) { p->page_table = nullptr; });
  refused("page_table[0][1] is 4", [&](auto*) { pages[1] = 4; });
  refused("page_table[0][0] is -1", [&](auto*) { pages[0] = -1; });
  refused("page_table[1][0] is -2", [&](auto*) { pages[2] = -2; });
  refused("page_table[0][0]", [&](auto*) { window[0] = 10; sinks[0] = 1; pages[0] = -1; });
  refused("window_len", [](auto* p) { p->window_len = 1; });
  refused("window[1]", [&](auto*) { window[1] = -1; });
  refused("causal", [&](auto* p) { window[0] = 5; p->causal = 0; });
  refused("sinks[1]", [&](auto*) { sinks[1] = -1; });
  refused("sinks_len", [](auto* p) { p->sinks_len = 1; });
  refused("out_len", [](auto* p) { p->out_len = 95; });
  refused("out is NULL", [](auto* p) { p->out = nullptr; });
  std::vector<uint16_t> halves(3 * 32);
  const auto as_bf16 = [&](lanes_attention_params* p) {
    p->out = nullptr;
    p->out_bf16 = halves.data();
    p->out_bf16_len = halves.size();
    p->out_bf16_stride = 32;
  };
  refused("both out and out_bf16", [&](auto* p) { as_bf16(p); p->out = out.data(); });
  refused("out_bf16_len", [&](auto* p) { as_bf16(p); p->out_bf16_len = 95; });
  refused("out_bf16_stride", [&](auto* p) { as_bf16(p); p->out_bf16_stride = 31; });
  refused("out_bf16 and q overlap", [&](auto* p) { as_bf16(p); p->out_bf16 = reinterpret_cast<uint16_t*>(q.data()); });
  refused("overlap", [&](auto* p) { p->out = q.data() + 1; });
  refused("overlap", [&](auto* p) { p->q_sink = q_sink.data(); p->q_sink_len = 96; p->out = q_sink.data(); });
  refused("64 bits", [](auto* p) { p->tokens = INT64_MAX; });
  refused("compute is 4", [](auto* p) { p->compute = 4; });
  refused("compute is -1", [](auto* p) { p->compute = -1; });
  refused("compute is 1 for f32 pages", [](auto* p) { p->compute = LANES_COMPUTE_BF16; });
  refused("compute is 2 for f32 pages", [](auto* p) { p->compute = LANES_COMPUTE_INT8; });
  refused("compute is 3 for f32 pages", [](auto* p) { p->compute = LANES_COMPUTE_F16; });
  const PoolPtr s8 = MakePool(4, 2, 2, 8, LANES_S8), bf16 = MakePool(4, 2, 2, 8, LANES_BF16), f16 = MakePool(4, 2, 2, 8, LANES_F16);
  refused("compute is 0 for s8 pages", [&](auto* p) { p->pool = s8.get(); });
  refused("compute is 2 for bf16 pages", [&](auto* p) { p->pool = bf16.get(); p->compute = LANES_COMPUTE_INT8; });
  refused("compute is 3 for bf16 pages", [&](auto* p) { p->pool = bf16.get(); p->compute = LANES_COMPUTE_F16; });
  refused("compute is 1 for f16 pages", [&](auto* p) { p->pool = f16.get(); p->compute = LANES_COMPUTE_BF16; });
  refused("size", [](auto* p) { p->size = sizeof *p + 8; });
  // What no query sees need not be there; a sequence without queries asks for nothing.
  window = {3, 0};
  pages = {-1, 3, 2, -1};
  EXPECT_LANES_OK(lanes_attention(runtime.get(), &good));
  q_begin = {0, 3, 3};
  kv_len = {70, 0};
  EXPECT_LANES_OK(lanes_attention(runtime.get(), &good));
  if (kOnGpu) return;  // Nothing is allocated there for a part that is the whole.
  const RuntimePtr fresh = MakeRuntime(isa(), 1);
  ASSERT_LANES_OK(lanes_fail_allocation(1));
  EXPECT_EQ(lanes_attention(fresh.get(), &good), LANES_ERROR_OUT_OF_MEMORY);
  EXPECT_LANES_OK(lanes_attention(fresh.get(), &good));
}

}  // namespace
}  // namespace lanes_test
