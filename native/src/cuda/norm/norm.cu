// LayerNorm and RMSNorm: a warp or a block for each row.
//
// Thread t takes the groups of four columns t, t + threads, …; sums run over a thread's groups in order, four chains side by side, then over
// the threads by shuffles, then over the warps in order.
#include "ops/norm.h"

#include "cuda/common/device.h"
#include "cuda/common/ptx.cuh"
#include "cuda/common/reduce.cuh"
#include "cuda/common/rows.cuh"
#include "cuda/norm/heuristics.h"

namespace lanes::cuda {
namespace {

struct NormArgs {
  int64_t rows, cols;
  const float* x;
  int64_t x_stride;
  const float* residual;  // or null
  int64_t residual_stride;
  const float* weight;
  const float* bias;  // or null
  float* sum;         // or null
  int64_t sum_stride;
  float* y;  // or null
  int64_t y_stride;
  uint16_t* y_bf16;  // or null
  int64_t y_bf16_stride;
  int8_t* yq;  // or null
  int64_t yq_stride;
  float* y_scale;
  Quantization quantization;
  float epsilon;
  bool layer;
};

constexpr int kMaxWarps = 8;

// Of a block's sums, its squares, and its largest magnitudes.
struct NormShared {
  float sum[kMaxWarps], squares[kMaxWarps];
  uint32_t largest[kMaxWarps];
};

__device__ __forceinline__ float Total(float4 v) { return (v.x + v.y) + (v.z + v.w); }

// Blocks that a multiprocessor is to have at least. Where nothing is asked ptxas takes some registers more than it needs; for fewer it spills.
constexpr int NormBlocks(int groups) { return groups == 8 ? 5 : groups == 16 ? 3 : 1; }

// kHeld: kGroups groups of each thread are the row; else it is read again in every pass, as many groups at a time.
template <int kThreads, int kGroups, bool kHeld, bool kVector>
__global__ void __launch_bounds__(kThreads < 128 ? 128 : kThreads, NormBlocks(kGroups)) NormRows(const NormArgs args) {
  constexpr int kWarps = kThreads / 32, kBlock = kThreads < 128 ? 128 : kThreads;
  constexpr int kTogether = kGroups > 8 ? 2 : kGroups < 4 ? kGroups : 4;  // groups whose weights are loaded at one time
  constexpr bool kEarly = kHeld && kTogether == kGroups;                   // those of all groups, with the row
  constexpr int kLine = 32;                                                // floats of 128 bytes
  const int thread = threadIdx.x % kThreads;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kBlock / kThreads) + threadIdx.x / kThreads, cols = args.cols;
  NormShared* const shared = reinterpret_cast<NormShared*>(SharedMemory());
  const auto column = [thread](int i) { return static_cast<int64_t>(thread + i * kThreads) * 4; };

  // Weights come nearer while the kernel ahead ends. They are read behind it: an op of the same list may have written them.
  if (blockIdx.x == 0) {
    for (int64_t col = static_cast<int64_t>(threadIdx.x) * kLine; col < cols; col += kBlock * kLine) {
      PrefetchLine(args.weight + col);
      if (args.bias != nullptr) PrefetchLine(args.bias + col);
    }
  }
  DependencyWait();
  if (row >= args.rows) return;  // whole warps, and only where a row is a warp's

  const float* x = args.x + row * args.x_stride;
  const float* residual = args.residual == nullptr ? nullptr : args.residual + row * args.residual_stride;
  float* const sum = args.sum == nullptr ? nullptr : args.sum + row * args.sum_stride;
  float* const y = args.y == nullptr ? nullptr : args.y + row * args.y_stride;
  uint16_t* const y_bf16 = args.y_bf16 == nullptr ? nullptr : args.y_bf16 + row * args.y_bf16_stride;
  const auto store = [y, y_bf16, cols](int64_t col, const float4& result) {
    if (y != nullptr) StoreFour<kVector>(y, col, cols, result);
    if (y_bf16 != nullptr) StoreFourBf16<kVector>(y_bf16, col, cols, result);
  };
  float4 v[kGroups];
  const auto load = [&](int64_t base) {
#pragma unroll
    for (int i = 0; i < kGroups; ++i) v[i] = LoadFour<kVector>(x, base + column(i), cols);
    if (residual == nullptr) return;
    float4 r[kGroups];
#pragma unroll
    for (int i = 0; i < kGroups; ++i) r[i] = LoadFour<kVector>(residual, base + column(i), cols);
#pragma unroll
    for (int i = 0; i < kGroups; ++i) v[i] = AddFour(v[i], r[i]);
  };
  // Calls f(group, its first column, its index in registers) for all of the row.
  const auto pass = [&](const auto& f) {
    for (int64_t base = 0; kHeld ? base == 0 : base < cols; base += static_cast<int64_t>(kThreads) * 4 * kGroups) {
      if (!kHeld) load(base);
#pragma unroll
      for (int i = 0; i < kGroups; ++i) f(v[i], base + column(i), i);
    }
  };

