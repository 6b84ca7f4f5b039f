// From logits to tokens, and the largest log-probabilities. Contract: ops/sample.h.
//
// Three kernels. ScanSegments, a block for each segment of each row: the best token of each stretch, and the segment's share of the
// log-softmax. ListSegments, the same grid, for rows that are drawn: the mass of the tokens, where all of them may be drawn; the tokens
// that top-k and top-p may keep, by a bound that the best tokens, or the largest logit, give. DrawRows, a block for each row: what is
// kept of the list, and the token.
#include "ops/sample.h"

#include <vector>

#include "cuda/common/device.h"
#include "cuda/sample/select.cuh"
#include "cuda/sample/tokens.cuh"

namespace lanes::cuda {
namespace {

// ---- Segments ------------------------------------------------------------------------------------------------------

__global__ void __launch_bounds__(kSampleThreads) ScanSegments(const SampleArgs args) {
  DependencyWait();
  SampleShared* const shared = reinterpret_cast<SampleShared*>(SharedMemory());
  const int64_t row = blockIdx.x / args.segments, segment = blockIdx.x % args.segments, begin = segment * kSegment;
  float x[kGroups][4];
  LoadTokens(args, args.logits + row * args.logits_stride, begin, x);
  DependencyLaunch();
  if (args.sum != nullptr) {
    float largest = kLowest;
#pragma unroll
    for (int i = 0; i < kGroups; ++i) largest = fmaxf(largest, fmaxf(fmaxf(x[i][0], x[i][1]), fmaxf(x[i][2], x[i][3])));
    largest = ReduceBlock(largest, Warps(), shared->maxima, Larger());
    float sum = 0.f;
    if (largest > kLowest) {
      const auto share = [largest](float v) { return largest < INFINITY ? Exp(v - largest) : v < INFINITY ? 0.f : 1.f; };
#pragma unroll
      for (int i = 0; i < kGroups; ++i) sum += (share(x[i][0]) + share(x[i][1])) + (share(x[i][2]) + share(x[i][3]));
    }
    const double total = ReduceBlock(static_cast<double>(sum), Warps(), shared->exponentials, Add());
    if (threadIdx.x == 0) {
      args.maximum[row * args.segments + segment] = largest;
      args.sum[row * args.segments + segment] = total;
    }
  }
  PenaliseTokens(args, args.how[row], begin, shared, x);
  // Ids rise within a thread: the first of its largest.
  float largest = x[0][0];
  int32_t at = GroupBegin(0);
#pragma unroll
  for (int i = 0; i < kGroups; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (x[i][j] > largest) {
        largest = x[i][j];
        at = GroupBegin(i) + j;
      }
    }
  }
  uint64_t best = begin + GroupBegin(0) < args.vocabulary ? RankOf(largest, static_cast<uint32_t>(begin + at)) : kNoRank;
  best = ReduceWarp(best, Smaller());
  const int64_t stretch = segment * (kSegment / kStretch) + threadIdx.x / 32;
  if (threadIdx.x % 32 == 0 && stretch < args.stretches) args.best[row * args.stretches + stretch] = best;
}

struct ListShared {
  SampleShared base;
  uint64_t best[1024];
};

// At least as many tokens as top-k keeps have this rank or one before it: the best of as many stretches.
__device__ __forceinline__ uint64_t TopKBound(const SampleArgs& args, int64_t row, int32_t top_k, ListShared* shared) {
  const int32_t count = static_cast<int32_t>(min(args.stretches, static_cast<int64_t>(1024)));
  if (top_k > count) return kNoRank;
  const uint64_t* const best = args.best + row * args.stretches;
  for (int32_t i = threadIdx.x; i < count; i += blockDim.x) shared->best[i] = best[i];
  __syncthreads();
  for (int32_t i = threadIdx.x; i < count; i += blockDim.x) {
    int32_t before = 0;
    for (int32_t j = 0; j < count; ++j) before += shared->best[j] < shared->best[i];
    if (before == top_k - 1) shared->base.found[0] = shared->best[i];
  }
  __syncthreads();
  return shared->base.found[0];
}

// What is further below the largest logit than temperature * ln(vocabulary / (1 - top_p)) weighs less than 1 - top_p in all, where the
// largest weighs 1; and a little further, for roundings.
__device__ __forceinline__ uint64_t TopPBound(float maximum, const lanes_sample_row& how, int64_t vocabulary) {
  const float distance = how.temperature * 1.01f * (logf(static_cast<float>(vocabulary)) - logf(1.f - how.top_p) + 1.f);
  return RankOf(maximum - distance, 0xFFFFFFFFu);
}

__global__ void __launch_bounds__(kSampleThreads) ListSegments(const SampleArgs args) {
  DependencyWait();
  DependencyLaunch();
  ListShared* const shared = reinterpret_cast<ListShared*>(SharedMemory());
  const int64_t row = blockIdx.x / args.segments, segment = blockIdx.x % args.segments, begin = segment * kSegment;
  const lanes_sample_row& how = args.how[row];
  if (how.temperature == 0.f) return;
  const float maximum = LogitOf(BestOf(args, row, &shared->base));
  if (maximum == kLowest && !args.top) return;
  float x[kGroups][4];
  LoadTokens(args, args.logits + row * args.logits_stride, begin, x);
  PenaliseTokens(args, how, begin, &shared->base, x);
  const bool filtered = args.top || Filtered(how, args.vocabulary), by_count = args.top || KeepsTopK(how, args.vocabulary);
  if (!by_count) {
    const TokenWeights weights = {maximum, how.temperature, args.mass_unit};
    uint64_t mass = 0;
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) mass += weights.Mass(x[i][j], filtered ? 0.f : how.min_p);
    }
    mass = ReduceBlock(mass, Warps(), shared->base.sums[0], Add());
    if (threadIdx.x == 0) args.mass[row * args.segments + segment] = mass;
  }
  if (!filtered) return;
  const uint64_t bound = by_count ? TopKBound(args, row, how.top_k, shared) : TopPBound(maximum, how, args.vocabulary);
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  uint32_t listed[kGroups][4], count = 0;
#pragma unroll
  for (int i = 0; i < kGroups; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int64_t id = begin + GroupBegin(i) + j;
      listed[i][j] = __ballot_sync(kAllLanes, id < args.vocabulary && RankOf(x[i][j], static_cast<uint32_t>(id)) <= bound);
      count += static_cast<uint32_t>(__popc(listed[i][j]));
    }
  }
  if (lane == 0) shared->base.counts[warp] = count;
  __syncthreads();
  uint32_t at = 0, total = 0;
  for (uint32_t w = 0; w < static_cast<uint32_t>(Warps()); ++w) {
    at += w < warp ? shared->base.counts[w] : 0;
    total += shared->base.counts[w];
  }
  if (threadIdx.x == 0) args.tokens[row * args.segments + segment] = total;
  uint64_t* const token = args.token + (row * args.segments + segment) * kSegment;
  const uint32_t before = (1u << lane) - 1;
