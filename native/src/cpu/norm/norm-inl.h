// LayerNorm and RMSNorm, row by row. Include after the SIMD layer and quantization.
#include "lanes/lanes.h"
#include "ops/norm.h"

namespace lanes {
namespace LANES_ISA {
namespace {

// Independent partial sums hide the latency of the additions; they are added up in a fixed order.
constexpr int kNormSums = 4;

struct NormRow {
  const float* x;
  const float* residual;  // or null
  const float* weight;
  const float* bias;  // or null
  float* y;           // or null
  uint16_t* y_bf16;   // or null
  int64_t cols;

  // Lanes behind the row's end read as 0.
  F32 Input(int64_t i) const {
    const int64_t left = cols - i;
    if (left >= kLanes) return residual ? Add(Load(x + i), Load(residual + i)) : Load(x + i);
    return residual ? Add(LoadN(x + i, left), LoadN(residual + i, left)) : LoadN(x + i, left);
  }
};

// Sum over the row of f(vector, valid lanes).
template <class F>
inline float SumRow(const NormRow& row, const F& f) {
  F32 sums[kNormSums] = {Zero(), Zero(), Zero(), Zero()};
  int64_t i = 0;
  for (; i + kNormSums * kLanes <= row.cols; i += kNormSums * kLanes) {
    for (int s = 0; s < kNormSums; ++s) sums[s] = f(row.Input(i + s * kLanes), i + s * kLanes, sums[s]);
  }
  for (int s = 0; i < row.cols; i += kLanes, ++s) sums[s] = f(row.Input(i), i, sums[s]);
  return ReduceAdd(Add(Add(sums[0], sums[1]), Add(sums[2], sums[3])));
}

inline void StoreRow(float* to, int64_t i, int64_t cols, F32 value) {
  if (cols - i >= kLanes) {
    Store(to + i, value);
  } else {
    StoreN(to + i, value, cols - i);
  }
}

inline F32 LoadRow(const float* from, int64_t i, int64_t cols) {
  return cols - i >= kLanes ? Load(from + i) : LoadN(from + i, cols - i);
}

// To y and y_bf16, as far as they are wanted.
inline void StoreResult(const NormRow& row, int64_t i, F32 y) {
  if (row.y != nullptr) StoreRow(row.y, i, row.cols, y);
  if (row.y_bf16 == nullptr) return;
  if (row.cols - i >= kLanes) {
    StoreBf16(row.y_bf16 + i, y);
  } else {
    StoreBf16N(row.y_bf16 + i, y, row.cols - i);
  }
}

// What a row's quantization needs; q is null where it is not wanted.
struct NormQuantized {
  int8_t* q;
  float* scale;
  float static_scale;
};

// Quantizes the row whose vector at i is value(i), all of which `largest` has seen.
template <class F>
inline void QuantizeNormRow(const NormQuantized& out, const Largest& largest, int64_t cols, const F& value) {
  const RowQuantizer quantizer(QuantizationOfActivations(out.static_scale), largest);
  *out.scale = quantizer.scale();
  if (quantizer.zero()) {
    memset(out.q, 0, static_cast<size_t>(cols));
    return;
  }
  int64_t i = 0;
  for (; i + kLanes <= cols; i += kLanes) StoreS8(out.q + i, quantizer.Convert(value(i)));
  if (i < cols) StoreS8N(out.q + i, quantizer.Convert(value(i)), cols - i);
}

// `next`, the row that follows or null, is fetched during a pass over this one, which is in the caches by then: that of the
// squares, where the mean took one before, else the last.
void RunNormRow(NormRow row, int32_t kind, float epsilon, float* sum, const float* next, const NormQuantized& quantized) {
  // The first pass writes the sum; from then on the row is what has been stored: y may overwrite x or the residual.
  const auto keep = [&row, sum](F32 x, int64_t i) {
    if (sum != nullptr) StoreRow(sum, i, row.cols, x);
  };
  const auto kept = [&row, sum] {
    if (sum == nullptr) return;
    row.x = sum;
    row.residual = nullptr;
  };
  const float count = static_cast<float>(row.cols);
  F32 mean = Zero();
  float squares;
  if (kind == LANES_NORM_LAYER) {
    mean = Set(SumRow(row, [&keep](F32 x, int64_t i, F32 s) {
                 keep(x, i);
                 return Add(s, x);
               }) / count);
    kept();
    squares = SumRow(row, [&row, mean, next](F32 x, int64_t i, F32 s) {
      if (next != nullptr) PrefetchL2(next + i);
      F32 centred = Sub(x, mean);
      if (row.cols - i < kLanes) centred = Select(FirstLanes(row.cols - i), centred, Zero());
      return Fma(centred, centred, s);
    });
  } else {
    squares = SumRow(row, [&keep](F32 x, int64_t i, F32 s) {
      keep(x, i);
      return Fma(x, x, s);
    });
    kept();
  }
  const F32 scale = Div(Set(1.0f), Sqrt(Set(squares / count + epsilon)));
  // Lanes behind the row's end are 0 in the weight and the bias, but 0 * (0 - mean) may be NaN.
  const auto value = [&row, mean, scale](int64_t i) {
    const F32 normal = Mul(Sub(row.Input(i), mean), scale), weight = LoadRow(row.weight, i, row.cols);
    return row.bias ? Fma(normal, weight, LoadRow(row.bias, i, row.cols)) : Mul(normal, weight);
  };
  if (quantized.q == nullptr) {
    for (int64_t i = 0; i < row.cols; i += kLanes) {
      if (next != nullptr && kind != LANES_NORM_LAYER) PrefetchL2(next + i);
      StoreResult(row, i, value(i));
    }
    return;
  }
  Largest largest;
  for (int64_t i = 0; i < row.cols; i += kLanes) {
    if (next != nullptr && kind != LANES_NORM_LAYER) PrefetchL2(next + i);
    const F32 y = value(i);
    largest.See(row.cols - i >= kLanes ? y : Select(FirstLanes(row.cols - i), y, Zero()));
    StoreResult(row, i, y);
  }
  // y may have overwritten the row; without it the values are computed again.
  if (row.y != nullptr) {
    QuantizeNormRow(quantized, largest, row.cols, [&row](int64_t i) { return LoadRow(row.y, i, row.cols); });
  } else {
    QuantizeNormRow(quantized, largest, row.cols, value);
  }
}

void NormRun(OpContext& context, const lanes_norm_params& p) {
  const int64_t grain = p.cols >= 4096 ? 1 : 4096 / p.cols;
  ParallelFor(context, p.rows, grain, [&p](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const NormRow row = {p.x + i * p.x_stride, p.residual ? p.residual + i * p.residual_stride : nullptr, p.weight, p.bias,
                           p.y ? p.y + i * p.y_stride : nullptr, p.y_bf16 ? p.y_bf16 + i * p.y_bf16_stride : nullptr, p.cols};
      const NormQuantized quantized = {p.yq ? p.yq + i * p.yq_stride : nullptr, p.yq ? p.y_scale + i : nullptr, p.output_scale};
      const float* next = i + 1 < p.rows ? row.x + p.x_stride : nullptr;
      RunNormRow(row, p.kind, p.epsilon, p.sum ? p.sum + i * p.sum_stride : nullptr, next, quantized);
    }
  });
}

}  // namespace

extern const NormKernel norm_kernel;
const NormKernel norm_kernel = {NormRun};

}  // namespace LANES_ISA
}  // namespace lanes
