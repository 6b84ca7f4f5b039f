// Expert routing: a warp for each token.
#include "ops/route.h"

#include <math.h>

#include "cuda/common/device.h"
#include "cuda/common/ptx.cuh"
#include "cuda/common/rank.cuh"
#include "cuda/common/reduce.cuh"
#include "cuda/common/row_grid.h"

namespace lanes::cuda {
namespace {

constexpr int kTokens = 4;  // of a block

struct RouteArgs {
  int64_t tokens;
  const float* logits;
  int64_t logits_stride;
  int32_t* expert;
  float* weight;
  int32_t experts, top_k;
  bool normalize;
};

__global__ void __launch_bounds__(kTokens * 32, 1) RouteTokens(const RouteArgs args) {
  DependencyWait();
  DependencyLaunch();
  const int64_t t = static_cast<int64_t>(blockIdx.x) * kTokens + threadIdx.x / 32;
  if (t >= args.tokens) return;
  const int32_t lane = threadIdx.x % 32, experts = args.experts, top_k = args.top_k;
  const float* const logits = args.logits + t * args.logits_stride;
  int32_t* const expert = args.expert + t * top_k;
  float* const weight = args.weight + t * top_k;
  // Each round finds the next in rank. The lane that will need an expert again is the one that stores it.
  uint64_t last = 0;
  double largest = 0, sum = 0;
  for (int32_t k = 0; k < top_k; ++k) {
    uint64_t next = kNoRank;
    for (int32_t e = lane; e < experts; e += 32) {
      const uint64_t rank = RankOf(logits[e], static_cast<uint32_t>(e));
      if ((k == 0 || rank > last) && rank < next) next = rank;
    }
    last = ReduceWarp(next, Smaller());
    const int32_t chosen = static_cast<int32_t>(IdOf(last));
    if (lane == k % 32) expert[k] = chosen;
    // The logits as they are: one NaN among them makes its softmax NaN.
    if (k == 0) largest = logits[chosen];
    if (args.normalize) sum += exp(logits[chosen] - largest);
  }
  if (!args.normalize) {
    for (int32_t e = lane; e < experts; e += 32) sum += exp(logits[e] - largest);
    sum = ReduceWarp(sum, Add());
  }
  for (int32_t k = lane; k < top_k; k += 32) weight[k] = static_cast<float>(exp(logits[expert[k]] - largest) / sum);
}

void Run(OpContext& context, const lanes_route_params& p) {
  Device& device = DeviceOf(context);
  const RouteArgs args = {p.tokens,
                          p.logits,
                          p.logits_stride,
                          device.Return(p.expert, p.tokens * p.top_k),
                          device.Return(p.weight, p.tokens * p.top_k),
                          p.experts,
                          p.top_k,
                          p.normalize != 0};
  ForRowParts(p.tokens, kTokens, [&](int64_t begin, int64_t count, uint32_t blocks) {
    RouteArgs part = args;
    part.tokens = count;
    part.logits += begin * p.logits_stride;
    part.expert += begin * p.top_k;
    part.weight += begin * p.top_k;
    LaunchConfig config;
    config.grid = dim3(blocks);
    config.block = dim3(kTokens * 32);
    device.Launch(config, RouteTokens, part);
  });
}

}  // namespace

extern const RouteKernel route_kernel;
const RouteKernel route_kernel = {Run};

}  // namespace lanes::cuda
