#include <cmath>

#include "abi/check.h"
#include "ops/sample.h"

using namespace lanes;

namespace {

using LongLong = long long;

// `valid` is false for NaN.
void CheckOption(bool valid, int64_t row, const char* name, double value, const char* expected) {
  if (!valid) ThrowInvalid("row[%lld].%s is %g: expected %s", static_cast<LongLong>(row), name, value, expected);
}

void CheckRow(const lanes_sample_params& p, int64_t i) {
  const lanes_sample_row& row = p.row[i];
  CheckOption(row.temperature >= 0 && std::isfinite(row.temperature), i, "temperature", row.temperature, "0 or more, finite");
  CheckOption(row.top_k >= 0, i, "top_k", row.top_k, "0 (all) or more");
  CheckOption(row.top_p > 0 && row.top_p <= 1, i, "top_p", row.top_p, "more than 0, at most 1");
  CheckOption(row.min_p >= 0 && row.min_p < 1, i, "min_p", row.min_p, "at least 0, less than 1");
  CheckOption(row.repetition_penalty > 0 && std::isfinite(row.repetition_penalty), i, "repetition_penalty",
              row.repetition_penalty, "more than 0, finite");
  const uint64_t begin = static_cast<uint64_t>(row.seen_begin), count = static_cast<uint64_t>(row.seen_count);
  if (row.seen_count < 0 || row.seen_begin < 0 || begin > p.seen_len || count > p.seen_len - begin) {
    ThrowInvalid("row[%lld].seen_begin is %lld and seen_count %lld: seen_len is %llu", static_cast<LongLong>(i),
                 static_cast<LongLong>(row.seen_begin), static_cast<LongLong>(row.seen_count),
                 static_cast<unsigned long long>(p.seen_len));
  }
  if (row.seen_count == 0) return;
  CheckArray(p.seen, p.seen_len, row.seen_begin + row.seen_count, "seen");
  for (int64_t s = row.seen_begin; s < row.seen_begin + row.seen_count; ++s) {
    if (p.seen[s] < 0 || p.seen[s] >= p.vocabulary) {
      ThrowInvalid("seen[%lld] is %d: expected 0 to %lld", static_cast<LongLong>(s), p.seen[s],
                   static_cast<LongLong>(p.vocabulary - 1));
    }
  }
}

}  // namespace

int32_t lanes_sample(lanes_runtime* runtime, const lanes_sample_params* params) {
  return Guard("lanes_sample", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const lanes_sample_params p = ReadParams(params);
    CheckRange(p.rows, 0, INT64_MAX, "rows");
    CheckRange(p.vocabulary, 1, INT32_MAX, "vocabulary");
    CheckMatrix(p.logits, p.logits_len, p.rows, p.vocabulary, p.logits_stride, "logits");
    if (p.row_len < static_cast<uint64_t>(p.rows)) {
      ThrowInvalid("row_len is %llu: expected at least rows, %lld", static_cast<unsigned long long>(p.row_len),
                   static_cast<LongLong>(p.rows));
    }
    if (p.rows > 0 && p.row == nullptr) ThrowInvalid("row is NULL");
    CheckAligned(p.row, alignof(lanes_sample_row), "row");
    CheckArray(p.token, p.token_len, p.rows, "token");
    if (p.log_probability != nullptr) CheckArray(p.log_probability, p.log_probability_len, p.rows, "log_probability");
    for (int64_t i = 0; i < p.rows; ++i) CheckRow(p, i);
    if (p.rows == 0) return;
    const Region token = RegionOf(p.token, p.rows, "token");
    const Region log_probability = RegionOf(p.log_probability, p.rows, "log_probability");
    const Region row = {p.row, 1, static_cast<int64_t>(p.rows * sizeof(lanes_sample_row)),
                        static_cast<int64_t>(p.rows * sizeof(lanes_sample_row)), "row"};
    const Region logits = RegionOf(p.logits, p.rows, p.vocabulary, p.logits_stride, "logits");
    for (const Region& out : {token, log_probability}) {
      CheckDisjoint(out, logits);
      CheckDisjoint(out, row);
      CheckDisjoint(out, RegionOf(p.seen, static_cast<int64_t>(p.seen_len), "seen"));
    }
    CheckDisjoint(token, log_probability);
    CheckReachable(*pinned, {logits});
    Turn turn(*pinned, OpId::sample);
    const SampleKernel& kernel = *turn.kernels().sample;
    kernel.run(turn.context(), kernel, p);
    turn.End();
  });
}

int32_t lanes_top_log_probabilities(lanes_runtime* runtime, const lanes_top_log_probabilities_params* params) {
  return Guard("lanes_top_log_probabilities", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const lanes_top_log_probabilities_params p = ReadParams(params);
    CheckRange(p.rows, 0, INT64_MAX, "rows");
    CheckRange(p.vocabulary, 1, INT32_MAX, "vocabulary");
    CheckRange(p.top_k, 1, p.vocabulary, "top_k");
    CheckMatrix(p.logits, p.logits_len, p.rows, p.vocabulary, p.logits_stride, "logits");
    const int64_t count = CheckedMul(p.rows, p.top_k, "token");
    CheckArray(p.token, p.token_len, count, "token");
    CheckArray(p.log_probability, p.log_probability_len, count, "log_probability");
    if (p.rows == 0) return;
    const Region logits = RegionOf(p.logits, p.rows, p.vocabulary, p.logits_stride, "logits");
    const Region token = RegionOf(p.token, count, "token");
    const Region log_probability = RegionOf(p.log_probability, count, "log_probability");
    CheckDisjoint(token, logits);
    CheckDisjoint(log_probability, logits);
    CheckDisjoint(token, log_probability);
    CheckReachable(*pinned, {logits});
    Turn turn(*pinned, OpId::top_log_probabilities);
    const KernelSet& kernels = turn.kernels();
    kernels.top_log_probabilities->run(turn.context(), *kernels.sample, p);
    turn.End();
  });
}
