// Attention over scattered pages, and the ops bound by memory: norms, gate, sampling.
#include <cmath>
#include <numeric>

#include "bench.h"

namespace lanes_bench {
namespace {

const char* const kDtypeNames[] = {"f32", "bf16"};

uint32_t Scramble(uint64_t i) { return static_cast<uint32_t>((i * 0x9E3779B97F4A7C15u) >> 33); }

std::vector<float> Values(int64_t count, float scale) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = scale * (static_cast<float>(Scramble(i) % 2001) * 1e-3f - 1.0f);
  return values;
}

struct AttentionShape {
  int32_t heads, kv_heads, head_dim, dtype, sequences;
  int64_t n, kv;  // queries and keys of each sequence
};

class AttentionCase {
 public:
  AttentionCase(lanes_runtime* runtime, const AttentionShape& shape) : runtime_(runtime), shape_(shape) {
    const int64_t pages = (shape.kv + LANES_PAGE_TOKENS - 1) / LANES_PAGE_TOKENS;
    table_.resize(pages * shape.sequences);
    std::iota(table_.begin(), table_.end(), 0);
    for (size_t i = table_.size() - 1; i > 0; --i) std::swap(table_[i], table_[Scramble(i) % (i + 1)]);
    lanes_kv_pool_params params = {sizeof params, static_cast<int32_t>(table_.size()), 1, shape.kv_heads, shape.head_dim, shape.dtype};
    Check(lanes_kv_pool_create(&params, &pool_));
    for (int64_t s = 0; s < shape.sequences; ++s) Write(s, pages);
    const int64_t width = static_cast<int64_t>(shape.heads) * shape.head_dim;
    q_ = Values(shape.sequences * shape.n * width, 2.0f);
    out_.resize(q_.size());
    for (int64_t s = 0; s <= shape.sequences; ++s) q_begin_.push_back(s * shape.n);
    kv_len_.assign(shape.sequences, shape.kv);
    p_.size = sizeof p_;
    p_.pool = pool_;
    p_.heads = shape.heads;
    p_.sequences = shape.sequences;
    p_.causal = 1;
    p_.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
    p_.tokens = shape.sequences * shape.n;
    p_.q = q_.data();
    p_.q_len = p_.out_len = q_.size();
    p_.q_stride = p_.out_stride = width;
    p_.q_begin = q_begin_.data();
    p_.q_begin_len = q_begin_.size();
    p_.kv_len = kv_len_.data();
    p_.kv_len_len = kv_len_.size();
    p_.page_table = table_.data();
    p_.page_table_len = table_.size();
    p_.page_table_stride = pages;
    p_.out = out_.data();
  }
  ~AttentionCase() { Check(lanes_kv_pool_destroy(pool_)); }
  AttentionCase(const AttentionCase&) = delete;
  AttentionCase& operator=(const AttentionCase&) = delete;

  void Run() { Check(lanes_attention(runtime_, &p_)); }

 private:
  void Write(int64_t s, int64_t pages) {
    const int64_t width = static_cast<int64_t>(shape_.kv_heads) * shape_.head_dim;
    const std::vector<float> x = Values(shape_.kv * width, 1.5f);
    std::vector<int64_t> slots(shape_.kv);
    for (int64_t j = 0; j < shape_.kv; ++j) {
      slots[j] = static_cast<int64_t>(table_[s * pages + j / LANES_PAGE_TOKENS]) * LANES_PAGE_TOKENS + j % LANES_PAGE_TOKENS;
    }
    lanes_kv_write_params write = {};
    write.size = sizeof write;
    write.pool = pool_;
    write.tokens = shape_.kv;
    write.slots = slots.data();
    write.slots_len = slots.size();
    write.k = write.v = x.data();
    write.k_len = write.v_len = x.size();
    write.k_stride = write.v_stride = width;
    Check(lanes_kv_write(runtime_, &write));
  }

