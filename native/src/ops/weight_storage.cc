#include "ops/weight_storage.h"

#include <utility>

#include "core/numeric.h"

namespace lanes {
namespace {

// Where the parts of a weight are, in bytes from its beginning.
struct Layout {
  int64_t padded_cols;
  int64_t scales, sums;  // of s8
  int64_t bytes;
};

// Panels; behind those of s8, the rows' scales and sums.
Layout HostLayout(int64_t rows, int64_t cols, int32_t dtype) {
  Layout layout = {};
  layout.padded_cols = RoundUp(cols, dtype == LANES_BF16 ? 2 : dtype == LANES_S8 ? 4 : 1);
  const int64_t padded_rows = RoundUp(rows, kPanelStep);
  layout.bytes = CheckedMul(CheckedMul(padded_rows, layout.padded_cols, "rows * cols of a weight"), DtypeBytes(dtype), "bytes of a weight");
  if (dtype != LANES_S8) return layout;
  layout.scales = layout.bytes;
  const int64_t scale_bytes = CheckedMul(padded_rows, static_cast<int64_t>(sizeof(float)), "scales of a weight");
  layout.sums = CheckedAdd(layout.scales, scale_bytes, "bytes of a weight");
  layout.bytes = CheckedAdd(layout.sums, scale_bytes, "bytes of a weight");
  return layout;
}

// Rows; behind those of s8, the rows' scales.
Layout DeviceLayout(int64_t rows, int64_t cols, int32_t dtype) {
  constexpr int64_t kRowAlignment = 128, kScaleAlignment = 256;
  Layout layout = {};
  const int64_t row_bytes = RoundUp(cols * DtypeBytes(dtype), kRowAlignment);
  layout.padded_cols = row_bytes / DtypeBytes(dtype);
  layout.bytes = CheckedMul(rows, row_bytes, "bytes of a weight");
  if (dtype != LANES_S8) return layout;
  layout.scales = CheckedAdd(layout.bytes, (kScaleAlignment - layout.bytes % kScaleAlignment) % kScaleAlignment, "bytes of a weight");
  layout.bytes = CheckedAdd(layout.scales, rows * static_cast<int64_t>(sizeof(float)), "bytes of a weight");
  return layout;
}

Layout LayoutFor(int64_t rows, int64_t cols, int32_t dtype, bool on_device) {
  if (!IsDtype(dtype)) ThrowInvalid("dtype %d: expected f32 (0), bf16 (1), f16 (2) or s8 (3)", dtype);
  constexpr int64_t kMost = INT64_C(1) << 40;
  if (rows < 1 || rows > kMost) ThrowInvalid("rows %lld: expected 1 to 2^40", static_cast<long long>(rows));
  if (cols < 1 || cols > kMost) ThrowInvalid("cols %lld: expected 1 to 2^40", static_cast<long long>(cols));
  if (dtype == LANES_S8 && cols > kMaxS8Cols) ThrowInvalid("cols %lld: an s8 weight has 1 to 2^23", static_cast<long long>(cols));
  return on_device ? DeviceLayout(rows, cols, dtype) : HostLayout(rows, cols, dtype);
}

}  // namespace

int64_t WeightBytes(int64_t rows, int64_t cols, int32_t dtype, bool on_device) {
  return LayoutFor(rows, cols, dtype, on_device).bytes;
}

}  // namespace lanes

lanes_weight::lanes_weight(int64_t rows, int64_t cols, int32_t dtype, std::shared_ptr<lanes::Accelerator> device)
    : block(device, static_cast<uint64_t>(lanes::WeightBytes(rows, cols, dtype, device != nullptr)), LANES_MEMORY_WEIGHTS) {
  const lanes::Layout layout = lanes::LayoutFor(rows, cols, dtype, device != nullptr);
  char* const data = static_cast<char*>(block.data());
  view = {rows, cols, dtype, static_cast<int32_t>(lanes::DtypeBytes(dtype)), layout.padded_cols, data, nullptr, nullptr};
  if (layout.scales > 0) view.scales = reinterpret_cast<float*>(data + layout.scales);
  if (layout.sums > 0) view.sums = reinterpret_cast<int32_t*>(data + layout.sums);
}
