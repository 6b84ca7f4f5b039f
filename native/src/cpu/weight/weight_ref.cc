#include "ops/weight.h"

#include "cpu/scalar.h"

namespace lanes {
namespace reference {
namespace {

int64_t SourceIndex(const WeightPackArgs& args, int64_t r, int64_t c) {
  return args.transposed ? c * args.row_count + r : r * args.col_count + c;
}

void PackRow(const WeightPackArgs& args, int64_t r) {
  const WeightView& w = args.weight;
  for (int64_t c = 0; c < args.col_count; ++c) {
    float value = LoadElement(args.src, args.src_dtype, SourceIndex(args, r, c));
    if (args.src_dtype == LANES_S8) value *= args.scales[r];
    StoreElement(w.data, w.dtype, WeightIndex(w, args.row_begin + r, args.col_begin + c), value);
  }
}

// `values` and `q` hold col_count elements.
void PackRowS8(const WeightPackArgs& args, int64_t r, float* values, int8_t* q) {
  const WeightView& w = args.weight;
  const int64_t row = args.row_begin + r;
  for (int64_t c = 0; c < args.col_count; ++c) values[c] = LoadElement(args.src, args.src_dtype, SourceIndex(args, r, c));
  if (args.src_dtype == LANES_S8) {
    for (int64_t c = 0; c < args.col_count; ++c) q[c] = static_cast<int8_t>(values[c]);
    w.scales[row] = args.scales[r];
  } else {
    const Quantization how = QuantizationOfWeight(args.scales == nullptr ? nullptr : args.scales + r);
    w.scales[row] = QuantizeRow(how, values, args.col_count, q);
  }
  for (int64_t c = 0; c < args.col_count; ++c) w.data[WeightIndex(w, row, args.col_begin + c)] = static_cast<char>(q[c]);
  // Of the whole row: earlier calls may have filled other columns.
  int32_t sum = 0;
  for (int64_t c = 0; c < w.cols; ++c) sum += static_cast<int8_t>(w.data[WeightIndex(w, row, c)]);
  w.sums[row] = sum;
}

void Pack(OpContext& context, const WeightPackArgs& args) {
  const bool s8 = args.weight.dtype == LANES_S8;
  const int64_t buffer = s8 ? args.col_count : 0;
  float* values = s8 ? static_cast<float*>(Scratch(context, Workers(context) * buffer * 5)) : nullptr;
  int8_t* q = reinterpret_cast<int8_t*>(values + Workers(context) * buffer);
  // Whole panels: two threads never write to one cache line.
  const int64_t first = args.row_begin / kPanelRows;
  const int64_t panels = (args.row_begin + args.row_count - 1) / kPanelRows - first + 1;
  ParallelFor(context, panels, 1, [&](int64_t begin, int64_t end, int worker) {
    for (int64_t r = 0; r < args.row_count; ++r) {
      const int64_t panel = (args.row_begin + r) / kPanelRows - first;
      if (panel < begin || panel >= end) continue;
      if (s8) {
        PackRowS8(args, r, values + worker * buffer, q + worker * buffer);
      } else {
        PackRow(args, r);
      }
    }
  });
}

}  // namespace

extern const WeightKernel weight_kernel;
const WeightKernel weight_kernel = {Pack};

}  // namespace reference
}  // namespace lanes
