// Gated activation: element by element, or, for int8 rows, a block for each row.
#include "ops/gate.h"

#include "cuda/common/activation.cuh"
#include "cuda/common/device.h"
#include "cuda/common/ptx.cuh"
#include "cuda/common/reduce.cuh"
#include "cuda/common/rows.cuh"
#include "cuda/gate/heuristics.h"

namespace lanes::cuda {
namespace {

struct GateArgs {
  int64_t rows, cols;
  const float* gate;
  int64_t gate_stride;
  const float* up;
  int64_t up_stride;
  float* y;  // or null
  int64_t y_stride;
  uint16_t* y_bf16;  // or null
  int64_t y_bf16_stride;
  int8_t* yq;  // or null
  int64_t yq_stride;
  float* y_scale;
  Quantization quantization;
  int32_t activation;
};

// One decision for four elements.
__device__ __forceinline__ float4 ActivateFour(int32_t activation, float4 x) {
  switch (activation) {
    case LANES_ACTIVATION_SILU:
      return make_float4(Silu(x.x), Silu(x.y), Silu(x.z), Silu(x.w));
    case LANES_ACTIVATION_GELU:
      return make_float4(Gelu(x.x), Gelu(x.y), Gelu(x.z), Gelu(x.w));
    case LANES_ACTIVATION_GELU_TANH:
      return make_float4(GeluTanh(x.x), GeluTanh(x.y), GeluTanh(x.z), GeluTanh(x.w));
    case LANES_ACTIVATION_RELU:
      return make_float4(Relu(x.x), Relu(x.y), Relu(x.z), Relu(x.w));
    case LANES_ACTIVATION_TANH:
      return make_float4(Tanh(x.x), Tanh(x.y), Tanh(x.z), Tanh(x.w));
    default:
      return x;
  }
}

template <bool kVector>
__global__ void __launch_bounds__(256, 1) GateElements(const GateArgs args) {
  DependencyWait();
  DependencyLaunch();
  const int64_t cols = args.cols, first = (static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x) * 4;
  const int64_t step = static_cast<int64_t>(gridDim.y) * blockDim.x * 4, rows_step = static_cast<int64_t>(gridDim.x) * blockDim.y;
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; row < args.rows; row += rows_step) {
    const float* const gate = args.gate + row * args.gate_stride;
    const float* const up = args.up + row * args.up_stride;
    float* const y = args.y == nullptr ? nullptr : args.y + row * args.y_stride;
    uint16_t* const y_bf16 = args.y_bf16 == nullptr ? nullptr : args.y_bf16 + row * args.y_bf16_stride;
    for (int64_t col = first; col < cols; col += step) {
      const float4 g = LoadFour<kVector>(gate, col, cols), u = LoadFour<kVector>(up, col, cols);
      const float4 result = MulFour(ActivateFour(args.activation, g), u);
      if (y != nullptr) StoreFour<kVector>(y, col, cols, result);
      if (y_bf16 != nullptr) StoreFourBf16<kVector>(y_bf16, col, cols, result);
    }
  }
}

// kHeld: kGroups groups of each thread are the row; else it is computed, or read, again when it is quantized.
template <int kThreads, int kGroups, bool kHeld, bool kVector>
__global__ void __launch_bounds__(kThreads, 1) GateQuantizedRows(const GateArgs args) {
  DependencyWait();
  const int64_t row = blockIdx.x, cols = args.cols;
  const float* const gate = args.gate + row * args.gate_stride;
  const float* const up = args.up + row * args.up_stride;
  float* const y = args.y == nullptr ? nullptr : args.y + row * args.y_stride;
  uint16_t* const y_bf16 = args.y_bf16 == nullptr ? nullptr : args.y_bf16 + row * args.y_bf16_stride;
  const auto column = [](int i) { return static_cast<int64_t>(threadIdx.x + i * kThreads) * 4; };
  float4 v[kGroups];
  const auto compute = [&](int64_t base) {
    float4 u[kGroups];
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      v[i] = LoadFour<kVector>(gate, base + column(i), cols);
      u[i] = LoadFour<kVector>(up, base + column(i), cols);
    }
#pragma unroll
    for (int i = 0; i < kGroups; ++i) v[i] = InsideRow<kVector>(MulFour(ActivateFour(args.activation, v[i]), u[i]), base + column(i), cols);
  };
  constexpr int64_t kStep = static_cast<int64_t>(kThreads) * 4 * kGroups;
  uint32_t largest = 0;
  for (int64_t base = 0; kHeld ? base == 0 : base < cols; base += kStep) {
    compute(base);
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      largest = max(largest, LargestOfFour(v[i]));
      if (y != nullptr) StoreFour<kVector>(y, base + column(i), cols, v[i]);
      if (y_bf16 != nullptr) StoreFourBf16<kVector>(y_bf16, base + column(i), cols, v[i]);
    }
  }
  DependencyLaunch();
  uint32_t* const shared = reinterpret_cast<uint32_t*>(SharedMemory());
  const RowQuantizer quantizer = QuantizerOf(args.quantization, ReduceBlock(largest, kThreads / 32, shared, Larger()));
  if (threadIdx.x == 0) args.y_scale[row] = quantizer.scale;
  int8_t* const yq = args.yq + row * args.yq_stride;
  for (int64_t base = 0; kHeld ? base == 0 : base < cols; base += kStep) {
    if (!kHeld && y == nullptr) compute(base);
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      // y may have overwritten its inputs.
      const float4 result = kHeld || y == nullptr ? v[i] : LoadFour<kVector>(y, base + column(i), cols);
      StoreFourS8<kVector>(yq, base + column(i), cols, QuantizeFour(quantizer, result));
    }
  }
}