  float4 weight[kTogether], bias[kTogether] = {};
  const auto load_weights = [&](int64_t base, int first) {
#pragma unroll
    for (int i = 0; i < kTogether; ++i) weight[i] = LoadFour<kVector>(args.weight, base + column(first + i), cols);
    if (args.bias == nullptr) return;
#pragma unroll
    for (int i = 0; i < kTogether; ++i) bias[i] = LoadFour<kVector>(args.bias, base + column(first + i), cols);
  };

  if (kHeld) load(0);
  if (kEarly) load_weights(0, 0);
  DependencyLaunch();
  float4 total = make_float4(0.f, 0.f, 0.f, 0.f);
  pass([&](const float4& s, int64_t col, int) {
    if (sum != nullptr) StoreFour<kVector>(sum, col, cols, s);
    if (args.layer) {
      total = AddFour(total, s);
    } else {
      total = make_float4(fmaf(s.x, s.x, total.x), fmaf(s.y, s.y, total.y), fmaf(s.z, s.z, total.z), fmaf(s.w, s.w, total.w));
    }
  });
  // From now on the row is what has been stored: y may overwrite x or the residual, and so may the sum.
  if (!kHeld && sum != nullptr) {
    x = sum;
    residual = nullptr;
  }
  const float count = static_cast<float>(cols);
  float mean = 0.f;
  if (args.layer) {
    mean = ReduceBlock(Total(total), kWarps, shared->sum, Add()) / count;
    total = make_float4(0.f, 0.f, 0.f, 0.f);
    pass([&](const float4& s, int64_t col, int) {
      const float4 c = InsideRow<kVector>(make_float4(s.x - mean, s.y - mean, s.z - mean, s.w - mean), col, cols);
      total = make_float4(fmaf(c.x, c.x, total.x), fmaf(c.y, c.y, total.y), fmaf(c.z, c.z, total.z), fmaf(c.w, c.w, total.w));
    });
  }
  const float scale = 1.f / sqrtf(ReduceBlock(Total(total), kWarps, shared->squares, Add()) / count + args.epsilon);
  // Calls f(result, its first column, its index in registers) for all of the row.
  const auto pass_results = [&](const auto& f) {
    for (int64_t base = 0; kHeld ? base == 0 : base < cols; base += static_cast<int64_t>(kThreads) * 4 * kGroups) {
      if (!kHeld) load(base);
#pragma unroll
      for (int first = 0; first < kGroups; first += kTogether) {
        if (!kEarly) load_weights(base, first);
#pragma unroll
        for (int i = 0; i < kTogether; ++i) {
          const float4 s = v[first + i], w = weight[i], b = bias[i];
          const float4 n = make_float4((s.x - mean) * scale, (s.y - mean) * scale, (s.z - mean) * scale, (s.w - mean) * scale);
          const float4 with_bias = make_float4(fmaf(n.x, w.x, b.x), fmaf(n.y, w.y, b.y), fmaf(n.z, w.z, b.z), fmaf(n.w, w.w, b.w));
          f(args.bias == nullptr ? MulFour(n, w) : with_bias, base + column(first + i), first + i);
        }
      }
    }
  };
  if (args.yq == nullptr) {
    pass_results([&](const float4& result, int64_t col, int) { store(col, result); });
    return;
  }

