// A batch of attention with everything around it: pool, pages, oracle.
#ifndef LANES_TESTS_SUPPORT_ATTENTION_PROBLEM_H_
#define LANES_TESTS_SUPPORT_ATTENTION_PROBLEM_H_

#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "cpu/scalar.h"
#include "support/lanes_test.h"

namespace lanes_test {

struct DestroyPool {
  void operator()(lanes_kv_pool* pool) const { EXPECT_EQ(lanes_kv_pool_destroy(pool), LANES_OK) << lanes_last_error(); }
};
using PoolPtr = std::unique_ptr<lanes_kv_pool, DestroyPool>;

inline PoolPtr MakePool(int32_t pages, int32_t layers, int32_t kv_heads, int32_t head_dim, int32_t dtype) {
  lanes_kv_pool_params params = {sizeof params, pages, layers, kv_heads, head_dim, dtype, DeviceRuntime()};
  lanes_kv_pool* pool = nullptr;
  if (lanes_kv_pool_create(&params, &pool) != LANES_OK) throw std::runtime_error(lanes_last_error());
  return PoolPtr(pool);
}

// What pages hold and how they are multiplied.
struct AttentionKind {
  int32_t dtype, compute;
};
constexpr AttentionKind kAttentionKinds[] = {{LANES_F32, LANES_COMPUTE_EXACT},
                                             {LANES_BF16, LANES_COMPUTE_EXACT},
                                             {LANES_BF16, LANES_COMPUTE_BF16},
                                             {LANES_F16, LANES_COMPUTE_EXACT},
                                             {LANES_F16, LANES_COMPUTE_F16},
                                             {LANES_S8, LANES_COMPUTE_INT8}};

// The only kind, or the first, of a dtype.
inline int32_t ComputeFor(int32_t dtype) { return dtype == LANES_S8 ? LANES_COMPUTE_INT8 : LANES_COMPUTE_EXACT; }

struct Sequence {
  int64_t n, kv, window, sinks;
  // Dense [kv or n, heads, dim].
  std::vector<float> q, q_sink, k, v;
};

// A row of one head in an int8 page, by the rule of lanes_kv_write: element times scale is what it stands for.
struct QuantizedRow {
  explicit QuantizedRow(const float* x, int64_t dim) : elements(dim, 0) {
    float largest = 0;
    for (int64_t d = 0; d < dim; ++d) largest = std::max(largest, std::fabs(x[d]));
    scale = largest / 127.0f;
    for (int64_t d = 0; d < dim && scale > 0; ++d) elements[d] = std::nearbyint(std::min(127.0f, std::max(-127.0f, x[d] / scale)));
  }
  float scale;
  std::vector<double> elements;
};

struct AttentionProblem {
  int32_t dim, heads, kv_heads, dtype;
  int32_t compute = LANES_COMPUTE_EXACT;
  bool causal, use_q_sink;
  float scale;
  int64_t q_pad = 0, offset = 0;
  std::vector<Sequence> sequences;

