#include "ops/sample.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/numeric.h"

namespace lanes {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float Clean(float logit) { return std::isnan(logit) ? -kInfinity : logit; }

// Before: the larger logit, ties the lower id.
struct Ranked {
  const float* logits;
  bool operator()(int32_t a, int32_t b) const {
    const float x = Clean(logits[a]), y = Clean(logits[b]);
    return x > y || (x == y && a < b);
  }
};

// The first `k` ids of [0, count) in rank order, sorted, into `ids` (room for `count`).
void SelectTop(const float* logits, int64_t count, int64_t k, int32_t* ids) {
  const Ranked before{logits};
  if (k > count / 16) {
    for (int64_t i = 0; i < count; ++i) ids[i] = static_cast<int32_t>(i);
    if (k < count) std::nth_element(ids, ids + k, ids + count, before);
    std::sort(ids, ids + k, before);
    return;
  }
  // A heap whose top is the last of the best so far; few elements of a long row get past it.
  for (int64_t i = 0; i < k; ++i) ids[i] = static_cast<int32_t>(i);
  std::make_heap(ids, ids + k, before);
  float worst = Clean(logits[ids[0]]);
  for (int64_t i = k; i < count; ++i) {
    if (!(logits[i] > worst)) continue;
    std::pop_heap(ids, ids + k, before);
    ids[k - 1] = static_cast<int32_t>(i);
    std::push_heap(ids, ids + k, before);
    worst = Clean(logits[ids[0]]);
  }
  std::sort_heap(ids, ids + k, before);
}

double SumWeights(const float* weights, int64_t count) {
  // Four chains, in a fixed order.
  double sums[4] = {};
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (int s = 0; s < 4; ++s) sums[s] += weights[i + s];
  }
  for (int s = 0; i < count; ++i, ++s) sums[s] += weights[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

double Uniform(uint64_t seed, uint64_t counter) {
  const Philox random = Philox4x32({static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0},
                                   {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  const uint64_t bits = static_cast<uint64_t>(random.word[1]) << 32 | random.word[0];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

// One row at work, in a worker's own memory.
class RowSampler {
 public:
  RowSampler(const SampleKernel& kernel, const lanes_sample_params& params, float* logits, float* weights, int32_t* ids)
      : kernel_(kernel), params_(params), count_(params.vocabulary), logits_(logits), weights_(weights), ids_(ids) {}

  int32_t Run(const float* row, const lanes_sample_row& how) {
    if (how.temperature == 0 && (how.repetition_penalty == 1 || how.seen_count == 0)) {
      return static_cast<int32_t>(kernel_.arg_max(row, count_));
    }
    for (int64_t i = 0; i < count_; ++i) logits_[i] = Clean(row[i]);
    if (how.repetition_penalty != 1) Penalise(row, how);
    const int64_t best = kernel_.arg_max(logits_, count_);
    if (how.temperature == 0 || logits_[best] == -kInfinity) return static_cast<int32_t>(best);
    Weigh(logits_[best], how.temperature);
    const double u = Uniform(how.seed, how.counter);
    const int64_t kept = Keep(how);
    return kept < 0 ? DrawFromAll(u) : DrawFrom(kept, u);
  }

 private:
  void Penalise(const float* row, const lanes_sample_row& how) {
    for (int64_t i = how.seen_begin; i < how.seen_begin + how.seen_count; ++i) {
      const int32_t id = params_.seen[i];
      // From the untouched logit, so that a token seen twice is penalised once.
      const float x = Clean(row[id]);
      logits_[id] = Clean(x > 0 ? x / how.repetition_penalty : x * how.repetition_penalty);
    }
  }

  void Weigh(float maximum, float temperature) {
    if (maximum == kInfinity) {
      for (int64_t i = 0; i < count_; ++i) weights_[i] = logits_[i] == kInfinity ? 1.0f : 0.0f;
    } else {
      kernel_.weigh(logits_, count_, maximum, temperature, weights_);
    }
  }

  // Puts the kept tokens into ids_ and returns their number, or -1 when all are kept.
  int64_t Keep(const lanes_sample_row& how) {
    const bool top_k = how.top_k > 0 && how.top_k < count_;
    if (how.top_p < 1) {
      const int64_t kept = top_k ? KeepTopPOfTopK(how) : KeepTopP(how.top_p);
      return how.min_p > 0 ? KeepMinP(kept, how.min_p) : kept;
    }
    if (top_k) {
      SelectTop(logits_, count_, how.top_k, ids_);
      return how.min_p > 0 ? KeepMinP(how.top_k, how.min_p) : how.top_k;
    }
    if (how.min_p == 0) return -1;
    int64_t kept = 0;
    for (int64_t i = 0; i < count_; ++i) {
      if (weights_[i] >= how.min_p) ids_[kept++] = static_cast<int32_t>(i);
    }
    return kept;
  }

  int64_t KeepMinP(int64_t kept, float min_p) const {
    return std::remove_if(ids_, ids_ + kept, [this, min_p](int32_t id) { return !(weights_[id] >= min_p); }) - ids_;
  }

  int64_t KeepTopPOfTopK(const lanes_sample_row& how) {
    SelectTop(logits_, count_, how.top_k, ids_);
    double total = 0;
    for (int64_t i = 0; i < how.top_k; ++i) total += weights_[ids_[i]];
    const double wanted = how.top_p * total;
    double sum = 0;
    for (int64_t i = 0; i < how.top_k; ++i) {
      sum += weights_[ids_[i]];
      if (sum >= wanted) return i + 1;
    }
    return how.top_k;
  }

  int64_t KeepTopP(float top_p) {
    const double total = SumWeights(weights_, count_), wanted = top_p * total;
    // What weighs less than this cannot be needed: all of it together is less than what may be left out.
    const double negligible = (1.0 - top_p) * total / static_cast<double>(count_);
    int64_t candidates = 0;
    for (int64_t i = 0; i < count_; ++i) {
      if (weights_[i] >= negligible) ids_[candidates++] = static_cast<int32_t>(i);
    }
    // Sorted in growing pieces, until the mass is there.
    const Ranked before{logits_};
    double sum = 0;
    int64_t sorted = 0;
    for (int64_t piece = 256; sorted < candidates; piece *= 4) {
      const int64_t end = std::min(candidates, sorted + piece);
      if (end < candidates) std::nth_element(ids_ + sorted, ids_ + end, ids_ + candidates, before);
      std::sort(ids_ + sorted, ids_ + end, before);
      for (; sorted < end; ++sorted) {
        sum += weights_[ids_[sorted]];
        if (sum >= wanted) return sorted + 1;
      }
    }
    return candidates;
  }

  int32_t DrawFrom(int64_t kept, double u) {
    std::sort(ids_, ids_ + kept);
    double total = 0;
    for (int64_t i = 0; i < kept; ++i) total += weights_[ids_[i]];
    const double target = u * total;
    double sum = 0;
    int32_t last = ids_[0];
    for (int64_t i = 0; i < kept; ++i) {
      if (weights_[ids_[i]] > 0) last = ids_[i];
      sum += weights_[ids_[i]];
      if (sum > target) return last;
    }
    return last;
  }

  int32_t DrawFromAll(double u) const {
    constexpr int64_t kBlock = 256;
    double total = 0;
    for (int64_t i = 0; i < count_; i += kBlock) total += SumWeights(weights_ + i, std::min(kBlock, count_ - i));
    const double target = u * total;
    double sum = 0;
    int64_t last = 0;
    for (int64_t i = 0; i < count_; i += kBlock) {
      const int64_t end = std::min(i + kBlock, count_);
      const double block = SumWeights(weights_ + i, end - i);
      if (sum + block > target) {
        double within = sum;
        for (int64_t j = i; j < end; ++j) {
          if (weights_[j] > 0) last = j;
          within += weights_[j];
          if (within > target) return static_cast<int32_t>(j);
        }
        // Rounding: the block's sum exceeds the target, its elements added one by one do not.
        return static_cast<int32_t>(last);
      }
      sum += block;
    }
    for (int64_t i = 0; i < count_; ++i) {
      if (weights_[i] > 0) last = i;
    }
    return static_cast<int32_t>(last);
  }

  const SampleKernel& kernel_;
  const lanes_sample_params& params_;
  const int64_t count_;
  float* const logits_;
  float* const weights_;
  int32_t* const ids_;
};

// log(sum of e^x) of a row, kept as its two parts.
struct LogSum {
  LogSum(const SampleKernel& kernel, const float* row, int64_t count) {
    maximum = Clean(row[kernel.arg_max(row, count)]);
    if (std::isinf(maximum)) {
      double ties = 0;
      for (int64_t i = 0; i < count; ++i) ties += row[i] == kInfinity;
      log_sum = std::log(ties);
    } else {
      log_sum = std::log(kernel.sum_exp(row, count, maximum));
    }
  }

  float LogProbability(float logit) const {
    const float x = Clean(logit);
    if (x == -kInfinity) return -kInfinity;
    if (maximum == kInfinity) return x == kInfinity ? static_cast<float>(-log_sum) : -kInfinity;
    return static_cast<float>(static_cast<double>(x) - maximum - log_sum);
  }

  float maximum;
  double log_sum;
};

// Calls run(row, slot) for each row; `slot` < Slots tells apart what runs at the same time.
int64_t Slots(const OpContext& context, int64_t rows) { return std::min<int64_t>(rows, Workers(context)); }

template <class Run>
void ForEachRow(OpContext& context, int64_t rows, const Run& run) {
  int64_t next = 0;
  ParallelFor(context, Slots(context, rows), 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t slot = begin; slot < end; ++slot) {
      while (true) {
        const int64_t row = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
        if (row >= rows) break;
        run(row, slot);
      }
    }
  });
}

}  // namespace

Philox Philox4x32(const uint32_t (&counter)[4], const uint32_t (&key)[2]) {
  uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
  uint32_t k[2] = {key[0], key[1]};
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c[0], b = uint64_t{0xCD9E8D57} * c[2];
    const uint32_t c1 = c[1], c3 = c[3];
    c[0] = static_cast<uint32_t>(b >> 32) ^ c1 ^ k[0];
    c[1] = static_cast<uint32_t>(b);
    c[2] = static_cast<uint32_t>(a >> 32) ^ c3 ^ k[1];
    c[3] = static_cast<uint32_t>(a);
    k[0] += 0x9E3779B9;
    k[1] += 0xBB67AE85;
  }
  return {{c[0], c[1], c[2], c[3]}};
}

void Sample(OpContext& context, const SampleKernel& kernel, const lanes_sample_params& p) {
  const int64_t floats = RoundUp(p.vocabulary, 16);
  const int64_t bytes = 3 * floats * static_cast<int64_t>(sizeof(float));
  char* scratch = static_cast<char*>(Scratch(context, CheckedMul(bytes, Slots(context, p.rows), "scratch")));
  ForEachRow(context, p.rows, [&](int64_t row, int64_t slot) {
    float* logits = reinterpret_cast<float*>(scratch + slot * bytes);
    float* weights = logits + floats;
    RowSampler sampler(kernel, p, logits, weights, reinterpret_cast<int32_t*>(weights + floats));
    const float* from = p.logits + row * p.logits_stride;
    const int32_t token = sampler.Run(from, p.row[row]);
    p.token[row] = token;
    if (p.log_probability) p.log_probability[row] = LogSum(kernel, from, p.vocabulary).LogProbability(from[token]);
  });
}

void TopLogProbabilities(OpContext& context, const SampleKernel& kernel, const lanes_top_log_probabilities_params& p) {
  const int64_t bytes = RoundUp(p.vocabulary, 16) * static_cast<int64_t>(sizeof(int32_t));
  char* scratch = static_cast<char*>(Scratch(context, CheckedMul(bytes, Slots(context, p.rows), "scratch")));
  ForEachRow(context, p.rows, [&](int64_t row, int64_t slot) {
    const float* logits = p.logits + row * p.logits_stride;
    int32_t* ids = reinterpret_cast<int32_t*>(scratch + slot * bytes);
    SelectTop(logits, p.vocabulary, p.top_k, ids);
    const LogSum sum(kernel, logits, p.vocabulary);
    for (int32_t i = 0; i < p.top_k; ++i) {
      p.token[row * p.top_k + i] = ids[i];
      p.log_probability[row * p.top_k + i] = sum.LogProbability(logits[ids[i]]);
    }
  });
}

}  // namespace lanes