  lanes_runtime* runtime_;
  const AttentionShape shape_;
  lanes_kv_pool* pool_ = nullptr;
  std::vector<int32_t> table_;
  std::vector<float> q_, out_;
  std::vector<int64_t> q_begin_, kv_len_;
  lanes_attention_params p_ = {};
};

void Prefill(lanes_runtime* runtime, const Options& options, const Ceilings& ceilings, const AttentionShape& shape) {
  char name[96];
  std::snprintf(name, sizeof name, "attention prefill n=%lld d=%d heads=%d/%d %s", static_cast<long long>(shape.n), shape.head_dim,
                shape.heads, shape.kv_heads, kDtypeNames[shape.dtype]);
  if (!options.Wants(name)) return;
  AttentionCase attention(runtime, shape);
  const Timing t = Measure([&](int) { attention.Run(); });
  // Half of the square counts: 2 products x 2 operations x n^2 / 2.
  const double gflops = 2.0 * static_cast<double>(shape.n * shape.n) * shape.head_dim * shape.heads / t.median * 1e-9;
  std::printf("%-52s %10.1f us (%.1f..%.1f)  %7.1f GFLOP/s %3.0f%%\n", name, t.median * 1e6, t.least * 1e6, t.most * 1e6, gflops,
              100 * gflops / ceilings.fma);
  std::fflush(stdout);
}

void Decode(lanes_runtime* runtime, const Options& options, const Ceilings& ceilings, const AttentionShape& shape) {
  char name[96];
  std::snprintf(name, sizeof name, "attention decode kv=%lld d=%d heads=%d/%d x%d %s", static_cast<long long>(shape.kv),
                shape.head_dim, shape.heads, shape.kv_heads, shape.sequences, kDtypeNames[shape.dtype]);
  if (!options.Wants(name)) return;
  AttentionCase attention(runtime, shape);
  const Timing t = Measure([&](int) { attention.Run(); });
  const double bytes = 2.0 * static_cast<double>(shape.sequences * shape.kv * shape.kv_heads) * shape.head_dim *
                       (shape.dtype == LANES_F32 ? 4 : 2);
  std::printf("%-52s %10.1f us (%.1f..%.1f)  %7.1f GB/s %3.0f%%  (%.0f MB of keys and values)\n", name, t.median * 1e6, t.least * 1e6,
              t.most * 1e6, bytes / t.median * 1e-9, 100 * bytes / t.median * 1e-9 / ceilings.read, bytes * 1e-6);
  std::fflush(stdout);
}

void Norm(lanes_runtime* runtime, const Options& options, const Ceilings& ceilings, int32_t kind) {
  const std::string name = kind == LANES_NORM_LAYER ? "norm layer 4096 x 4096 in place" : "norm rms 4096 x 4096 in place";
  if (!options.Wants(name)) return;
  const int64_t n = 4096;
  std::vector<float> x = Values(n * n, 1.0f);
  const std::vector<float> weight(n, 1.0f);
  lanes_norm_params p = {};
  p.size = sizeof p;
  p.kind = kind;
  p.epsilon = 1e-5f;
  p.rows = p.cols = p.x_stride = p.y_stride = n;
  p.x = p.y = x.data();
  p.x_len = p.y_len = x.size();
  p.weight = weight.data();
  p.weight_len = weight.size();
  const Timing t = Measure([&](int) { Check(lanes_norm(runtime, &p)); });
  const double gbs = 2.0 * static_cast<double>(x.size()) * 4 / t.median * 1e-9;
  std::printf("%-52s %10.1f us  %7.1f GB/s %3.0f%%\n", name.c_str(), t.median * 1e6, gbs, 100 * gbs / ceilings.read);
}

void Gate(lanes_runtime* runtime, const Options& options, const Ceilings& ceilings) {
  const std::string name = "gate silu 512 x 5632";
  if (!options.Wants(name)) return;
  const int64_t rows = 512, cols = 5632;
  const std::vector<float> gate = Values(rows * cols, 4.0f), up = Values(rows * cols, 1.0f);
  std::vector<float> y(rows * cols);
  lanes_gate_params p = {};
  p.size = sizeof p;
  p.activation = LANES_ACTIVATION_SILU;
  p.rows = rows;
  p.cols = p.gate_stride = p.up_stride = p.y_stride = cols;
  p.gate = gate.data();
  p.up = up.data();
  p.y = y.data();
  p.gate_len = p.up_len = p.y_len = y.size();
  const Timing t = Measure([&](int) { Check(lanes_gate(runtime, &p)); });
  const double gbs = 3.0 * static_cast<double>(y.size()) * 4 / t.median * 1e-9;
  std::printf("%-52s %10.1f us  %7.1f GB/s %3.0f%%\n", name.c_str(), t.median * 1e6, gbs, 100 * gbs / ceilings.read);
}

void Sample(lanes_runtime* runtime, const Options& options, const char* how, const lanes_sample_row& row) {
  const std::string name = std::string("sample of 151936 ") + how;
  if (!options.Wants(name)) return;
  const int64_t vocabulary = 151936;
  // Peaked, as a model's logits are: the sum of a few uniform numbers.
  std::vector<float> logits = Values(vocabulary, 4.0f);
  for (int64_t i = 0; i < vocabulary; ++i) logits[i] += 4.0f * static_cast<float>(Scramble(i + 77777) % 1000) * 1e-3f;
  int32_t token;
  lanes_sample_params p = {};
  p.size = sizeof p;
  p.rows = 1;
  p.vocabulary = p.logits_stride = vocabulary;
  p.logits = logits.data();
  p.logits_len = logits.size();
  p.row = &row;
  p.row_len = 1;
  p.token = &token;
  p.token_len = 1;
  const Timing t = Measure([&](int) { Check(lanes_sample(runtime, &p)); });
  std::printf("%-52s %10.1f us\n", name.c_str(), t.median * 1e6);
}

}  // namespace