  int64_t Width() const { return static_cast<int64_t>(heads) * dim; }
  int64_t KvWidth() const { return static_cast<int64_t>(kv_heads) * dim; }
  bool Visible(const Sequence& s, int64_t i, int64_t j) const {
    const int64_t p = s.kv - s.n + i;
    return (!causal || j <= p) && (s.window == 0 || j > p - s.window || j < s.sinks);
  }
  // Whether any query sees key j.
  bool Seen(const Sequence& s, int64_t j) const {
    if (!causal || s.window == 0 || j < s.sinks) return true;
    return j > s.kv - s.n - s.window;
  }
};

inline void Fill(AttentionProblem* problem, Random* random) {
  for (Sequence& s : problem->sequences) {
    s.q = random->Floats(s.n * problem->Width(), 2.0f);
    s.q_sink = random->Floats(s.n * problem->Width(), 2.0f);
    s.k = random->Floats(s.kv * problem->KvWidth(), 2.0f);
    s.v = random->Floats(s.kv * problem->KvWidth(), 1.0f);
    // What pages of halves hold; of other floats nothing changes.
    s.k = RoundTo(problem->dtype, s.k);
    s.v = RoundTo(problem->dtype, s.v);
  }
}

inline AttentionProblem MakeAttention(const Case& c, const AttentionKind& kind, uint64_t stream) {
  AttentionProblem problem;
  problem.dim = static_cast<int32_t>(c.Integer("dim"));
  problem.heads = static_cast<int32_t>(c.Integer("heads"));
  problem.kv_heads = static_cast<int32_t>(c.Integer("kv_heads"));
  problem.dtype = kind.dtype;
  problem.compute = kind.compute;
  problem.causal = c.Integer("causal") != 0;
  problem.use_q_sink = c.Integer("q_sink") != 0;
  problem.q_pad = c.Integer("q_pad");
  problem.offset = c.Integer("offset");
  problem.scale = 1.0f / std::sqrt(static_cast<float>(problem.dim));
  std::stringstream list(c.Text("sequences"));
  std::string text;
  while (std::getline(list, text, ',')) {
    Sequence s = {};
    char slash;
    std::stringstream fields(text);
    fields >> s.n >> slash >> s.kv >> slash >> s.window >> slash >> s.sinks;
    if (fields.fail()) throw std::runtime_error("sequence " + text + " in " + c.Describe());
    problem.sequences.push_back(s);
  }
  Random random(stream);
  Fill(&problem, &random);
  return problem;
}

// [kv, kv_heads, dim]: what the pages stand for.
inline std::vector<double> Stored(const AttentionProblem& problem, const std::vector<float>& x) {
  std::vector<double> stored(x.begin(), x.end());
  for (size_t row = 0; problem.dtype == LANES_S8 && row < x.size(); row += problem.dim) {
    const QuantizedRow quantized(&x[row], problem.dim);
    for (int64_t d = 0; d < problem.dim; ++d) stored[row + d] = quantized.elements[d] * quantized.scale;
  }
  return stored;
}

// s * q of one head, rounded as `compute` says, over s.
inline std::vector<double> RoundedQuery(const AttentionProblem& problem, const float* q) {
  std::vector<double> rounded(q, q + problem.dim);
  if (problem.compute == LANES_COMPUTE_EXACT) return rounded;
  const double s = problem.scale * 1.4426950408889634;
  float largest = 0;
  for (int64_t d = 0; d < problem.dim; ++d) largest = std::max(largest, std::fabs(q[d] * static_cast<float>(s)));
  // The power of two that brings the largest into [2^14, 2^15).
  const double power = largest == 0 ? 1 : std::exp2(14 - std::floor(std::log2(static_cast<double>(largest))));
  for (int64_t d = 0; d < problem.dim; ++d) {
    const float x = q[d] * static_cast<float>(s);
    if (problem.compute == LANES_COMPUTE_BF16) {
      rounded[d] = RoundTo(LANES_BF16, x) / s;
    } else if (problem.compute == LANES_COMPUTE_F16) {
      rounded[d] = RoundTo(LANES_F16, static_cast<float>(x * power)) / power / s;
    } else {
      rounded[d] = std::min(32767.0, std::nearbyint(x * power)) / power / s;
    }
  }
  return rounded;
}

// Attention of one sequence, one step after the other, in T: scores, maximum, exponentials, weighted sum.
template <class T>
struct Unfused {
  Unfused(const AttentionProblem& problem, const Sequence& s)
      : out(s.n * problem.Width()), allowed(out.size()), k_(Stored(problem, s.k)), v_(Stored(problem, s.v)) {
    for (int64_t i = 0; i < s.n; ++i) {
      for (int64_t h = 0; h < problem.heads; ++h) Attend(problem, s, i, h);
    }
  }

  // [n, heads, dim]. `allowed`: the most that rounding the weights, as `compute` does, may change an element by.
  std::vector<double> out, allowed;

 private:
  void Attend(const AttentionProblem& problem, const Sequence& s, int64_t i, int64_t h) {
    const int64_t dim = problem.dim, width = problem.KvWidth(), column = h / (problem.heads / problem.kv_heads) * dim;
    const int64_t at = i * problem.Width() + h * dim;
    const std::vector<double> q = RoundedQuery(problem, &s.q[at]), q_sink = RoundedQuery(problem, &s.q_sink[at]);
    std::vector<T> weights(s.kv, 0);
    T largest = -std::numeric_limits<T>::infinity(), sum = 0;
    for (int64_t j = 0; j < s.kv; ++j) {
      if (!problem.Visible(s, i, j)) continue;
      const std::vector<double>& query = problem.use_q_sink && j < s.sinks ? q_sink : q;
      T dot = 0;
      for (int64_t d = 0; d < dim; ++d) dot += static_cast<T>(query[d]) * static_cast<T>(k_[j * width + column + d]);
      weights[j] = dot * static_cast<T>(problem.scale);
      largest = std::max(largest, weights[j]);
    }
    for (int64_t j = 0; j < s.kv; ++j) {
      weights[j] = problem.Visible(s, i, j) ? std::exp(weights[j] - largest) : 0;
      sum += weights[j];
    }
    for (int64_t d = 0; d < dim; ++d) {
      T value = 0;
      double magnitude = 0, unweighted = 0;
      for (int64_t j = 0; j < s.kv; ++j) {
        if (!problem.Visible(s, i, j)) continue;
        const double v = std::fabs(v_[j * width + column + d]);
        value += weights[j] * static_cast<T>(v_[j * width + column + d]);
        magnitude += static_cast<double>(weights[j]) * v;
        unweighted += v;
      }
      out[at + d] = value / sum;
      // A weight rounded to bfloat16 is off by at most 2^-9 of it, and so is their sum. To a half by at most 2^-12, or 2^-25.
      const double whole = static_cast<double>(sum);
      if (problem.compute == LANES_COMPUTE_BF16) allowed[at + d] = 0x1.02p-8 * magnitude / whole;
      if (problem.compute == LANES_COMPUTE_F16) {
        const double of_sum = static_cast<double>(s.kv) * std::fabs(static_cast<double>(out[at + d]));
        allowed[at + d] = (0x1.02p-11 * magnitude + 0x1p-25 * (unweighted + of_sum)) / whole;
      }
    }
    if (problem.compute == LANES_COMPUTE_INT8) AllowS8(problem, s, i, column, weights, static_cast<double>(sum), &allowed[at]);
  }

