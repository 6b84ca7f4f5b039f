// Attention over scattered pages, and the ops bound by memory: norms, gate, sampling.
#include <cmath>
#include <numeric>

#include "bench.h"

namespace lanes_bench {
namespace {

// What pages hold and how they are multiplied.
struct Kind {
  const char* name;
  int32_t dtype, compute;
  // Of a key or a value.
  double Bytes(int32_t head_dim) const {
    return dtype == LANES_F32 ? 4.0 * head_dim : dtype == LANES_S8 ? head_dim + 4.0 : 2.0 * head_dim;
  }
};
constexpr Kind kF32 = {"f32", LANES_F32, LANES_COMPUTE_EXACT}, kBf16 = {"bf16", LANES_BF16, LANES_COMPUTE_EXACT},
               kBf16Dot = {"bf16 dot", LANES_BF16, LANES_COMPUTE_BF16}, kF16 = {"f16", LANES_F16, LANES_COMPUTE_EXACT},
               kS8 = {"s8", LANES_S8, LANES_COMPUTE_INT8};
constexpr Kind kKinds[] = {kF32, kBf16, kBf16Dot, kF16, kS8};

uint32_t Scramble(uint64_t i) { return static_cast<uint32_t>((i * 0x9E3779B97F4A7C15u) >> 33); }

std::vector<float> Values(int64_t count, float scale) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = scale * (static_cast<float>(Scramble(i) % 2001) * 1e-3f - 1.0f);
  return values;
}

struct AttentionShape {
  int32_t heads, kv_heads, head_dim;
  Kind kind;
  std::vector<int64_t> kv;  // keys of each sequence
  bool decode;              // one query a sequence; else as many as keys
  int64_t window = 0, sinks = 0;

  int64_t Longest() const { return *std::max_element(kv.begin(), kv.end()); }
  std::string Name() const {
    char text[120];
    std::snprintf(text, sizeof text, "attention %s %s=%lld d=%d heads=%d/%d%s %s", decode ? "decode" : "prefill", decode ? "kv" : "n",
                  static_cast<long long>(Longest()), head_dim, heads, kv_heads,
                  kv.size() > 1 ? (" x" + std::to_string(kv.size())).c_str() : "", kind.name);
    std::string name = text;
    if (window > 0) name += " window=" + std::to_string(window) + " sinks=" + std::to_string(sinks);
    return name;
  }
};

class AttentionCase {
 public:
  AttentionCase(lanes_runtime* runtime, const AttentionShape& shape) : runtime_(runtime), shape_(shape) {
    const size_t sequences = shape.kv.size();
    const int64_t pages = (shape.Longest() + LANES_PAGE_TOKENS - 1) / LANES_PAGE_TOKENS;
    table_.resize(pages * sequences);
    std::iota(table_.begin(), table_.end(), 0);
    for (size_t i = table_.size() - 1; i > 0; --i) std::swap(table_[i], table_[Scramble(i) % (i + 1)]);
    lanes_kv_pool_params params = {sizeof params, static_cast<int32_t>(table_.size()), 1, shape.kv_heads, shape.head_dim, shape.kind.dtype, nullptr};
    Check(lanes_kv_pool_create(&params, &pool_));
    q_begin_.push_back(0);
    for (size_t s = 0; s < sequences; ++s) {
      Write(s, pages);
      q_begin_.push_back(q_begin_.back() + (shape.decode ? 1 : shape.kv[s]));
    }
    const int64_t width = static_cast<int64_t>(shape.heads) * shape.head_dim;
    q_ = Values(q_begin_.back() * width, 2.0f);
    out_.resize(q_.size());
    window_.assign(sequences, shape.window);
    sinks_.assign(sequences, shape.sinks);
    p_.size = sizeof p_;
    p_.pool = pool_;
    p_.heads = shape.heads;
    p_.sequences = static_cast<int32_t>(sequences);
    p_.causal = 1;
    p_.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
    p_.tokens = q_begin_.back();
    p_.q = q_.data();
    p_.q_len = p_.out_len = q_.size();
    p_.q_stride = p_.out_stride = width;
    p_.q_begin = q_begin_.data();
    p_.q_begin_len = q_begin_.size();
    p_.kv_len = shape_.kv.data();
    p_.kv_len_len = sequences;
    p_.page_table = table_.data();
    p_.page_table_len = table_.size();
    p_.page_table_stride = pages;
    p_.window = window_.data();
    p_.sinks = sinks_.data();
    p_.window_len = p_.sinks_len = sequences;
    p_.out = out_.data();
    p_.compute = shape.kind.compute;
  }
  ~AttentionCase() { Check(lanes_kv_pool_destroy(pool_)); }
  AttentionCase(const AttentionCase&) = delete;
  AttentionCase& operator=(const AttentionCase&) = delete;

