// Plain loops in float64; integers for s8 weights.
#include "ops/linear.h"

#include "cpu/scalar.h"

namespace lanes {
namespace reference {
namespace {

void Put(const LinearArgs& args, int64_t i, int64_t j, float value) {
  if (args.y_bf16 != nullptr) {
    args.y_bf16[i * args.y_stride + j] = FloatToBf16(value);
  } else {
    args.y[i * args.y_stride + j] = value;
  }
}

void Row(const LinearArgs& args, int64_t i) {
  const WeightView& w = args.weight;
  const auto x = [&](int64_t k) {
    return args.x_bf16 != nullptr ? Bf16ToFloat(args.x_bf16[i * args.x_stride + k]) : args.x[i * args.x_stride + k];
  };
  for (int64_t j = 0; j < w.rows; ++j) {
    double sum = 0;
    for (int64_t k = 0; k < w.cols; ++k) {
      sum += static_cast<double>(x(k)) * LoadElement(w.data, w.dtype, WeightIndex(w, j, k));
    }
    if (args.bias != nullptr) sum += args.bias[j];
    sum = Activate(args.activation, sum);
    if (args.residual != nullptr) sum += args.residual[i * args.residual_stride + j];
    Put(args, i, j, static_cast<float>(sum));
  }
}

// `q` holds k elements, for a row that is quantized here.
void RowS8(const LinearArgs& args, int64_t i, int8_t* q) {
  const WeightView& w = args.weight;
  const int8_t* x = q;
  float x_scale;
  if (args.xq != nullptr) {
    x = args.xq + i * args.xq_stride;
    x_scale = args.x_scale[i];
  } else {
    x_scale = QuantizeRow(QuantizationOfActivations(args.input_scale), args.x + i * args.x_stride, w.cols, q);
  }
  for (int64_t j = 0; j < w.rows; ++j) {
    int64_t sum = 0;
    for (int64_t k = 0; k < w.cols; ++k) sum += x[k] * static_cast<int8_t>(w.data[WeightIndex(w, j, k)]);
    const float scale = x_scale * w.scales[j];
    float value = static_cast<float>(sum) * scale;
    if (args.bias != nullptr) value += args.bias[j];
    value = static_cast<float>(Activate(args.activation, value));
    if (args.residual != nullptr) value = args.residual[i * args.residual_stride + j] + value;
    Put(args, i, j, value);
  }
}

void Run(OpContext& context, const LinearArgs& args) {
  ParallelFor(context, args.m, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) Row(args, i);
  });
}

void RunS8(OpContext& context, const LinearArgs& args) {
  const int64_t k = args.weight.cols;
  int8_t* q = static_cast<int8_t*>(Scratch(context, Workers(context) * k));
  ParallelFor(context, args.m, 1, [&](int64_t begin, int64_t end, int worker) {
    for (int64_t i = begin; i < end; ++i) RowS8(args, i, q + worker * k);
  });
}

}  // namespace

extern const LinearKernel linear_kernel;
const LinearKernel linear_kernel = {[] { return false; }, Run, RunS8};

}  // namespace reference
}  // namespace lanes