#pragma unroll
  for (int i = 0; i < kGroups; ++i) {
    // By id: lane by lane, each with its four.
#pragma unroll
    for (int j = 0; j < 4; ++j) at += static_cast<uint32_t>(__popc(listed[i][j] & before));
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if ((listed[i][j] >> lane & 1) != 0) token[at++] = RankOf(x[i][j], static_cast<uint32_t>(begin + GroupBegin(i) + j));
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) at += static_cast<uint32_t>(__popc(listed[i][j] & ~before & ~(1u << lane)));
  }
}

// ---- Rows ----------------------------------------------------------------------------------------------------------

// log(sum of e^x) of a row, kept as its two parts.
struct LogSum {
  float maximum;
  double log_sum;

  __device__ __forceinline__ float LogProbability(float logit) const {
    const float x = CleanLogit(logit);
    if (x == kLowest) return kLowest;
    if (maximum == INFINITY) return x == INFINITY ? static_cast<float>(-log_sum) : kLowest;
    return static_cast<float>(static_cast<double>(x) - static_cast<double>(maximum) - log_sum);
  }
};

__device__ __forceinline__ LogSum LogSumOf(const SampleArgs& args, int64_t row, SampleShared* shared) {
  const float* const maximum = args.maximum + row * args.segments;
  const double* const sum = args.sum + row * args.segments;
  float largest = kLowest;
  for (int64_t s = threadIdx.x; s < args.segments; s += blockDim.x) largest = fmaxf(largest, maximum[s]);
  largest = ReduceBlock(largest, Warps(), shared->maxima, Larger());
  double total = 0;
  for (int64_t s = threadIdx.x; s < args.segments; s += blockDim.x) {
    // Of equal maxima, infinite ones among them, the sum itself.
    if (maximum[s] == largest) {
      total += sum[s];
    } else if (largest < INFINITY) {
      total += sum[s] * exp(static_cast<double>(maximum[s]) - static_cast<double>(largest));
    }
  }
  return {largest, log(ReduceBlock(total, Warps(), shared->exponentials, Add()))};
}