void BenchAttention(lanes_runtime* runtime, const Options& options, const Ceilings& ceilings) {
  for (const int32_t dtype : {LANES_F32, LANES_BF16}) {
    for (const int32_t dim : {64, 128}) {
      for (const int64_t n : {512, 1024, 2048, 4096}) Prefill(runtime, options, ceilings, {32, 32, dim, dtype, 1, n, n});
    }
    Prefill(runtime, options, ceilings, {9, 3, 64, dtype, 1, 512, 512});
    Prefill(runtime, options, ceilings, {6, 6, 48, dtype, 1, 256, 256});
    for (const int32_t dim : {64, 128}) {
      for (const int64_t kv : {512, 4096}) {
        Decode(runtime, options, ceilings, {32, 8, dim, dtype, 1, 1, kv});
        Decode(runtime, options, ceilings, {32, 8, dim, dtype, 8, 1, kv});
      }
      Decode(runtime, options, ceilings, {32, 32, dim, dtype, 2, 1, 4096});
      Decode(runtime, options, ceilings, {32, 4, dim, dtype, 8, 1, 4096});
    }
  }
  Norm(runtime, options, ceilings, LANES_NORM_LAYER);
  Norm(runtime, options, ceilings, LANES_NORM_RMS);
  Gate(runtime, options, ceilings);
  Sample(runtime, options, "greedy", {0, 0, 1, 0, 1, 0, 1, 1, 0, 0});
  Sample(runtime, options, "plain", {1, 0, 1, 0, 1, 0, 1, 1, 0, 0});
  Sample(runtime, options, "top-k 40", {1, 40, 1, 0, 1, 0, 1, 1, 0, 0});
  Sample(runtime, options, "top-p 0.9", {1, 0, 0.9f, 0, 1, 0, 1, 1, 0, 0});
  Sample(runtime, options, "min-p 0.05", {1, 0, 1, 0.05f, 1, 0, 1, 1, 0, 0});
}

}  // namespace lanes_bench
