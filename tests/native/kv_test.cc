#include <algorithm>
#include <functional>

#include "support/attention_problem.h"

namespace lanes_test {
namespace {

class KvTest : public IsaTest {};
INSTANTIATE_FOR_ISAS(KvTest);

lanes_kv_write_params WriteParams(lanes_kv_pool* pool, const std::vector<int64_t>& slots, const std::vector<float>& k,
                                  const std::vector<float>& v, int64_t width) {
  lanes_kv_write_params params = {};
  params.size = sizeof params;
  params.pool = pool;
  params.tokens = static_cast<int64_t>(slots.size());
  params.slots = slots.data();
  params.slots_len = slots.size();
  params.k = k.data();
  params.v = v.data();
  params.k_len = k.size();
  params.v_len = v.size();
  params.k_stride = params.v_stride = width;
  return params;
}

// Attention with one key returns its value as stored: what was written can be read back.
std::vector<float> ReadValue(lanes_runtime* runtime, lanes_kv_pool* pool, int32_t dtype, int32_t layer, int32_t heads, int32_t dim,
                             int64_t slot, const std::vector<float>& q) {
  std::vector<float> out(q.size());
  const int64_t q_begin[] = {0, 1}, kv_len[] = {slot % LANES_PAGE_TOKENS + 1}, window[] = {1};
  const int32_t page = static_cast<int32_t>(slot / LANES_PAGE_TOKENS);
  lanes_attention_params params = {};
  params.size = sizeof params;
  params.pool = pool;
  params.layer = layer;
  params.heads = heads;
  params.sequences = 1;
  params.causal = 1;
  params.scale = 1;
  params.tokens = 1;
  params.q = q.data();
  params.q_len = params.out_len = q.size();
  params.q_stride = params.out_stride = heads * dim;
  params.q_begin = q_begin;
  params.q_begin_len = 2;
  params.kv_len = kv_len;
  params.kv_len_len = 1;
  params.page_table = &page;
  params.page_table_len = params.page_table_stride = 1;
  params.window = window;
  params.window_len = 1;
  params.out = out.data();
  params.compute = ComputeFor(dtype);
  EXPECT_LANES_OK(lanes_attention(runtime, &params));
  return out;
}

TEST_P(KvTest, EveryLayerPageAndSlotHoldsItsOwn) {
  const RuntimePtr runtime = MakeRuntime(isa(), 3);
  for (const int32_t dtype : {LANES_F32, LANES_BF16, LANES_F16, LANES_S8}) {
    for (const int32_t dim : {1, 7, 16, 33}) {
      const int32_t heads = 3, pages = 3, layers = 2;
      const int64_t width = heads * dim, tokens = pages * LANES_PAGE_TOKENS;
      const PoolPtr pool = MakePool(pages, layers, heads, dim, dtype);
      Random random(dim);
      const std::vector<float> q = random.Floats(width);
      std::vector<int64_t> slots(tokens);
      for (int64_t i = 0; i < tokens; ++i) slots[i] = i;
      if (dim % 2 == 0) {
        for (int64_t i = tokens - 1; i > 40; --i) std::swap(slots[i], slots[random.Integer(41, i)]);  // a run, then disorder
      } else {
        std::rotate(slots.begin(), slots.begin() + 7, slots.end());  // runs that go on in the next page
      }
      std::vector<std::vector<float>> values;
      for (int32_t layer = 0; layer < layers; ++layer) {
        const std::vector<float> k = random.Floats(tokens * width);
        values.push_back(random.Floats(tokens * width));
        lanes_kv_write_params params = WriteParams(pool.get(), slots, k, values.back(), width);
        params.layer = layer;
        ASSERT_LANES_OK(lanes_kv_write(runtime.get(), &params));
      }
      for (int32_t layer = 0; layer < layers; ++layer) {
        for (int64_t i = 0; i < tokens; ++i) {
          const std::vector<float> got = ReadValue(runtime.get(), pool.get(), dtype, layer, heads, dim, slots[i], q);
          for (int64_t j = 0; j < width; ++j) {
            const float written = values[layer][i * width + j];
            if (dtype == LANES_S8) {
              const QuantizedRow row(&values[layer][i * width + j / dim * dim], dim);
              // One weight of 1 brings back element times scale, but for the roundings of both.
              const double expected = row.elements[j % dim] * row.scale;
              ASSERT_NEAR(got[j], expected, std::fabs(expected) * 0x1p-14) << "layer " << layer << " slot " << slots[i] << " at " << j;
            } else {
              ASSERT_EQ(got[j], RoundTo(dtype, written)) << "layer " << layer << " slot " << slots[i] << " at " << j;
            }
          }
        }
      }
    }
  }
}

TEST_P(KvTest, HalvesAreRoundedToEven) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const float nan = std::nanf(""), step = 0x1p-24f;
  // Written, expected: ties, the largest, what is beyond it, subnormal numbers, and those too small for one.
  const std::vector<std::pair<float, float>> pairs = {
      {1 + 0x1p-11f, 1}, {1 + 0x3p-11f, 1 + 0x1p-9f}, {65504, 65504}, {65519.996f, 65504}, {65520, INFINITY}, {-1e30f, -INFINITY},
      {-INFINITY, -INFINITY}, {nan, nan}, {0x1p-14f, 0x1p-14f}, {1023 * step, 1023 * step}, {1.5f * step, 2 * step},
      {-2.5f * step, -2 * step}, {0.5f * step, 0}, {0.50001f * step, step}, {1e-40f, 0}, {0.1f, 0x1.998p-4f}, {-0.1f, -0x1.998p-4f}};
  const auto dim = static_cast<int32_t>(pairs.size());
  std::vector<float> written;
  for (const auto& pair : pairs) written.push_back(pair.first);
  const PoolPtr pool = MakePool(1, 1, 1, dim, LANES_F16);
  const std::vector<int64_t> slots = {3};
  const std::vector<float> k(dim, 1.0f), q(dim, 1.0f);
  const lanes_kv_write_params params = WriteParams(pool.get(), slots, k, written, dim);
  ASSERT_LANES_OK(lanes_kv_write(runtime.get(), &params));
  const std::vector<float> got = ReadValue(runtime.get(), pool.get(), LANES_F16, 0, 1, dim, slots[0], q);
  for (int32_t d = 0; d < dim; ++d) {
    if (std::isnan(pairs[d].second)) {
      EXPECT_TRUE(std::isnan(got[d])) << got[d];
    } else {
      EXPECT_EQ(got[d], pairs[d].second) << written[d];
    }
  }
}

TEST_P(KvTest, SkippedTokensAndOtherSlotsStayUntouched) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  for (const int32_t dtype : {LANES_F32, LANES_BF16, LANES_F16, LANES_S8}) {
    const PoolPtr pool = MakePool(2, 1, 1, 9, dtype);
    EXPECT_LANES_OK(lanes_kv_page_poison(pool.get(), 0));
    const std::vector<float> k(27, 1.0f), v(27, 2.0f), q(9, 1.0f);
    const std::vector<int64_t> slots = {5, -1, 7};
    const lanes_kv_write_params params = WriteParams(pool.get(), slots, k, v, 9);
    ASSERT_LANES_OK(lanes_kv_write(runtime.get(), &params));
    for (int64_t slot = 0; slot < LANES_PAGE_TOKENS; ++slot) {
      const std::vector<float> got = ReadValue(runtime.get(), pool.get(), dtype, 0, 1, 9, slot, q);
      for (const float value : got) {
        if (slot == 5 || slot == 7) {
          EXPECT_NEAR(value, 2.0f, dtype == LANES_S8 ? 0x1p-13 : 0) << slot;
        } else {
          EXPECT_TRUE(std::isnan(value)) << slot;
        }
      }
    }
  }
}

