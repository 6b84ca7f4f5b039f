#include <algorithm>
#include <utility>
#include <vector>

#include "abi/check.h"
#include "ops/kv_pool_storage.h"

using namespace lanes;

namespace {

void CheckSlots(const lanes_kv_write_params& p) {
  const int64_t slots = static_cast<int64_t>(p.pool->pages) * LANES_PAGE_TOKENS;
  bool ascending = true;
  int64_t last = -1;
  for (int64_t t = 0; t < p.tokens; ++t) {
    const int64_t slot = p.slots[t];
    if (slot < -1 || slot >= slots) {
      ThrowInvalid("slots[%lld] is %lld: expected -1 to %lld", static_cast<long long>(t), static_cast<long long>(slot),
                   static_cast<long long>(slots - 1));
    }
    if (slot < 0) continue;
    ascending = ascending && slot > last;
    last = slot;
  }
  if (ascending) return;
  // Pages lie anywhere, but the tokens of a page side by side: there are few runs to sort.
  struct Run {
    int64_t begin, end;
  };
  std::vector<Run> runs;
  for (int64_t t = 0; t < p.tokens; ++t) {
    const int64_t slot = p.slots[t];
    if (slot < 0) continue;
    if (!runs.empty() && runs.back().end == slot) {
      ++runs.back().end;
    } else {
      runs.push_back({slot, slot + 1});
    }
  }
  std::sort(runs.begin(), runs.end(), [](const Run& x, const Run& y) { return x.begin < y.begin; });
  for (size_t i = 1; i < runs.size(); ++i) {
    if (runs[i].begin < runs[i - 1].end) ThrowInvalid("slots holds %lld twice", static_cast<long long>(runs[i].begin));
  }
}

// What turns keys and queries: two inputs, and the queries, an output.
struct Rotation {
  Region cos, sin, q;
};

Rotation CheckRotation(const lanes_kv_write_params& p, int64_t width) {
  CheckRange(p.half, 0, p.pool->head_dim / 2, "half");
  CheckRange(p.q_heads, p.q == nullptr ? 0 : 1, p.q == nullptr ? 0 : INT32_MAX, "q_heads");
  if (p.half == 0) {
    for (const auto& [data, name] : {std::pair<const void*, const char*>{p.cos, "cos"}, {p.sin, "sin"}, {p.q, "q"}}) {
      if (data != nullptr) ThrowInvalid("%s is given, but half is 0: expected 1 to %d", name, p.pool->head_dim / 2);
    }
    return {};
  }
  CheckRange(p.pairing, LANES_ROPE_HALF, LANES_ROPE_INTERLEAVED, "pairing");
  const int64_t angles = CheckedMul(p.tokens, p.half, "cos");
  CheckArray(p.cos, p.cos_len, angles, "cos");
  CheckArray(p.sin, p.sin_len, angles, "sin");
  Rotation rotation = {RegionOf(p.cos, angles, "cos"), RegionOf(p.sin, angles, "sin"), {}};
  if (p.q == nullptr) return rotation;
  const int64_t q_width = CheckedMul(p.q_heads, p.pool->head_dim, "q");
  CheckMatrix(p.q, p.q_len, p.tokens, q_width, p.q_stride, "q");
  rotation.q = RegionOf(p.q, p.tokens, q_width, p.q_stride, "q");
  for (const Region& input : {RegionOf(p.k, p.tokens, width, p.k_stride, "k"), RegionOf(p.v, p.tokens, width, p.v_stride, "v"),
                              rotation.cos, rotation.sin, RegionOf(p.slots, p.tokens, "slots")}) {
    CheckDisjoint(rotation.q, input);
  }
  return rotation;
}

}  // namespace

int32_t lanes_kv_pool_create(const lanes_kv_pool_params* params, lanes_kv_pool** out) {
  return Guard("lanes_kv_pool_create", [&] {
    CheckOut(out, "out");
    *out = nullptr;
    const lanes_kv_pool_params p = ReadParams(params);
    auto pool = std::make_unique<KvPool>(p, DeviceOfParams(p.runtime));
    AddHandle(static_cast<lanes_kv_pool*>(pool.get()), HandleKind::kKvPool);
    *out = pool.release();
  });
}

int32_t lanes_kv_pool_destroy(lanes_kv_pool* pool) {
  return Guard("lanes_kv_pool_destroy", [&] {
    if (pool == nullptr) return;
    RemoveHandle(pool, HandleKind::kKvPool, "pool");
    delete static_cast<KvPool*>(pool);
  });
}

int32_t lanes_kv_pool_bytes(const lanes_kv_pool_params* params, uint64_t* bytes) {
  return Guard("lanes_kv_pool_bytes", [&] {
    if (bytes == nullptr) ThrowInvalid("bytes is NULL");
    const lanes_kv_pool_params p = ReadParams(params);
    *bytes = static_cast<uint64_t>(KvPoolBytes(p, DeviceOfParams(p.runtime) != nullptr));
  });
}

int32_t lanes_kv_page_poison(lanes_kv_pool* pool, int32_t page) {
  return Guard("lanes_kv_page_poison", [&] {
    const Pinned<lanes_kv_pool> pinned(pool, "pool");
    CheckRange(page, 0, pool->pages - 1, "page");
    static_cast<KvPool*>(pool)->PoisonPage(page);
  });
}

int32_t lanes_kv_write(lanes_runtime* runtime, const lanes_kv_write_params* params) {
  return Guard("lanes_kv_write", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const lanes_kv_write_params p = ReadParams(params);
    const Pinned<lanes_kv_pool> pool(p.pool, "pool");
    CheckRange(p.layer, 0, pool->layers - 1, "layer");
    CheckRange(p.tokens, 0, INT64_MAX, "tokens");
    const int64_t width = static_cast<int64_t>(pool->kv_heads) * pool->head_dim;
    CheckArray(p.slots, p.slots_len, p.tokens, "slots");
    CheckMatrix(p.k, p.k_len, p.tokens, width, p.k_stride, "k");
    CheckMatrix(p.v, p.v_len, p.tokens, width, p.v_stride, "v");
    CheckSlots(p);
    const Rotation rotation = CheckRotation(p, width);
    if (p.tokens == 0) return;
    CheckSameDevice(*pinned, pool->device, "pool");
    CheckReachable(*pinned, {RegionOf(p.k, p.tokens, width, p.k_stride, "k"), RegionOf(p.v, p.tokens, width, p.v_stride, "v"), rotation.cos,
                             rotation.sin, rotation.q});
    Turn turn(*pinned, OpId::kv_write);
    turn.kernels().kv_write->run(turn.context(), p);
    turn.End();
  });
}