  void Run() { Check(lanes_attention(runtime_, &p_)); }

 private:
  void Write(size_t s, int64_t pages) {
    const int64_t width = static_cast<int64_t>(shape_.kv_heads) * shape_.head_dim, keys = shape_.kv[s];
    const std::vector<float> x = Values(keys * width, 1.5f);
    std::vector<int64_t> slots(keys);
    for (int64_t j = 0; j < keys; ++j) {
      slots[j] = static_cast<int64_t>(table_[s * pages + j / LANES_PAGE_TOKENS]) * LANES_PAGE_TOKENS + j % LANES_PAGE_TOKENS;
    }
    lanes_kv_write_params write = {};
    write.size = sizeof write;
    write.pool = pool_;
    write.tokens = keys;
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
  std::vector<int64_t> q_begin_, window_, sinks_;
  lanes_attention_params p_ = {};
};

// Keys that a query at index `position` sees.
double Visible(const AttentionShape& shape, int64_t position) {
  const int64_t keys = position + 1;
  return static_cast<double>(shape.window == 0 ? keys : std::min(keys, shape.window + shape.sinks));
}

void Prefill(lanes_runtime* runtime, const Options& options, const Ceilings& ceilings, const AttentionShape& shape) {
  const std::string name = shape.Name();
  if (!options.Wants(name)) return;
  AttentionCase attention(runtime, shape);
  const Timing t = Measure([&](int) { attention.Run(); });
  // 2 products x 2 operations; without a window half of the square counts.
  double keys = 0;
  for (int64_t i = 0; i < shape.Longest(); ++i) keys += shape.window == 0 ? shape.Longest() / 2.0 : Visible(shape, i);
  const double gflops = 4.0 * keys * shape.head_dim * shape.heads / t.median * 1e-9;
  const double peak = shape.kind.compute == LANES_COMPUTE_EXACT ? ceilings.fma : ceilings.bf16;
  std::printf("%-60s %10.1f us (%.1f..%.1f)  %7.1f GFLOP/s %3.0f%%\n", name.c_str(), t.median * 1e6, t.least * 1e6, t.most * 1e6, gflops,
              100 * gflops / peak);
  std::fflush(stdout);
}

void Decode(lanes_runtime* runtime, const Options& options, const Ceilings& ceilings, const AttentionShape& shape) {
  const std::string name = shape.Name();
  if (!options.Wants(name)) return;
  AttentionCase attention(runtime, shape);
  const Timing t = Measure([&](int) { attention.Run(); });
  double keys = 0;
  for (const int64_t kv : shape.kv) keys += Visible(shape, kv - 1);
  const double bytes = 2.0 * keys * shape.kv_heads * shape.kind.Bytes(shape.head_dim);
  std::printf("%-60s %10.1f us (%.1f..%.1f)  %7.1f GB/s %3.0f%%  (%.0f MB of keys and values)\n", name.c_str(), t.median * 1e6,
              t.least * 1e6, t.most * 1e6, bytes / t.median * 1e-9, 100 * bytes / t.median * 1e-9 / ceilings.read, bytes * 1e-6);
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
  for (const Kind& kind : kKinds) {
    for (const int32_t dim : {64, 128}) {
      for (const int64_t n : {512, 1024, 2048, 4096, 8192}) Prefill(runtime, options, ceilings, {32, 32, dim, kind, {n}, false});
    }
    Prefill(runtime, options, ceilings, {9, 3, 64, kind, {512}, false});
    Prefill(runtime, options, ceilings, {6, 6, 48, kind, {256}, false});
    // Time grows with what is visible, not with the length.
    for (const int64_t n : {2048, 4096, 8192}) Prefill(runtime, options, ceilings, {32, 8, 128, kind, {n}, false, 1024, 4});
    for (const int32_t dim : {64, 128}) {
      for (const int64_t kv : {512, 4096}) {
        Decode(runtime, options, ceilings, {32, 8, dim, kind, {kv}, true});
        Decode(runtime, options, ceilings, {32, 8, dim, kind, std::vector<int64_t>(8, kv), true});
      }
      Decode(runtime, options, ceilings, {32, 8, dim, kind, {32768}, true});
      Decode(runtime, options, ceilings, {32, 8, dim, kind, {32768}, true, 4096, 4});
      // Lengths that differ.
      Decode(runtime, options, ceilings, {32, 8, dim, kind, {32768, 64, 700, 9000, 1500, 300, 4096, 20000}, true});
      Decode(runtime, options, ceilings, {32, 32, dim, kind, {4096, 4096}, true});
      Decode(runtime, options, ceilings, {32, 4, dim, kind, std::vector<int64_t>(8, 4096), true});
    }
    // One head: only its keys can be shared out.
    Decode(runtime, options, ceilings, {4, 1, 128, kind, {32768}, true});
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