TEST_P(KvTest, PoisonReachesEveryLayerOfItsPageOnly) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const std::vector<float> q(16, 1.0f);
  for (const int32_t dtype : {LANES_F32, LANES_BF16, LANES_F16, LANES_S8}) {
    const PoolPtr pool = MakePool(3, 2, 2, 8, dtype);
    ASSERT_LANES_OK(lanes_kv_page_poison(pool.get(), 1));
    for (int32_t layer = 0; layer < 2; ++layer) {
      for (int64_t page = 0; page < 3; ++page) {
        for (const int64_t offset : {0, 63}) {
          const std::vector<float> got = ReadValue(runtime.get(), pool.get(), dtype, layer, 2, 8, page * 64 + offset, q);
          for (const float value : got) EXPECT_EQ(std::isnan(value), page == 1);
        }
      }
    }
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "page", lanes_kv_page_poison(pool.get(), 3));
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "page", lanes_kv_page_poison(pool.get(), -1));
  }
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "pool", lanes_kv_page_poison(nullptr, 0));
}

TEST_P(KvTest, RefusesBadWrites) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const PoolPtr pool = MakePool(2, 2, 1, 4, LANES_F32);
  const std::vector<int64_t> slots = {1, 2, 0};
  const std::vector<float> k(12), v(12);
  const lanes_kv_write_params good = WriteParams(pool.get(), slots, k, v, 4);
  ASSERT_LANES_OK(lanes_kv_write(runtime.get(), &good));
  const auto refused = [&](const char* text, const std::function<void(lanes_kv_write_params*)>& change) {
    lanes_kv_write_params bad = good;
    change(&bad);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_kv_write(runtime.get(), &bad));
  };
  refused("layer", [](auto* p) { p->layer = 2; });
  refused("layer", [](auto* p) { p->layer = -1; });
  refused("tokens", [](auto* p) { p->tokens = -1; });
  refused("slots_len", [](auto* p) { p->slots_len = 2; });
  refused("slots", [](auto* p) { p->slots = nullptr; });
  refused("k_len", [](auto* p) { p->k_len = 11; });
  refused("v", [](auto* p) { p->v = nullptr; });
  refused("v_stride", [](auto* p) { p->v_stride = 3; });
  refused("pool", [](auto* p) { p->pool = nullptr; });
  refused("64 bits", [](auto* p) {
    p->tokens = INT64_MAX / 2;
    p->slots_len = UINT64_MAX;
  });
  const std::vector<int64_t> beyond = {0, 128, 1}, below = {0, -2, 1}, twice = {3, 1, 3}, in_run = {1, 2, 2}, run_again = {1, 2, 1};
  refused("slots[1] is 128", [&](auto* p) { p->slots = beyond.data(); });
  refused("slots[1] is -2", [&](auto* p) { p->slots = below.data(); });
  refused("3 twice", [&](auto* p) { p->slots = twice.data(); });
  refused("2 twice", [&](auto* p) { p->slots = in_run.data(); });
  refused("1 twice", [&](auto* p) { p->slots = run_again.data(); });
}

