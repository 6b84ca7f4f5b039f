// A batch of attention with everything around it: pool, pages, oracle.
#ifndef LANES_TESTS_SUPPORT_ATTENTION_PROBLEM_H_
#define LANES_TESTS_SUPPORT_ATTENTION_PROBLEM_H_

#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/lanes_test.h"

namespace lanes_test {

struct DestroyPool {
  void operator()(lanes_kv_pool* pool) const { EXPECT_EQ(lanes_kv_pool_destroy(pool), LANES_OK) << lanes_last_error(); }
};
using PoolPtr = std::unique_ptr<lanes_kv_pool, DestroyPool>;

inline PoolPtr MakePool(int32_t pages, int32_t layers, int32_t kv_heads, int32_t head_dim, int32_t dtype) {
  lanes_kv_pool_params params = {sizeof params, pages, layers, kv_heads, head_dim, dtype};
  lanes_kv_pool* pool = nullptr;
  if (lanes_kv_pool_create(&params, &pool) != LANES_OK) throw std::runtime_error(lanes_last_error());
  return PoolPtr(pool);
}

struct Sequence {
  int64_t n, kv, window, sinks;
  // Dense [kv or n, heads, dim].
  std::vector<float> q, q_sink, k, v;
};

struct AttentionProblem {
  int32_t dim, heads, kv_heads, dtype;
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
    s.k = RoundTo(problem->dtype, random->Floats(s.kv * problem->KvWidth(), 2.0f));
    s.v = RoundTo(problem->dtype, random->Floats(s.kv * problem->KvWidth(), 1.0f));
  }
}