  uint32_t largest = 0;
  pass_results([&](const float4& result, int64_t col, int i) {
    const float4 inside = InsideRow<kVector>(result, col, cols);
    largest = max(largest, LargestOfFour(inside));
    store(col, inside);
    if (kHeld) v[i] = inside;
  });
  const RowQuantizer quantizer = QuantizerOf(args.quantization, ReduceBlock(largest, kWarps, shared->largest, Larger()));
  if (thread == 0) args.y_scale[row] = quantizer.scale;
  // Where y may have overwritten the row, it is read instead; without it the values are computed again.
  if (!kHeld && y != nullptr) {
    x = y;
    residual = nullptr;
  }
  int8_t* const yq = args.yq + row * args.yq_stride;
  const auto quantize = [&](const float4& result, int64_t col, int) {
    StoreFourS8<kVector>(yq, col, cols, QuantizeFour(quantizer, result));
  };
  if (kHeld || y != nullptr) {
    pass(quantize);
  } else {
    pass_results(quantize);
  }
}

using NormFunction = void (*)(NormArgs);

NormFunction FunctionOf(const NormPlan& plan, bool vector) {
  if (!plan.held) {
    if (vector) return plan.threads == 128 ? NormRows<128, 4, false, true> : NormRows<256, 4, false, true>;
    return plan.threads == 32    ? NormRows<32, 4, false, false>
           : plan.threads == 128 ? NormRows<128, 4, false, false>
                                 : NormRows<256, 4, false, false>;
  }
  if (plan.threads == 32) {
    return plan.groups == 1   ? NormRows<32, 1, true, true>
           : plan.groups == 2 ? NormRows<32, 2, true, true>
           : plan.groups == 4 ? NormRows<32, 4, true, true>
                              : NormRows<32, 8, true, true>;
  }
  return plan.groups == 4 ? NormRows<128, 4, true, true> : plan.groups == 8 ? NormRows<128, 8, true, true> : NormRows<128, 16, true, true>;
}

void Run(OpContext& context, const lanes_norm_params& p) {
  const bool vector = InFours(p.x, p.rows, p.cols, p.x_stride) && InFours(p.residual, p.rows, p.cols, p.residual_stride) &&
                      InFours(p.weight, 1, p.cols, 0) && InFours(p.bias, 1, p.cols, 0) && InFours(p.sum, p.rows, p.cols, p.sum_stride) &&
                      InFours(p.y, p.rows, p.cols, p.y_stride) && InFours(p.y_bf16, p.rows, p.cols, p.y_bf16_stride, 2) &&
                      InFours(p.yq, p.rows, p.cols, p.yq_stride, 1);
  const NormPlan plan = PlanNorm(p.cols, vector);
  NormArgs args = {};
  args.rows = p.rows;
  args.cols = p.cols;
  args.x = p.x;
  args.x_stride = p.x_stride;
  args.residual = p.residual;
  args.residual_stride = p.residual_stride;
  args.weight = p.weight;
  args.bias = p.bias;
  args.sum = p.sum;
  args.sum_stride = p.sum_stride;
  args.y = p.y;
  args.y_stride = p.y_stride;
  args.y_bf16 = p.y_bf16;
  args.y_bf16_stride = p.y_bf16_stride;
  args.yq = p.yq;
  args.yq_stride = p.yq_stride;
  args.y_scale = p.y_scale;
  args.quantization = QuantizationOfActivations(p.output_scale);
  args.epsilon = p.epsilon;
  args.layer = p.kind == LANES_NORM_LAYER;
  ForRowParts(p.rows, plan.rows_per_block, [&](int64_t begin, int64_t count, uint32_t blocks) {
    NormArgs part = args;
    part.rows = count;
    part.x += begin * p.x_stride;
    if (part.residual != nullptr) part.residual += begin * p.residual_stride;
    if (part.sum != nullptr) part.sum += begin * p.sum_stride;
    if (part.y != nullptr) part.y += begin * p.y_stride;
    if (part.y_bf16 != nullptr) part.y_bf16 += begin * p.y_bf16_stride;
    if (part.yq != nullptr) part.yq += begin * p.yq_stride, part.y_scale += begin;
    LaunchConfig config;
    config.grid = dim3(blocks);
    config.block = dim3(static_cast<uint32_t>(plan.threads * plan.rows_per_block));
    config.shared_bytes = plan.threads == 32 ? 0 : sizeof(NormShared);
    DeviceOf(context).Launch(config, FunctionOf(plan, vector), part);
  });
}

}  // namespace

extern const NormKernel norm_kernel;
const NormKernel norm_kernel = {Run};

}  // namespace lanes::cuda
