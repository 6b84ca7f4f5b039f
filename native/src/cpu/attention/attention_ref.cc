#include <math.h>

#include "cpu/attention/mask.h"
#include "cpu/scalar.h"
#include "ops/attention.h"

namespace lanes {
namespace reference {
namespace {

// One kv head's keys and values of one sequence, by key index. Elements of int8 pages come without their scales.
class Keys {
 public:
  Keys(const lanes_attention_params& p, int64_t sequence, int32_t kv_head)
      : p_(p), pages_(p.page_table + sequence * p.page_table_stride), kv_head_(kv_head) {}

  float Key(int64_t j, int64_t d) const { return Element(Block(j), KeyIndex(p_.pool, j % LANES_PAGE_TOKENS, d)); }
  float Value(int64_t j, int64_t d) const {
    return Element(Block(j) + p_.pool->key_bytes, ValueIndex(p_.pool, j % LANES_PAGE_TOKENS, d));
  }
  float KeyScale(int64_t j) const { return Scales(j)[0]; }
  float ValueScale(int64_t j) const { return Scales(j)[LANES_PAGE_TOKENS]; }

 private:
  const unsigned char* Block(int64_t j) const { return KvBlock(p_.pool, p_.layer, pages_[j / LANES_PAGE_TOKENS], kv_head_); }
  const float* Scales(int64_t j) const {
    return reinterpret_cast<const float*>(Block(j) + ScaleOffset(p_.pool)) + j % LANES_PAGE_TOKENS;
  }
  float Element(const unsigned char* block, int64_t index) const {
    if (p_.pool->dtype == LANES_S8) return static_cast<float>(block[index] - kS8Offset);
    return LoadElement(reinterpret_cast<const char*>(block), p_.pool->dtype, index);
  }

  const lanes_attention_params& p_;
  const int32_t* pages_;
  int32_t kv_head_;
};

// The power of two that numbers of at most this magnitude become 16-bit integers of; NaN when it is no number.
float BlockPower(float largest) {
  if (!isfinite(largest)) return nanf("");
  int exponent = 0;
  frexpf(largest, &exponent);
  return ldexpf(1.0f, (largest < 0x1p-112f ? -111 : exponent) - 15);
}
float RoundToS16(float x, float power) { return fminf(32767.0f, nearbyintf(x / power)); }

float Largest(const float* x, int64_t count) {
  float largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (!(fabsf(x[i]) <= largest)) largest = fabsf(x[i]);
    if (isnan(x[i])) return x[i];
  }
  return largest;
}

// One query of one head, as it is multiplied: s * q, rounded as `compute` says; power * x is what x stands for.
struct Query {
  float x[LANES_MAX_HEAD_DIM];
  float power;
};

void PackQuery(const lanes_attention_params& p, const float* q, Query* query) {
  const int64_t dim = p.pool->head_dim;
  const float factor = static_cast<float>(p.scale * 1.4426950408889634);
  for (int64_t d = 0; d < dim; ++d) query->x[d] = q[d] * factor;
  query->power = 1;
  if (p.compute == LANES_COMPUTE_BF16) {
    for (int64_t d = 0; d < dim; ++d) query->x[d] = Bf16ToFloat(FloatToBf16(query->x[d]));
  } else if (p.compute == LANES_COMPUTE_INT8) {
    query->power = BlockPower(Largest(query->x, dim));
    for (int64_t d = 0; d < dim; ++d) query->x[d] = RoundToS16(query->x[d], query->power);
  }
}

// Exponent of the weight, to base 2. Products with int8 elements are whole numbers, and summed exactly.
float Score(const lanes_attention_params& p, const Query& query, const Keys& keys, int64_t j) {
  if (p.compute == LANES_COMPUTE_INT8) {
    double sum = 0;
    for (int64_t d = 0; d < p.pool->head_dim; ++d) sum += static_cast<double>(query.x[d]) * keys.Key(j, d);
    return static_cast<float>(sum) * query.power * keys.KeyScale(j);
  }
  float sum = 0;
  for (int64_t d = 0; d < p.pool->head_dim; ++d) sum += query.x[d] * keys.Key(j, d);
  return sum;
}

class Row {
 public:
  // `scores` holds kv_len[s] floats.
  Row(const lanes_attention_params& p, int64_t s, int64_t position, int32_t h, float* scores)
      : p_(p),
        dim_(p.pool->head_dim),
        keys_(p, s, h / (p.heads / p.pool->kv_heads)),
        visible_(VisibleTo(p, s, position)),
        sinks_(p.q_sink != nullptr && p.sinks != nullptr ? p.sinks[s] : 0),
        scores_(scores) {}