  // Weight times scale is off by at most 2^-15 of the tile's largest.
  static void AllowS8(const AttentionProblem& problem, const Sequence& s, int64_t i, int64_t column, const std::vector<T>& weights,
                      double sum, double* allowed) {
    for (int64_t begin = 0; begin < s.kv; begin += LANES_PAGE_TOKENS) {
      double largest = 0;
      std::vector<double> elements(problem.dim, 0);
      for (int64_t j = begin; j < std::min<int64_t>(begin + LANES_PAGE_TOKENS, s.kv); ++j) {
        if (!problem.Visible(s, i, j)) continue;
        const QuantizedRow row(&s.v[j * problem.KvWidth() + column], problem.dim);
        largest = std::max(largest, static_cast<double>(weights[j]) * row.scale);
        for (int64_t d = 0; d < problem.dim; ++d) elements[d] += std::fabs(row.elements[d]);
      }
      for (int64_t d = 0; d < problem.dim; ++d) allowed[d] += 0x1.01p-15 * largest * elements[d] / sum;
    }
  }

  const std::vector<double> k_, v_;
};

// Scattered pages of a pool in which whatever no query sees is NaN.
class PagedCache {
 public:
  PagedCache(const AttentionProblem& problem, uint64_t placement) : given_(&problem) {
    int64_t pages = 3;
    for (const Sequence& s : problem.sequences) {
      const int64_t needed = (s.kv + LANES_PAGE_TOKENS - 1) / LANES_PAGE_TOKENS;
      pages += needed;
      stride_ = std::max(stride_, needed);
    }
    pool_ = MakePool(static_cast<int32_t>(pages), 2, problem.kv_heads, problem.dim, problem.dtype);
    std::vector<int32_t> order(pages);
    for (int64_t i = 0; i < pages; ++i) order[i] = static_cast<int32_t>(i);
    Random random(placement);
    for (int64_t i = pages - 1; i > 0; --i) std::swap(order[i], order[random.Integer(0, i)]);
    for (const int32_t page : order) EXPECT_LANES_OK(lanes_kv_page_poison(pool_.get(), page));
    table_.assign(problem.sequences.size() * stride_, -1);
    int64_t next = 0;
    for (size_t s = 0; s < problem.sequences.size(); ++s) {
      const Sequence& sequence = problem.sequences[s];
      for (int64_t j = 0; j < sequence.kv; ++j) {
        int32_t& page = table_[s * stride_ + j / LANES_PAGE_TOKENS];
        if (page < 0 && problem.Seen(sequence, j)) page = order[next++];
      }
    }
  }

  // From now on for another problem of the same shape, in the same pages.
  void Replace(const AttentionProblem& problem) { given_ = &problem; }

  // Keys [begin, end) of sequence s, as far as any query sees them.
  void Write(lanes_runtime* runtime, size_t s, int64_t begin, int64_t end) {
    const Sequence& sequence = given_->sequences[s];
    if (begin == end) return;
    std::vector<int64_t> slots;
    for (int64_t j = begin; j < end; ++j) {
      const int64_t page = table_[s * stride_ + j / LANES_PAGE_TOKENS];
      slots.push_back(given_->Seen(sequence, j) ? page * LANES_PAGE_TOKENS + j % LANES_PAGE_TOKENS : -1);
    }
    const int64_t width = given_->KvWidth();
    lanes_kv_write_params params = {};
    params.size = sizeof params;
    params.pool = pool_.get();
    params.layer = 1;
    params.tokens = end - begin;
    params.slots = slots.data();
    params.slots_len = slots.size();
    params.k = sequence.k.data() + begin * width;
    params.v = sequence.v.data() + begin * width;
    params.k_len = params.v_len = static_cast<uint64_t>((end - begin) * width);
    params.k_stride = params.v_stride = width;
    EXPECT_LANES_OK(lanes_kv_write(runtime, &params));
  }
  void WriteAll(lanes_runtime* runtime) {
    for (size_t s = 0; s < given_->sequences.size(); ++s) Write(runtime, s, 0, given_->sequences[s].kv);
  }