using GateFunction = void (*)(GateArgs);

GateFunction FunctionOf(const GatePlan& plan, bool vector) {
  if (!plan.held) return vector ? GateQuantizedRows<256, 4, false, true> : GateQuantizedRows<256, 4, false, false>;
  switch (plan.threads) {
    case 128:
      return plan.groups == 4 ? GateQuantizedRows<128, 4, true, true> : GateQuantizedRows<128, 8, true, true>;
    case 256:
      return GateQuantizedRows<256, 8, true, true>;
    default:
      return GateQuantizedRows<512, 8, true, true>;
  }
}

void Run(OpContext& context, const lanes_gate_params& p) {
  const bool vector = InFours(p.gate, p.rows, p.cols, p.gate_stride) && InFours(p.up, p.rows, p.cols, p.up_stride) &&
                      InFours(p.y, p.rows, p.cols, p.y_stride) && InFours(p.y_bf16, p.rows, p.cols, p.y_bf16_stride, 2) &&
                      InFours(p.yq, p.rows, p.cols, p.yq_stride, 1);
  GateArgs args = {};
  args.rows = p.rows;
  args.cols = p.cols;
  args.gate = p.gate;
  args.gate_stride = p.gate_stride;
  args.up = p.up;
  args.up_stride = p.up_stride;
  args.y = p.y;
  args.y_stride = p.y_stride;
  args.y_bf16 = p.y_bf16;
  args.y_bf16_stride = p.y_bf16_stride;
  args.yq = p.yq;
  args.yq_stride = p.yq_stride;
  args.y_scale = p.y_scale;
  args.quantization = QuantizationOfActivations(p.output_scale);
  args.activation = p.activation;
  if (p.yq == nullptr) {
    DeviceOf(context).Launch(RowGrid(p.rows, (p.cols + 3) / 4), vector ? GateElements<true> : GateElements<false>, args);
    return;
  }
  const GatePlan plan = PlanQuantizedGate(p.cols, vector);
  ForRowParts(p.rows, 1, [&](int64_t begin, int64_t count, uint32_t blocks) {
    GateArgs part = args;
    part.rows = count;
    part.gate += begin * p.gate_stride;
    part.up += begin * p.up_stride;
    if (part.y != nullptr) part.y += begin * p.y_stride;
    if (part.y_bf16 != nullptr) part.y_bf16 += begin * p.y_bf16_stride;
    part.yq += begin * p.yq_stride;
    part.y_scale += begin;
    LaunchConfig config;
    config.grid = dim3(blocks);
    config.block = dim3(static_cast<uint32_t>(plan.threads));
    config.shared_bytes = static_cast<uint32_t>(plan.threads / 32 * sizeof(uint32_t));
    DeviceOf(context).Launch(config, FunctionOf(plan, vector), part);
  });
}

}  // namespace

extern const GateKernel gate_kernel;
const GateKernel gate_kernel = {Run};

}  // namespace lanes::cuda