  void Run(const float* q, const float* q_sink, float* out) {
    Query query, sink_query;
    PackQuery(p_, q, &query);
    if (q_sink != nullptr) PackQuery(p_, q_sink, &sink_query);
    float largest = -INFINITY;
    for (int64_t j = 0; j < visible_.end; ++j) {
      if (!Seen(j)) continue;
      scores_[j] = Score(p_, j < sinks_ ? sink_query : query, keys_, j);
      if (scores_[j] > largest) largest = scores_[j];
    }
    float sum = 0;
    for (int64_t j = 0; j < visible_.end; ++j) {
      scores_[j] = Seen(j) ? exp2f(scores_[j] - largest) : 0.0f;
      if (p_.compute == LANES_COMPUTE_BF16) scores_[j] = Bf16ToFloat(FloatToBf16(scores_[j]));
      sum += scores_[j];
    }
    for (int64_t d = 0; d < dim_; ++d) out[d] = 0;
    if (p_.compute == LANES_COMPUTE_INT8) {
      for (int64_t begin = 0; begin < visible_.end; begin += LANES_PAGE_TOKENS) AddS8Tile(begin, out);
    } else {
      for (int64_t j = 0; j < visible_.end; ++j) {
        if (!Seen(j)) continue;
        for (int64_t d = 0; d < dim_; ++d) out[d] += scores_[j] * keys_.Value(j, d);
      }
    }
    for (int64_t d = 0; d < dim_; ++d) out[d] /= sum;
  }

 private:
  bool Seen(int64_t j) const { return j < visible_.sink_end || j >= visible_.begin; }

  void AddS8Tile(int64_t begin, float* out) const {
    const int64_t count = visible_.end - begin < LANES_PAGE_TOKENS ? visible_.end - begin : LANES_PAGE_TOKENS;
    float weights[LANES_PAGE_TOKENS];
    for (int64_t i = 0; i < count; ++i) {
      weights[i] = scores_[begin + i] == 0 ? 0.0f : scores_[begin + i] * keys_.ValueScale(begin + i);
    }
    const float power = BlockPower(Largest(weights, count));
    for (int64_t d = 0; d < dim_; ++d) {
      double sum = 0;
      for (int64_t i = 0; i < count; ++i) {
        if (weights[i] != 0) sum += static_cast<double>(RoundToS16(weights[i], power)) * keys_.Value(begin + i, d);
      }
      out[d] += static_cast<float>(sum) * power;
    }
  }

  const lanes_attention_params& p_;
  const int64_t dim_;
  const Keys keys_;
  const VisibleKeys visible_;
  const int64_t sinks_;
  float* const scores_;
};

void Store(const lanes_attention_params& p, int64_t token, int64_t head, const float* row) {
  const int64_t dim = p.pool->head_dim;
  for (int64_t d = 0; d < dim; ++d) {
    if (p.out_bf16 != nullptr) {
      p.out_bf16[token * p.out_bf16_stride + head * dim + d] = FloatToBf16(row[d]);
    } else {
      p.out[token * p.out_stride + head * dim + d] = row[d];
    }
  }
}

void Attention(OpContext& context, const lanes_attention_params& p) {
  int64_t longest = 0;
  for (int32_t s = 0; s < p.sequences; ++s) {
    if (p.kv_len[s] > longest) longest = p.kv_len[s];
  }
  float* scratch = static_cast<float*>(Scratch(context, longest * Workers(context) * static_cast<int64_t>(sizeof(float))));
  for (int32_t s = 0; s < p.sequences; ++s) {
    const int64_t first = p.q_begin[s], count = p.q_begin[s + 1] - first;
    ParallelFor(context, count * p.heads, 1, [&](int64_t begin, int64_t end, int worker) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t token = i / p.heads, head = i % p.heads, at = (first + token) * p.q_stride + head * p.pool->head_dim;
        Row row(p, s, p.kv_len[s] - count + token, static_cast<int32_t>(head), scratch + worker * longest);
        float out[LANES_MAX_HEAD_DIM];
        row.Run(p.q + at, p.q_sink == nullptr ? nullptr : p.q_sink + at, out);
        Store(p, first + token, head, out);
      }
    });
  }
}

}  // namespace

extern const AttentionKernel attention_kernel;
const AttentionKernel attention_kernel = {Attention};

}  // namespace reference
}  // namespace lanes
