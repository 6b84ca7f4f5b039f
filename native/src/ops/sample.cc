#include "ops/sample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/numeric.h"

namespace lanes {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float Clean(float logit) { return std::isnan(logit) ? -kInfinity : logit; }

// A token as one number: smaller for a larger logit, and among equal logits for a lower id.
uint64_t RankOf(float logit, int64_t id) {
  const float x = Clean(logit) + 0.0f;  // one zero
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  // All bits flipped below zero, the sign alone above: by arithmetic, as the signs of logits cannot be foreseen.
  const uint32_t ascending = bits ^ ((0u - (bits >> 31)) | 0x80000000u);
  return static_cast<uint64_t>(~ascending) << 32 | static_cast<uint64_t>(id);
}

int64_t IdOf(uint64_t rank) { return static_cast<int64_t>(rank & 0xFFFFFFFFu); }

// The ranks of the `k` first tokens of [0, count) into ranks[0, k), in no order; there is room for `count`.
void SelectTop(const float* logits, int64_t count, int64_t k, uint64_t* ranks) {
  if (k > count / 16) {
    for (int64_t i = 0; i < count; ++i) ranks[i] = RankOf(logits[i], i);
    if (k < count) std::nth_element(ranks, ranks + k, ranks + count);
    return;
  }
  // A heap whose top is the last of the best so far; few elements of a long row get past it.
  for (int64_t i = 0; i < k; ++i) ranks[i] = RankOf(logits[i], i);
  std::make_heap(ranks, ranks + k);
  float worst = Clean(logits[IdOf(ranks[0])]);
  for (int64_t i = k; i < count; ++i) {
    if (!(logits[i] > worst)) continue;
    std::pop_heap(ranks, ranks + k);
    ranks[k - 1] = RankOf(logits[i], i);
    std::push_heap(ranks, ranks + k);
    worst = Clean(logits[IdOf(ranks[0])]);
  }
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
  RowSampler(const SampleKernel& kernel, const lanes_sample_params& params, float* logits, float* weights, uint64_t* ranks)
      : kernel_(kernel), params_(params), count_(params.vocabulary), logits_(logits), weights_(weights), ranks_(ranks) {}

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
    const int64_t kept = Keep(how, logits_[best]);
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

  // Puts the ranks of the kept tokens into ranks_, in no order, and returns their number, or -1 when all are kept.
  int64_t Keep(const lanes_sample_row& how, float maximum) {
    int64_t kept = count_;
    if (how.top_k > 0 && how.top_k < count_) {
      kept = how.top_k;
      SelectTop(logits_, count_, kept, ranks_);
      if (how.top_p < 1) {
        // In order, so that the sum does not depend on how the selection went.
        std::sort(ranks_, ranks_ + kept);
        kept = KeepTopP(kept, 0, how.top_p * SumOf(0, kept));
      }
    } else if (how.top_p < 1) {
      const double wanted = how.top_p * SumWeights(weights_, count_);
      kept = maximum == kInfinity ? KeepTopP(KeepHeavy(0), 0, wanted) : KeepTopPOfAll(maximum, how.temperature, wanted);
    } else if (how.min_p > 0) {
      return KeepHeavy(how.min_p);
    } else {
      return -1;
    }
    if (how.min_p == 0) return kept;
    return std::remove_if(ranks_, ranks_ + kept, [&](uint64_t rank) { return weights_[IdOf(rank)] < how.min_p; }) - ranks_;
  }

  int64_t KeepHeavy(double least) {
    int64_t kept = 0;
    for (int64_t i = 0; i < count_; ++i) {
      // Stored in any case: which token is heavy cannot be foreseen, and a mispredicted branch costs more.
      ranks_[kept] = RankOf(logits_[i], i);
      kept += weights_[i] >= least;
    }
    return kept;
  }

  double SumOf(int64_t begin, int64_t end) const {
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) sum += weights_[IdOf(ranks_[i])];
    return sum;
  }

  // How many of the `candidates`, by rank, it takes until they and what is before them, `sum`, weigh `wanted`: halving by
  // selection, sorting only the last few. Those come first afterwards, the last of them at its place.
  int64_t KeepTopP(int64_t candidates, double sum, double wanted) {
    constexpr int64_t kFew = 256;
    int64_t begin = 0, end = candidates;
    while (end - begin > kFew) {
      const int64_t middle = begin + (end - begin) / 2;
      std::nth_element(ranks_ + begin, ranks_ + middle, ranks_ + end);
      const double half = SumOf(begin, middle);
      if (sum + half >= wanted) {
        end = middle;
      } else {
        sum += half;
        begin = middle;
      }
    }
    std::sort(ranks_ + begin, ranks_ + end);
    for (int64_t i = begin; i < end; ++i) {
      sum += weights_[IdOf(ranks_[i])];
      if (sum >= wanted) return i + 1;
    }
    return end;
  }