  // Part of sequence `s`: its queries [begin, end), as a chunk would bring them.
  struct Part {
    size_t s;
    int64_t begin, end;
  };

  // Runs the parts as one batch and returns each one's rows, which with `bf16` come as bfloat16.
  std::vector<std::vector<float>> Run(lanes_runtime* runtime, const std::vector<Part>& parts, bool bf16 = false) const {
    const int64_t width = given_->Width(), stride = width + given_->q_pad, offset = given_->offset;
    std::vector<int64_t> q_begin = {0}, kv_len, window, sinks;
    std::vector<int32_t> table;
    std::vector<float> q(offset, std::nanf("")), q_sink(offset, std::nanf(""));
    for (const Part& part : parts) {
      const Sequence& s = given_->sequences[part.s];
      q_begin.push_back(q_begin.back() + part.end - part.begin);
      kv_len.push_back(s.kv - s.n + part.end);
      window.push_back(s.window);
      sinks.push_back(s.sinks);
      table.insert(table.end(), table_.begin() + part.s * stride_, table_.begin() + (part.s + 1) * stride_);
      for (int64_t i = part.begin; i < part.end; ++i) {
        q.insert(q.end(), s.q.begin() + i * width, s.q.begin() + (i + 1) * width);
        q_sink.insert(q_sink.end(), s.q_sink.begin() + i * width, s.q_sink.begin() + (i + 1) * width);
        q.insert(q.end(), given_->q_pad, std::nanf(""));
        q_sink.insert(q_sink.end(), given_->q_pad, std::nanf(""));
      }
    }
    const int64_t tokens = q_begin.back();
    const GuardedInput<float> guarded_q(q), guarded_sink(q_sink);
    const GuardedInput<int64_t> guarded_begin(q_begin), guarded_len(kv_len), guarded_window(window), guarded_sinks(sinks);
    const GuardedInput<int32_t> guarded_table(table);
    FloatOrBf16Output out(bf16, tokens, width, stride, offset);
    lanes_attention_params params = {};
    params.size = sizeof params;
    params.pool = pool_.get();
    params.layer = 1;
    params.heads = given_->heads;
    params.sequences = static_cast<int32_t>(parts.size());
    params.causal = given_->causal;
    params.scale = given_->scale;
    params.tokens = tokens;
    params.q = guarded_q.data() + offset;
    params.q_len = guarded_q.size() - offset;
    params.q_stride = stride;
    if (given_->use_q_sink) {
      params.q_sink = guarded_sink.data() + offset;
      params.q_sink_len = guarded_sink.size() - offset;
    }
    params.q_begin = guarded_begin.data();
    params.q_begin_len = guarded_begin.size();
    params.kv_len = guarded_len.data();
    params.kv_len_len = guarded_len.size();
    params.page_table = guarded_table.data();
    params.page_table_len = guarded_table.size();
    params.page_table_stride = stride_;
    params.window = guarded_window.data();
    params.window_len = guarded_window.size();
    params.sinks = guarded_sinks.data();
    params.sinks_len = guarded_sinks.size();
    out.Give(&params.out, &params.out_len, &params.out_stride, &params.out_bf16, &params.out_bf16_len, &params.out_bf16_stride);
    params.compute = given_->compute;
    EXPECT_LANES_OK(lanes_attention(runtime, &params));
    const std::vector<float> dense = out.Take();
    std::vector<std::vector<float>> rows;
    for (size_t i = 0; i < parts.size(); ++i) {
      rows.emplace_back(dense.begin() + q_begin[i] * width, dense.begin() + q_begin[i + 1] * width);
    }
    return rows;
  }

  std::vector<std::vector<float>> RunAll(lanes_runtime* runtime, bool bf16 = false) const {
    std::vector<Part> parts;
    for (size_t s = 0; s < given_->sequences.size(); ++s) parts.push_back({s, 0, given_->sequences[s].n});
    return Run(runtime, parts, bf16);
  }

 private:
  const AttentionProblem* given_;
  PoolPtr pool_;
  int64_t stride_ = 1;
  std::vector<int32_t> table_;
};

}  // namespace lanes_test

#endif  // LANES_TESTS_SUPPORT_ATTENTION_PROBLEM_H_
