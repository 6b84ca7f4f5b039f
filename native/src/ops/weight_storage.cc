#include "ops/weight_storage.h"

#include "core/numeric.h"

namespace lanes {
namespace {

int64_t PaddedCols(int64_t cols, int32_t dtype) { return dtype == LANES_BF16 ? RoundUp(cols, 2) : cols; }

}  // namespace

int64_t WeightBytes(int64_t rows, int64_t cols, int32_t dtype) {
  if (!IsDtype(dtype)) ThrowInvalid("dtype %d: expected f32 (0), bf16 (1) or f16 (2)", dtype);
  constexpr int64_t kMost = INT64_C(1) << 40;
  if (rows < 1 || rows > kMost) ThrowInvalid("rows %lld: expected 1 to 2^40", static_cast<long long>(rows));
  if (cols < 1 || cols > kMost) ThrowInvalid("cols %lld: expected 1 to 2^40", static_cast<long long>(cols));
  const int64_t elements = CheckedMul(RoundUp(rows, kPanelStep), PaddedCols(cols, dtype), "rows * cols of a weight");
  return CheckedMul(elements, DtypeBytes(dtype), "bytes of a weight");
}

}  // namespace lanes

lanes_weight::lanes_weight(int64_t rows, int64_t cols, int32_t dtype)
    : block(static_cast<uint64_t>(lanes::WeightBytes(rows, cols, dtype)), LANES_MEMORY_WEIGHTS),
      view{rows, cols, dtype, static_cast<int32_t>(lanes::DtypeBytes(dtype)), lanes::PaddedCols(cols, dtype),
           static_cast<char*>(block.data())} {}
