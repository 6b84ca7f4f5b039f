#include <math.h>

#include "cpu/attention/mask.h"
#include "cpu/scalar.h"
#include "ops/attention.h"

namespace lanes {
namespace reference {
namespace {

// One kv head's keys and values of one sequence, by key index.
class Keys {
 public:
  Keys(const lanes_attention_params& p, int64_t sequence, int32_t kv_head)
      : p_(p), pages_(p.page_table + sequence * p.page_table_stride), kv_head_(kv_head) {}

  float Key(int64_t j, int64_t d) const {
    return Element(Block(j), KeyIndex(p_.pool, j % LANES_PAGE_TOKENS, d));
  }
  float Value(int64_t j, int64_t d) const {
    return Element(Block(j) + p_.pool->key_bytes, ValueIndex(p_.pool, j % LANES_PAGE_TOKENS, d));
  }

 private:
  const unsigned char* Block(int64_t j) const { return KvBlock(p_.pool, p_.layer, pages_[j / LANES_PAGE_TOKENS], kv_head_); }
  float Element(const unsigned char* block, int64_t index) const {
    if (p_.pool->dtype == LANES_F32) return reinterpret_cast<const float*>(block)[index];
    return Bf16ToFloat(reinterpret_cast<const uint16_t*>(block)[index]);
  }

  const lanes_attention_params& p_;
  const int32_t* pages_;
  int32_t kv_head_;
};

// The query at token `t`, position `position` of sequence `s`, head `h`. `scores` holds kv_len[s] floats.
void AttendRow(const lanes_attention_params& p, int64_t s, int64_t t, int64_t position, int32_t h, float* scores) {
  const int64_t dim = p.pool->head_dim;
  const Keys keys(p, s, h / (p.heads / p.pool->kv_heads));
  const VisibleKeys visible = VisibleTo(p, s, position);
  const int64_t sinks = p.q_sink != nullptr && p.sinks != nullptr ? p.sinks[s] : 0;
  const auto seen = [&visible](int64_t j) { return j < visible.sink_end || j >= visible.begin; };
  float largest = -INFINITY;
  for (int64_t j = 0; j < visible.end; ++j) {
    if (!seen(j)) continue;
    const float* q = (j < sinks ? p.q_sink : p.q) + t * p.q_stride + h * dim;
    float dot = 0;
    for (int64_t d = 0; d < dim; ++d) dot += q[d] * keys.Key(j, d);
    scores[j] = dot * p.scale;
    if (scores[j] > largest) largest = scores[j];
  }
  float sum = 0;
  for (int64_t j = 0; j < visible.end; ++j) {
    if (!seen(j)) continue;
    scores[j] = expf(scores[j] - largest);
    sum += scores[j];
  }
  float* out = p.out + t * p.out_stride + h * dim;
  for (int64_t d = 0; d < dim; ++d) {
    float value = 0;
    for (int64_t j = 0; j < visible.end; ++j) {
      if (seen(j)) value += scores[j] * keys.Value(j, d);
    }
    out[d] = value / sum;
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
        const int64_t token = i / p.heads;
        AttendRow(p, s, first + token, p.kv_len[s] - count + token, static_cast<int32_t>(i % p.heads), scratch + worker * longest);
      }
    });
  }
}

}  // namespace

extern const AttentionKernel attention_kernel;
const AttentionKernel attention_kernel = {Attention};

}  // namespace reference
}  // namespace lanes
