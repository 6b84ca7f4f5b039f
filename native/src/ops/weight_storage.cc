#include "ops/weight_storage.h"

#include "core/numeric.h"

namespace lanes {
namespace {

int64_t PaddedCols(int64_t cols, int32_t dtype) {
  return RoundUp(cols, dtype == LANES_BF16 ? 2 : dtype == LANES_S8 ? 4 : 1);
}

// The panels. The block that holds them is larger for s8.
int64_t PanelBytes(int64_t rows, int64_t cols, int32_t dtype) {
  return CheckedMul(CheckedMul(RoundUp(rows, kPanelStep), PaddedCols(cols, dtype), "rows * cols of a weight"),
                    DtypeBytes(dtype), "bytes of a weight");
}

}  // namespace

int64_t WeightBytes(int64_t rows, int64_t cols, int32_t dtype) {
  if (!IsDtype(dtype)) ThrowInvalid("dtype %d: expected f32 (0), bf16 (1), f16 (2) or s8 (3)", dtype);
  constexpr int64_t kMost = INT64_C(1) << 40;
  if (rows < 1 || rows > kMost) ThrowInvalid("rows %lld: expected 1 to 2^40", static_cast<long long>(rows));
  if (cols < 1 || cols > kMost) ThrowInvalid("cols %lld: expected 1 to 2^40", static_cast<long long>(cols));
  if (dtype == LANES_S8 && cols > kMaxS8Cols) ThrowInvalid("cols %lld: an s8 weight has 1 to 2^23", static_cast<long long>(cols));
  const int64_t panels = PanelBytes(rows, cols, dtype);
  if (dtype != LANES_S8) return panels;
  const int64_t row_bytes = sizeof(float) + sizeof(int32_t);
  return CheckedAdd(panels, CheckedMul(RoundUp(rows, kPanelStep), row_bytes, "scales of a weight"), "bytes of a weight");
}

}  // namespace lanes

lanes_weight::lanes_weight(int64_t rows, int64_t cols, int32_t dtype)
    : block(static_cast<uint64_t>(lanes::WeightBytes(rows, cols, dtype)), LANES_MEMORY_WEIGHTS),
      view{rows, cols, dtype, static_cast<int32_t>(lanes::DtypeBytes(dtype)), lanes::PaddedCols(cols, dtype),
           static_cast<char*>(block.data()), nullptr, nullptr} {
  if (dtype != LANES_S8) return;
  view.scales = reinterpret_cast<float*>(view.data + lanes::PanelBytes(rows, cols, dtype));
  view.sums = reinterpret_cast<int32_t*>(view.scales + lanes::RoundUp(rows, lanes::kPanelStep));
}