inline AttentionProblem MakeAttention(const Case& c, int32_t dtype, uint64_t stream) {
  AttentionProblem problem;
  problem.dim = static_cast<int32_t>(c.Integer("dim"));
  problem.heads = static_cast<int32_t>(c.Integer("heads"));
  problem.kv_heads = static_cast<int32_t>(c.Integer("kv_heads"));
  problem.dtype = dtype;
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

// Plain loops in T: scores, maximum, exponentials, weighted sum, one after the other. [n, heads, dim] of sequence s.
template <class T>
std::vector<double> Unfused(const AttentionProblem& problem, const Sequence& s) {
  const int64_t dim = problem.dim, group = problem.heads / problem.kv_heads;
  std::vector<double> out(s.n * problem.Width());
  for (int64_t i = 0; i < s.n; ++i) {
    for (int64_t h = 0; h < problem.heads; ++h) {
      const int64_t kv_head = h / group;
      std::vector<T> scores(s.kv, -std::numeric_limits<T>::infinity());
      T largest = -std::numeric_limits<T>::infinity(), sum = 0;
      for (int64_t j = 0; j < s.kv; ++j) {
        if (!problem.Visible(s, i, j)) continue;
        const std::vector<float>& q = problem.use_q_sink && j < s.sinks ? s.q_sink : s.q;
        T dot = 0;
        for (int64_t d = 0; d < dim; ++d) {
          dot += static_cast<T>(q[i * problem.Width() + h * dim + d]) * static_cast<T>(s.k[j * problem.KvWidth() + kv_head * dim + d]);
        }
        scores[j] = dot * static_cast<T>(problem.scale);
        largest = std::max(largest, scores[j]);
      }
      std::vector<T> values(dim, 0);
      for (int64_t j = 0; j < s.kv; ++j) {
        if (!problem.Visible(s, i, j)) continue;
        const T weight = std::exp(scores[j] - largest);
        sum += weight;
        for (int64_t d = 0; d < dim; ++d) values[d] += weight * static_cast<T>(s.v[j * problem.KvWidth() + kv_head * dim + d]);
      }
      for (int64_t d = 0; d < dim; ++d) out[i * problem.Width() + h * dim + d] = values[d] / sum;
    }
  }
  return out;
}

// Scattered pages of a pool in which whatever no query sees is NaN.
class PagedCache {
 public:
  PagedCache(const AttentionProblem& problem, uint64_t placement) : problem_(problem) {
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

  // Keys [begin, end) of sequence s, as far as any query sees them.
  void Write(lanes_runtime* runtime, size_t s, int64_t begin, int64_t end) {
    const Sequence& sequence = problem_.sequences[s];
    if (begin == end) return;
    std::vector<int64_t> slots;
    for (int64_t j = begin; j < end; ++j) {
      const int64_t page = table_[s * stride_ + j / LANES_PAGE_TOKENS];
      slots.push_back(problem_.Seen(sequence, j) ? page * LANES_PAGE_TOKENS + j % LANES_PAGE_TOKENS : -1);
    }
    const int64_t width = problem_.KvWidth();
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
    for (size_t s = 0; s < problem_.sequences.size(); ++s) Write(runtime, s, 0, problem_.sequences[s].kv);
  }

  // Part of sequence `s`: its queries [begin, end), as a chunk would bring them.
  struct Part {
    size_t s;
    int64_t begin, end;
  };

  // Runs the parts as one batch and returns each one's rows.
  std::vector<std::vector<float>> Run(lanes_runtime* runtime, const std::vector<Part>& parts) const {
    const int64_t width = problem_.Width(), stride = width + problem_.q_pad, offset = problem_.offset;
    std::vector<int64_t> q_begin = {0}, kv_len, window, sinks;
    std::vector<int32_t> table;
    std::vector<float> q(offset, std::nanf("")), q_sink(offset, std::nanf(""));
    for (const Part& part : parts) {
      const Sequence& s = problem_.sequences[part.s];
      q_begin.push_back(q_begin.back() + part.end - part.begin);
      kv_len.push_back(s.kv - s.n + part.end);
      window.push_back(s.window);
      sinks.push_back(s.sinks);
      table.insert(table.end(), table_.begin() + part.s * stride_, table_.begin() + (part.s + 1) * stride_);
      for (int64_t i = part.begin; i < part.end; ++i) {
        q.insert(q.end(), s.q.begin() + i * width, s.q.begin() + (i + 1) * width);
        q_sink.insert(q_sink.end(), s.q_sink.begin() + i * width, s.q_sink.begin() + (i + 1) * width);
        q.insert(q.end(), problem_.q_pad, std::nanf(""));
        q_sink.insert(q_sink.end(), problem_.q_pad, std::nanf(""));
      }
    }
    const int64_t tokens = q_begin.back();
    const GuardedInput<float> guarded_q(q), guarded_sink(q_sink);
    const GuardedInput<int64_t> guarded_begin(q_begin), guarded_len(kv_len), guarded_window(window), guarded_sinks(sinks);
    const GuardedInput<int32_t> guarded_table(table);
    GuardedOutput out(tokens, width, stride, offset);
    lanes_attention_params params = {};
    params.size = sizeof params;
    params.pool = pool_.get();
    params.layer = 1;
    params.heads = problem_.heads;
    params.sequences = static_cast<int32_t>(parts.size());
    params.causal = problem_.causal;
    params.scale = problem_.scale;
    params.tokens = tokens;
    params.q = guarded_q.data() + offset;
    params.q_len = guarded_q.size() - offset;
    params.q_stride = stride;
    if (problem_.use_q_sink) {
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
    params.out = out.data();
    params.out_len = out.size();
    params.out_stride = stride;
    EXPECT_LANES_OK(lanes_attention(runtime, &params));
    out.CheckSentinels();
    const std::vector<float> dense = out.Dense();
    std::vector<std::vector<float>> rows;
    for (size_t i = 0; i < parts.size(); ++i) {
      rows.emplace_back(dense.begin() + q_begin[i] * width, dense.begin() + q_begin[i + 1] * width);
    }
    return rows;
  }

  std::vector<std::vector<float>> RunAll(lanes_runtime* runtime) const {
    std::vector<Part> parts;
    for (size_t s = 0; s < problem_.sequences.size(); ++s) parts.push_back({s, 0, problem_.sequences[s].n});
    return Run(runtime, parts);
  }

 private:
  const AttentionProblem& problem_;
  PoolPtr pool_;
  int64_t stride_ = 1;
  std::vector<int32_t> table_;
};

}  // namespace lanes_test

#endif  // LANES_TESTS_SUPPORT_ATTENTION_PROBLEM_H_