class KvPoolTest : public LanesTest {};

TEST_F(KvPoolTest, CountsItsBytes) {
  const lanes_kv_pool_params params = {sizeof params, 10, 3, 2, 24, LANES_BF16, DeviceRuntime()};
  uint64_t bytes = 0;
  ASSERT_LANES_OK(lanes_kv_pool_bytes(&params, &bytes));
  EXPECT_EQ(bytes, 10u * 3 * 2 * 64 * ((kOnGpu ? 32 : 24) + 32) * 2);
  // Keys in units of four (on a GPU in groups of 16), values in groups of 16, and two scales.
  const lanes_kv_pool_params s8 = {sizeof s8, 10, 3, 2, 22, LANES_S8, DeviceRuntime()};
  uint64_t s8_bytes = 0;
  ASSERT_LANES_OK(lanes_kv_pool_bytes(&s8, &s8_bytes));
  EXPECT_EQ(s8_bytes, 10u * 3 * 2 * 64 * ((kOnGpu ? 32 : 24) + 32 + 4 + 4));
  const lanes_kv_pool_params f16 = {sizeof f16, 10, 3, 2, 23, LANES_F16, DeviceRuntime()};
  uint64_t f16_bytes = 0;
  ASSERT_LANES_OK(lanes_kv_pool_bytes(&f16, &f16_bytes));
  EXPECT_EQ(f16_bytes, 10u * 3 * 2 * 64 * ((kOnGpu ? 32 : 23) + 32) * 2);
  const RuntimePtr runtime = MakeRuntime(LANES_ISA_AUTO, 1);
  lanes_runtime_memory before = {}, after = {};
  before.size = after.size = sizeof before;
  ASSERT_LANES_OK(lanes_get_runtime_memory(runtime.get(), &before));
  const PoolPtr pool = MakePool(10, 3, 2, 24, LANES_BF16);
  ASSERT_LANES_OK(lanes_get_runtime_memory(runtime.get(), &after));
  EXPECT_GE(after.live_bytes[LANES_MEMORY_KV] - before.live_bytes[LANES_MEMORY_KV], bytes);
}

TEST_F(KvPoolTest, RefusesBadShapes) {
  const lanes_kv_pool_params good = {sizeof good, 2, 2, 2, 16, LANES_F32, DeviceRuntime()};
  lanes_kv_pool* pool = nullptr;
  uint64_t bytes;
  const auto refused = [&](const char* text, const std::function<void(lanes_kv_pool_params*)>& change) {
    lanes_kv_pool_params bad = good;
    change(&bad);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_kv_pool_bytes(&bad, &bytes));
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_kv_pool_create(&bad, &pool));
    EXPECT_EQ(pool, nullptr);
  };
  refused("pages", [](auto* p) { p->pages = 0; });
  refused("layers", [](auto* p) { p->layers = -1; });
  refused("kv_heads", [](auto* p) { p->kv_heads = 0; });
  refused("head_dim", [](auto* p) { p->head_dim = 0; });
  refused("head_dim", [](auto* p) { p->head_dim = LANES_MAX_HEAD_DIM + 1; });
  refused("dtype", [](auto* p) { p->dtype = 17; });
  refused("64 bits", [](auto* p) { p->pages = p->layers = p->kv_heads = INT32_MAX; });
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "params", lanes_kv_pool_create(nullptr, &pool));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "out", lanes_kv_pool_create(&good, nullptr));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "bytes", lanes_kv_pool_bytes(&good, nullptr));
  lanes_kv_pool_params huge = good;
  huge.pages = INT32_MAX;
  EXPECT_EQ(lanes_kv_pool_create(&huge, &pool), LANES_ERROR_OUT_OF_MEMORY);
  ASSERT_LANES_OK(lanes_fail_allocation(1));
  EXPECT_EQ(lanes_kv_pool_create(&good, &pool), LANES_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(pool, nullptr);
  EXPECT_LANES_OK(lanes_kv_pool_destroy(nullptr));
  int not_a_pool = 0;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "pool", lanes_kv_pool_destroy(reinterpret_cast<lanes_kv_pool*>(&not_a_pool)));
}

}  // namespace
}  // namespace lanes_test