__device__ __forceinline__ uint64_t UniformBits(uint64_t seed, uint64_t counter) {
  uint32_t c[4] = {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0};
  uint32_t k[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = static_cast<uint64_t>(0xD2511F53u) * c[0], b = static_cast<uint64_t>(0xCD9E8D57u) * c[2];
    const uint32_t c1 = c[1], c3 = c[3];
    c[0] = static_cast<uint32_t>(b >> 32) ^ c1 ^ k[0];
    c[1] = static_cast<uint32_t>(b);
    c[2] = static_cast<uint32_t>(a >> 32) ^ c3 ^ k[1];
    c[3] = static_cast<uint32_t>(a);
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  // The 53 highest bits are u: u times an integer is its product with these, 64 bits to the right.
  return (static_cast<uint64_t>(c[1]) << 32 | c[0]) & ~static_cast<uint64_t>(0x7FF);
}

// The least integer that is not below p times `total`; 0 < p < 1.
__device__ __forceinline__ uint64_t ShareOf(float p, uint64_t total) {
  const uint64_t share = static_cast<uint64_t>(ceil(static_cast<double>(p) * 0x1p64));
  return __umul64hi(share, total) + (share * total != 0 ? 1 : 0);
}

struct DrawArgs {
  SampleArgs sample;
  int32_t* token;          // [rows]
  float* log_probability;  // [rows] or null
};

// The token of a row whose largest logit is finite or +infinity, and whose temperature is not 0.
__device__ __forceinline__ int64_t Draw(const SampleArgs& args, int64_t row, const lanes_sample_row& how, uint64_t best,
                                        SelectShared* shared) {
  const TokenWeights weights = {LogitOf(best), how.temperature, args.mass_unit};
  const TokenList list = {args.token + row * args.segments * kSegment, args.tokens + row * args.segments, args.segments};
  uint64_t* const mass = args.mass + row * args.segments;
  const bool filtered = Filtered(how, args.vocabulary);
  uint64_t last = kNoRank;
  const auto kept = [&weights, &how, &last](uint64_t rank) { return rank <= last ? weights.Mass(LogitOf(rank), how.min_p) : 0; };
  if (filtered) {
    const ListExtent extent = ExtentOf(list, &shared->base);
    uint64_t total = 0;
    if (KeepsTopK(how, args.vocabulary)) {
      last = Select<false>(list, best, extent, static_cast<uint64_t>(how.top_k), shared, [](uint64_t) -> uint64_t { return 1; });
      if (how.top_p < 1.f) {
        list.ForEach([&](uint64_t rank) { total += rank <= last ? weights.Mass(LogitOf(rank), 0.f) : 0; });
      }
    } else {
      for (int64_t s = threadIdx.x; s < args.segments; s += blockDim.x) total += mass[s];
    }
    if (how.top_p < 1.f) {
      total = ReduceBlock(total, Warps(), shared->base.sums[1], Add());
      const uint64_t wanted = ShareOf(how.top_p, total);
      last = Select<true>(list, best, extent, wanted, shared, [&weights](uint64_t rank) { return weights.Mass(LogitOf(rank), 0.f); });
    }
    for (int64_t s = threadIdx.x / 32; s < args.segments; s += Warps()) {
      uint64_t sum = 0;
      for (uint32_t j = threadIdx.x % 32; j < list.tokens[s]; j += 32) sum += kept(list.token[s * kSegment + j]);
      sum = ReduceWarp(sum, Add());
      if (threadIdx.x % 32 == 0) mass[s] = sum;
    }
    __syncthreads();
  }
  uint64_t total = 0;
  for (int64_t s = threadIdx.x; s < args.segments; s += blockDim.x) total += mass[s];
  total = ReduceBlock(total, Warps(), shared->base.sums[1], Add());
  const uint64_t target = __umul64hi(UniformBits(how.seed, how.counter), total);
  const Crossing segment = FindCrossing(args.segments, target, &shared->base, [mass](int64_t s) { return mass[s]; });
  const uint64_t rest = target - segment.before;
  const int64_t begin = segment.index * kSegment;
  if (filtered) {
    const uint64_t* const token = list.token + begin;
    const Crossing found = FindCrossing(list.tokens[segment.index], rest, &shared->base, [&](int64_t j) { return kept(token[j]); });
    return IdOf(token[found.index]);
  }
  const bool penalised = Penalised(how);
  if (penalised) MarkSeen(args, how, begin, &shared->base);
  const float* const logits = args.logits + row * args.logits_stride + begin;
  const Crossing found = FindCrossing(min(args.vocabulary - begin, static_cast<int64_t>(kSegment)), rest, &shared->base, [&](int64_t i) {
    const bool seen = penalised && Seen(&shared->base, static_cast<int32_t>(i));
    return weights.Mass(seen ? Penalise(logits[i], how.repetition_penalty) : CleanLogit(logits[i]), how.min_p);
  });
  return begin + found.index;
}

__global__ void __launch_bounds__(kSampleThreads, 1) DrawRows(const DrawArgs draw) {
  DependencyWait();
  DependencyLaunch();
  const SampleArgs& args = draw.sample;
  SelectShared* const shared = reinterpret_cast<SelectShared*>(SharedMemory());
  const int64_t row = blockIdx.x;
  const lanes_sample_row& how = args.how[row];
  const uint64_t best = BestOf(args, row, &shared->base);
  int64_t token = IdOf(best);
  if (how.temperature != 0.f && LogitOf(best) != kLowest) token = Draw(args, row, how, best, shared);
  if (threadIdx.x == 0) draw.token[row] = static_cast<int32_t>(token);
  if (draw.log_probability == nullptr) return;
  const LogSum sum = LogSumOf(args, row, &shared->base);
  if (threadIdx.x == 0) draw.log_probability[row] = sum.LogProbability(args.logits[row * args.logits_stride + token]);
}

struct TopArgs {
  SampleArgs sample;
  int32_t* token;          // [rows, top_k]
  float* log_probability;  // [rows, top_k]
  int64_t top_k;
};

// kMembers places at a time: where they end, who they are, and the place of each.
__global__ void __launch_bounds__(kSampleThreads, 1) TopRows(const TopArgs top) {
  DependencyWait();
  DependencyLaunch();
  const SampleArgs& args = top.sample;
  SelectShared* const shared = reinterpret_cast<SelectShared*>(SharedMemory());
  const int64_t row = blockIdx.x;
  const LogSum sum = LogSumOf(args, row, &shared->base);
  const TokenList list = {args.token + row * args.segments * kSegment, args.tokens + row * args.segments, args.segments};
  const uint64_t best = BestOf(args, row, &shared->base);
  const ListExtent extent = ExtentOf(list, &shared->base);
  uint64_t next = 0;  // no rank before it is wanted any more
  for (int64_t begin = 0; begin < top.top_k; begin += kMembers) {
    const int64_t end = min(begin + kMembers, top.top_k);
    const uint64_t last =
        Select<false>(list, best, extent, static_cast<uint64_t>(end), shared, [](uint64_t) -> uint64_t { return 1; });
    if (threadIdx.x == 0) shared->members = 0;
    __syncthreads();
    list.ForEach([&](uint64_t rank) {
      if (rank >= next && rank <= last) shared->member[atomicAdd(&shared->members, 1u)] = rank;
    });
    __syncthreads();
    for (int64_t i = threadIdx.x; i < end - begin; i += blockDim.x) {
      const uint64_t rank = shared->member[i];
      int64_t place = begin;
      for (int64_t j = 0; j < end - begin; ++j) place += shared->member[j] < rank;
      top.token[row * top.top_k + place] = static_cast<int32_t>(IdOf(rank));
      top.log_probability[row * top.top_k + place] = sum.LogProbability(LogitOf(rank));
    }
    next = last + 1;
    __syncthreads();
  }
}

// ---- Host ----------------------------------------------------------------------------------------------------------

struct SampleWork {
  const float* logits;
  int64_t logits_stride, rows, vocabulary;
  const lanes_sample_row* how;  // [rows], host memory
  const int32_t* seen;
  int64_t seen_count;
  bool log_sums, top;
};

// Calls finish(first row, rows, arguments) behind the scan and the listing of as many rows at a time as scratch memory has room for.
template <class Finish>
void ForRows(Device& device, const SampleWork& work, const Finish& finish) {
  const SamplePlan plan = PlanSample(work.rows, work.vocabulary);
  const int64_t segments = plan.rows * plan.segments;
  SampleArgs args = {};
  args.vocabulary = work.vocabulary;
  args.logits_stride = work.logits_stride;
  // What grows from step to step comes last: addresses of the rest stay the same.
  const lanes_sample_row* const how = device.Stage(work.how, work.rows);
  args.seen = work.seen_count == 0 ? nullptr : device.Stage(work.seen, work.seen_count);
  bool drawn = false;
  for (int64_t i = 0; i < work.rows; ++i) drawn = drawn || work.how[i].temperature != 0;
  args.best = device.Scratch<uint64_t>(plan.rows * plan.stretches);
  args.token = drawn ? device.Scratch<uint64_t>(segments * kSegment) : nullptr;
  args.mass = drawn ? device.Scratch<uint64_t>(segments) : nullptr;
  args.tokens = drawn ? device.Scratch<uint32_t>(segments) : nullptr;
  args.sum = work.log_sums ? device.Scratch<double>(segments) : nullptr;
  args.maximum = work.log_sums ? device.Scratch<float>(segments) : nullptr;
  args.segments = plan.segments;
  args.stretches = plan.stretches;
  args.mass_unit = static_cast<float>(INT64_C(1) << plan.mass_bits);
  args.vector = InFours(work.logits, work.rows, work.vocabulary, work.logits_stride);
  args.top = work.top;
  for (int64_t begin = 0; begin < work.rows; begin += plan.rows) {
    const int64_t rows = std::min(plan.rows, work.rows - begin);
    args.logits = work.logits + begin * work.logits_stride;
    args.how = how + begin;
    LaunchConfig config;
    config.grid = dim3(static_cast<uint32_t>(rows * plan.segments));
    config.block = dim3(static_cast<uint32_t>(plan.threads));
    config.shared_bytes = sizeof(SampleShared);
    device.Launch(config, ScanSegments, args);
    if (drawn) {
      config.shared_bytes = sizeof(ListShared);
      device.Launch(config, ListSegments, args);
    }
    config.grid = dim3(static_cast<uint32_t>(rows));
    config.shared_bytes = sizeof(SelectShared);
    finish(begin, config, args);
  }
}

void RunSample(OpContext& context, const SampleKernel&, const lanes_sample_params& p) {
  Device& device = DeviceOf(context);
  int32_t* const token = device.Return(p.token, p.rows);
  float* const log_probability = p.log_probability == nullptr ? nullptr : device.Return(p.log_probability, p.rows);
  const SampleWork work = {p.logits,  p.logits_stride, p.rows, p.vocabulary, p.row, p.seen, static_cast<int64_t>(p.seen_len),
                           log_probability != nullptr, false};
  ForRows(device, work, [&](int64_t begin, const LaunchConfig& config, const SampleArgs& args) {
    device.Launch(config, DrawRows, DrawArgs{args, token + begin, log_probability == nullptr ? nullptr : log_probability + begin});
  });
}

void RunTop(OpContext& context, const SampleKernel&, const lanes_top_log_probabilities_params& p) {
  Device& device = DeviceOf(context);
  int32_t* const token = device.Return(p.token, p.rows * p.top_k);
  float* const log_probability = device.Return(p.log_probability, p.rows * p.top_k);
  // Listed as if the first top_k were to be drawn from.
  lanes_sample_row how = {};
  how.temperature = how.repetition_penalty = 1;
  how.top_k = p.top_k;
  how.top_p = 1;
  const std::vector<lanes_sample_row> rows(static_cast<size_t>(p.rows), how);
  const SampleWork work = {p.logits, p.logits_stride, p.rows, p.vocabulary, rows.data(), nullptr, 0, true, true};
  ForRows(device, work, [&](int64_t begin, const LaunchConfig& config, const SampleArgs& args) {
    device.Launch(config, TopRows, TopArgs{args, token + begin * p.top_k, log_probability + begin * p.top_k, p.top_k});
  });
}

}  // namespace

extern const SampleKernel sample_kernel;
const SampleKernel sample_kernel = {RunSample, nullptr, nullptr, nullptr};

extern const TopLogProbabilitiesKernel top_log_probabilities_kernel;
const TopLogProbabilitiesKernel top_log_probabilities_kernel = {RunTop};

}  // namespace lanes::cuda