  // The same among all tokens, for a finite maximum. Groups of nearly equal logits are weighed first, so that only the one in
  // which the prefix ends is looked at token by token.
  int64_t KeepTopPOfAll(float maximum, float temperature, double wanted) {
    constexpr int64_t kGroups = 4096;
    // Per unit of the exponent: what lies further than 4096 / 200 below the maximum weighs some 1e-9 of it at most.
    const float scale = std::min(200.0f / temperature, std::numeric_limits<float>::max());
    const auto group_of = [&](int64_t i) {
      return static_cast<int32_t>(std::min((maximum - logits_[i]) * scale, static_cast<float>(kGroups - 1)));
    };
    double weight[kGroups] = {};
    for (int64_t i = 0; i < count_; ++i) weight[group_of(i)] += weights_[i];
    double sum = 0;
    int32_t group = 0;
    for (; group < kGroups - 1 && sum + weight[group] < wanted; ++group) sum += weight[group];
    // Where rounding left the last group without tokens, the last token of all takes its place.
    while (group > 0 && weight[group] == 0) sum -= weight[--group];
    int64_t members = 0;
    for (int64_t i = 0; i < count_; ++i) {
      // Stored in any case: which tokens belong cannot be foreseen, and a mispredicted branch costs more.
      ranks_[members] = RankOf(logits_[i], i);
      members += group_of(i) == group;
    }
    const uint64_t last = ranks_[KeepTopP(members, sum, wanted) - 1];
    int64_t kept = 0;
    for (int64_t i = 0; i < count_; ++i) {
      ranks_[kept] = RankOf(logits_[i], i);
      kept += ranks_[kept] <= last;
    }
    return kept;
  }

  int32_t DrawFrom(int64_t kept, double u) {
    const uint64_t last_rank = *std::max_element(ranks_, ranks_ + kept);
    int64_t count = 0;
    if (kept > count_ / 16) {
      // The kept tokens are those up to the last rank among them: found in order of their ids by one more pass.
      for (int64_t i = 0; i < count_; ++i) {
        ranks_[count] = static_cast<uint64_t>(i);
        count += RankOf(logits_[i], i) <= last_rank;
      }
    } else {
      for (; count < kept; ++count) ranks_[count] &= 0xFFFFFFFFu;
      std::sort(ranks_, ranks_ + kept);
    }
    const double target = u * SumOf(0, count);
    double sum = 0;
    int64_t last = IdOf(ranks_[0]);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t id = IdOf(ranks_[i]);
      if (weights_[id] > 0) last = id;
      sum += weights_[id];
      if (sum > target) break;
    }
    return static_cast<int32_t>(last);
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
  uint64_t* const ranks_;
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
  const int64_t bytes = floats * static_cast<int64_t>(2 * sizeof(float) + sizeof(uint64_t));
  char* scratch = static_cast<char*>(Scratch(context, CheckedMul(bytes, Slots(context, p.rows), "scratch")));
  ForEachRow(context, p.rows, [&](int64_t row, int64_t slot) {
    float* logits = reinterpret_cast<float*>(scratch + slot * bytes);
    float* weights = logits + floats;
    RowSampler sampler(kernel, p, logits, weights, reinterpret_cast<uint64_t*>(weights + floats));
    const float* from = p.logits + row * p.logits_stride;
    const int32_t token = sampler.Run(from, p.row[row]);
    p.token[row] = token;
    if (p.log_probability) p.log_probability[row] = LogSum(kernel, from, p.vocabulary).LogProbability(from[token]);
  });
}

namespace portable {
namespace {

void TopLogProbabilities(OpContext& context, const SampleKernel& kernel, const lanes_top_log_probabilities_params& p) {
  const int64_t bytes = RoundUp(p.vocabulary, 16) * static_cast<int64_t>(sizeof(uint64_t));
  char* scratch = static_cast<char*>(Scratch(context, CheckedMul(bytes, Slots(context, p.rows), "scratch")));
  ForEachRow(context, p.rows, [&](int64_t row, int64_t slot) {
    const float* logits = p.logits + row * p.logits_stride;
    uint64_t* ranks = reinterpret_cast<uint64_t*>(scratch + slot * bytes);
    SelectTop(logits, p.vocabulary, p.top_k, ranks);
    std::sort(ranks, ranks + p.top_k);
    const LogSum sum(kernel, logits, p.vocabulary);
    for (int32_t i = 0; i < p.top_k; ++i) {
      const int64_t id = IdOf(ranks[i]);
      p.token[row * p.top_k + i] = static_cast<int32_t>(id);
      p.log_probability[row * p.top_k + i] = sum.LogProbability(logits[id]);
    }
  });
}

}  // namespace

extern const TopLogProbabilitiesKernel top_log_probabilities_kernel;
const TopLogProbabilitiesKernel top_log_probabilities_kernel = {TopLogProbabilities};

}  // namespace portable
}  // namespace lanes
