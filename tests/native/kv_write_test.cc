// Rotation on the way into the pages; what pages hold without it is in kv_test.
#include <cstddef>
#include <functional>

#include "support/attention_problem.h"
#include "support/matrix.h"

namespace lanes_test {
namespace {

class KvWriteTest : public IsaTest {};
INSTANTIATE_FOR_ISAS(KvWriteTest);

constexpr int32_t kPages = 4, kLayers = 2, kLayer = 1;

struct Problem {
  int32_t pairing, heads, kv_heads, head_dim;
  int64_t half, tokens, pad, offset;
  std::vector<float> q, k, v, cos, sin;
  std::vector<int64_t> slots;

  int64_t QWidth() const { return static_cast<int64_t>(heads) * head_dim; }
  int64_t Width() const { return static_cast<int64_t>(kv_heads) * head_dim; }
};

Problem MakeProblem(const Case& c, uint64_t stream) {
  Problem p;
  p.pairing = c.Text("pairing") == "half" ? LANES_ROPE_HALF : LANES_ROPE_INTERLEAVED;
  p.heads = static_cast<int32_t>(c.Integer("heads"));
  p.kv_heads = static_cast<int32_t>(c.Integer("kv_heads"));
  p.head_dim = static_cast<int32_t>(c.Integer("head_dim"));
  p.half = c.Integer("half");
  p.tokens = c.Integer("tokens");
  p.pad = c.Integer("pad");
  p.offset = c.Integer("offset");
  Random random(stream);
  p.q = random.Floats(p.tokens * p.QWidth(), 2.0f);
  p.k = random.Floats(p.tokens * p.Width(), 2.0f);
  p.v = random.Floats(p.tokens * p.Width(), 2.0f);
  p.cos = random.Floats(p.tokens * p.half);
  p.sin = random.Floats(p.tokens * p.half);
  // Runs that go on in the next page, a token in nine that is not kept, and, in every third problem, disorder.
  for (int64_t t = 0; t < p.tokens; ++t) p.slots.push_back(t % 9 == 4 ? -1 : 50 + t);
  if (stream % 3 == 0) {
    for (int64_t t = p.tokens - 1; t > 0; --t) std::swap(p.slots[t], p.slots[random.Integer(0, t)]);
  }
  return p;
}

// The queries afterwards, and all pages.
struct Result {
  std::vector<float> q;
  std::vector<char> pages;
};

void SetRotation(const Problem& p, const float* cos, const float* sin, lanes_kv_write_params* params) {
  params->pairing = p.pairing;
  params->half = p.half;
  params->cos = cos;
  params->sin = sin;
  params->cos_len = params->sin_len = static_cast<uint64_t>(p.tokens * p.half);
}

lanes_kv_write_params Params(const Problem& p, lanes_kv_pool* pool, const MatrixInput& k, const MatrixInput& v) {
  lanes_kv_write_params params = {};
  params.size = sizeof params;
  params.pool = pool;
  params.layer = kLayer;
  params.tokens = p.tokens;
  params.slots = p.slots.data();
  params.slots_len = p.slots.size();
  params.k = k.data();
  params.k_len = k.size();
  params.k_stride = k.stride();
  params.v = v.data();
  params.v_len = v.size();
  params.v_stride = v.stride();
  return params;
}

// In calls of at most `chunk` tokens.
Result RunFused(lanes_runtime* runtime, const Problem& p, int32_t dtype, int64_t chunk) {
  const PoolPtr pool = MakePool(kPages, kLayers, p.kv_heads, p.head_dim, dtype);
  const MatrixInput k(p.k, p.tokens, p.Width(), p.pad, p.offset), v(p.v, p.tokens, p.Width(), p.pad, p.offset);
  const GuardedInput<float> cos(p.cos), sin(p.sin);
  GuardedOutput q(p.tokens, p.QWidth(), p.QWidth() + p.pad, p.offset);
  FillOutput(&q, p.q, p.tokens, p.QWidth());
  lanes_kv_write_params params = Params(p, pool.get(), k, v);
  SetRotation(p, cos.data(), sin.data(), &params);
  if (p.heads > 0) {
    params.q_heads = p.heads;
    params.q = q.data();
    params.q_len = q.size();
    params.q_stride = p.QWidth() + p.pad;
  }
  for (int64_t begin = 0; begin < p.tokens; begin += chunk) {
    params.tokens = std::min(chunk, p.tokens - begin);
    EXPECT_LANES_OK(lanes_kv_write(runtime, &params));
    params.slots += chunk;
    params.slots_len -= chunk;
    params.k += chunk * params.k_stride;
    params.k_len -= chunk * params.k_stride;
    params.v += chunk * params.v_stride;
    params.v_len -= chunk * params.v_stride;
    params.cos += chunk * p.half;
    params.cos_len -= chunk * p.half;
    params.sin += chunk * p.half;
    params.sin_len -= chunk * p.half;
    if (params.q != nullptr) params.q += chunk * params.q_stride, params.q_len -= chunk * params.q_stride;
  }
  q.CheckSentinels();
  const std::vector<float> same(k.data(), k.data() + p.Width());
  EXPECT_TRUE(SameBits(same, std::vector<float>(p.k.begin(), p.k.begin() + p.Width()))) << "k has changed";
  return {q.Dense(), PoolContents(pool.get())};
}

std::vector<float> Rope(lanes_runtime* runtime, const Problem& p, const std::vector<float>& x, int32_t heads) {
  std::vector<float> y(x.size());
  if (heads == 0) return y;
  const int64_t width = static_cast<int64_t>(heads) * p.head_dim;
  const lanes_rope_params params = {sizeof params, p.pairing,    heads,        p.head_dim, p.tokens, p.half,   p.cos.data(), p.cos.size(),
                                    p.sin.data(),  p.sin.size(), x.data(),     x.size(),   width,    y.data(), y.size(),     width};
  EXPECT_LANES_OK(lanes_rope(runtime, &params));
  return y;
}

// lanes_rope of keys and queries, then lanes_kv_write.
Result RunApart(lanes_runtime* runtime, const Problem& p, int32_t dtype) {
  const PoolPtr pool = MakePool(kPages, kLayers, p.kv_heads, p.head_dim, dtype);
  const MatrixInput k(Rope(runtime, p, p.k, p.kv_heads), p.tokens, p.Width(), 0, 0), v(p.v, p.tokens, p.Width(), 0, 0);
  const lanes_kv_write_params params = Params(p, pool.get(), k, v);
  EXPECT_LANES_OK(lanes_kv_write(runtime, &params));
  return {Rope(runtime, p, p.q, p.heads), PoolContents(pool.get())};
}

TEST_P(KvWriteTest, RotatesAsRopeDoesOnCases) {
  const RuntimePtr one = MakeRuntime(isa(), 1), two = MakeRuntime(isa(), 2), many = MakeRuntime(isa(), 8);
  uint64_t stream = 0;
  for (const Case& c : ReadCases("kv_write.tsv")) {
    const Problem p = MakeProblem(c, ++stream);
    for (const int32_t dtype : {LANES_F32, LANES_BF16, LANES_F16, LANES_S8}) {
      const std::string what = c.Describe() + " dtype " + std::to_string(dtype);
      const Result expected = RunApart(one.get(), p, dtype);
      for (lanes_runtime* const runtime : {one.get(), two.get(), many.get()}) {
        for (const int64_t chunk : {p.tokens, (p.tokens + 1) / 2}) {
          const Result got = RunFused(runtime, p, dtype, chunk);
          ASSERT_TRUE(SameBits(got.q, expected.q)) << what << " chunk " << chunk << ": queries";
          ASSERT_TRUE(got.pages == expected.pages) << what << " chunk " << chunk << ": pages";
        }
      }
    }
  }
}

// As a model has them.
TEST_P(KvWriteTest, QueriesKeysAndValuesMayBeColumnsOfOneMatrix) {
  const RuntimePtr runtime = MakeRuntime(isa(), 3);
  const int32_t heads = 4, kv_heads = 2, dim = 16;
  const int64_t tokens = 21, q_width = heads * dim, width = kv_heads * dim, stride = q_width + 2 * width;
  Random random(7);
  Problem p = {LANES_ROPE_HALF, heads, kv_heads, dim, 6, tokens, 0, 0, {}, {}, {}, random.Floats(tokens * 6), random.Floats(tokens * 6), {}};
  std::vector<float> qkv = random.Floats(tokens * stride);
  for (int64_t t = 0; t < tokens; ++t) {
    const auto row = qkv.begin() + t * stride;
    p.q.insert(p.q.end(), row, row + q_width);
    p.k.insert(p.k.end(), row + q_width, row + q_width + width);
    p.v.insert(p.v.end(), row + q_width + width, row + stride);
    p.slots.push_back(t + 60);
  }
  const Result expected = RunApart(runtime.get(), p, LANES_BF16);
  const PoolPtr pool = MakePool(kPages, kLayers, kv_heads, dim, LANES_BF16);
  lanes_kv_write_params params = {};
  params.size = sizeof params;
  params.pool = pool.get();
  params.layer = kLayer;
  params.tokens = tokens;
  params.slots = p.slots.data();
  params.slots_len = p.slots.size();
  params.q = qkv.data();
  params.k = params.q + q_width;
  params.v = params.k + width;
  params.q_len = qkv.size();
  params.k_len = qkv.size() - q_width;
  params.v_len = params.k_len - width;
  params.q_stride = params.k_stride = params.v_stride = stride;
  params.q_heads = heads;
  SetRotation(p, p.cos.data(), p.sin.data(), &params);
  ASSERT_LANES_OK(lanes_kv_write(runtime.get(), &params));
  EXPECT_TRUE(PoolContents(pool.get()) == expected.pages);
  for (int64_t t = 0; t < tokens; ++t) {
    const auto row = qkv.begin() + t * stride;
    EXPECT_TRUE(SameBits(std::vector<float>(row, row + q_width),
                         std::vector<float>(expected.q.begin() + t * q_width, expected.q.begin() + (t + 1) * q_width)))
        << "token " << t;
    EXPECT_TRUE(SameBits(std::vector<float>(row + q_width, row + q_width + width),
                         std::vector<float>(p.k.begin() + t * width, p.k.begin() + (t + 1) * width)))
        << "token " << t;
  }
}

TEST_P(KvWriteTest, RefusesBadRotations) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const PoolPtr pool = MakePool(1, 1, 1, 6, LANES_F32);
  std::vector<int64_t> slots = {1, 0};
  std::vector<float> kv(24), q(24), cos(4), sin(4);
  lanes_kv_write_params good = {};
  good.size = sizeof good;
  good.pool = pool.get();
  good.tokens = 2;
  good.slots = slots.data();
  good.slots_len = 2;
  good.k = kv.data();
  good.v = kv.data() + 6;
  good.k_len = 24;
  good.v_len = 18;
  good.k_stride = good.v_stride = 12;
  good.half = 2;
  good.q_heads = 2;
  good.cos = cos.data();
  good.sin = sin.data();
  good.cos_len = good.sin_len = 4;
  good.q = q.data();
  good.q_len = 24;
  good.q_stride = 12;
  ASSERT_LANES_OK(lanes_kv_write(runtime.get(), &good));
  const auto refused = [&](const char* text, const std::function<void(lanes_kv_write_params*)>& change) {
    lanes_kv_write_params bad = good;
    change(&bad);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_kv_write(runtime.get(), &bad));
  };
  refused("pairing", [](auto* p) { p->pairing = 2; });
  refused("pairing", [](auto* p) { p->pairing = -1; });
  refused("half is 4", [](auto* p) { p->half = 4; });
  refused("half is -1", [](auto* p) { p->half = -1; });
  refused("cos is NULL", [](auto* p) { p->cos = nullptr; });
  refused("sin is NULL", [](auto* p) { p->sin = nullptr; });
  refused("cos_len", [](auto* p) { p->cos_len = 3; });
  refused("sin_len", [](auto* p) { p->sin_len = 3; });
  refused("cos is given, but half is 0", [](auto* p) { p->half = 0; });
  refused("sin is given, but half is 0", [](auto* p) { p->half = 0, p->cos = nullptr; });
  refused("q is given, but half is 0", [](auto* p) { p->half = 0, p->cos = p->sin = nullptr; });
  refused("q_heads is 0", [](auto* p) { p->q_heads = 0; });
  refused("q_heads is 2", [](auto* p) { p->q = nullptr; });
  refused("q_len", [](auto* p) { p->q_len = 23; });
  refused("q_stride", [](auto* p) { p->q_stride = 11; });
  refused("q_len", [](auto* p) { p->q_heads = INT32_MAX, p->q_stride = INT64_MAX / 8; });
  refused("q and k overlap", [&](auto* p) { p->q = kv.data() + 5; p->q_heads = 1; p->q_len = 18; });
  refused("q and v overlap", [&](auto* p) { p->q = kv.data() + 11; p->q_heads = 1; p->q_len = 13; p->tokens = 1; });
  refused("q and cos overlap", [&](auto* p) { p->cos = q.data() + 20; });
  refused("q and sin overlap", [&](auto* p) { p->sin = q.data(); });
  refused("q and slots overlap", [&](auto* p) { p->slots = reinterpret_cast<const int64_t*>(q.data()), p->tokens = 1; });
  lanes_kv_write_params none = good;
  none.tokens = 0;
  none.cos = none.sin = nullptr;
  EXPECT_LANES_OK(lanes_kv_write(runtime.get(), &none));
  // A caller that knows no rotation.
  lanes_kv_write_params older = good;
  older.size = offsetof(lanes_kv_write_params, pairing);
  EXPECT_LANES_OK(lanes_kv_write(runtime.get(), &older));
}

}  // namespace
}  // namespace lanes_test
