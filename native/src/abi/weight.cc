#include <cmath>
#include <memory>

#include "abi/check.h"
#include "ops/weight_storage.h"

using namespace lanes;

namespace {

void CheckPackScales(const lanes_weight_pack_params& p, const WeightView& view) {
  const bool from_s8 = p.src_dtype == LANES_S8, to_s8 = view.dtype == LANES_S8;
  if (p.scales == nullptr) {
    if (from_s8) ThrowInvalid("scales is NULL: expected one for each row of s8 src");
    if (to_s8 && (p.transposed != 0 || p.col_count != view.cols)) {
      ThrowInvalid("scales is NULL: without them src of an s8 weight is row-major and holds all %lld columns",
                   static_cast<long long>(view.cols));
    }
    return;
  }
  if (!from_s8 && !to_s8) {
    ThrowInvalid("scales is given: expected NULL from %s to %s", DtypeName(p.src_dtype), DtypeName(view.dtype));
  }
  CheckArray(p.scales, p.scales_len, p.row_count, "scales");
  for (int64_t r = 0; r < p.row_count; ++r) {
    if (!(p.scales[r] >= 0) || std::isinf(p.scales[r])) {
      ThrowInvalid("scales[%lld] is %g: expected a finite number, at least 0", static_cast<long long>(r),
                   static_cast<double>(p.scales[r]));
    }
  }
}

}  // namespace

int32_t lanes_weight_create(const lanes_weight_params* params, lanes_weight** out) {
  return Guard("lanes_weight_create", [&] {
    CheckOut(out, "out");
    *out = nullptr;
    const lanes_weight_params p = ReadParams(params);
    auto weight = std::make_unique<lanes_weight>(p.rows, p.cols, p.dtype, DeviceOfParams(p.runtime));
    AddHandle(weight.get(), HandleKind::kWeight);
    *out = weight.release();
  });
}

int32_t lanes_weight_destroy(lanes_weight* weight) {
  return Guard("lanes_weight_destroy", [&] {
    if (weight == nullptr) return;
    RemoveHandle(weight, HandleKind::kWeight, "weight");
    delete weight;
  });
}

int32_t lanes_weight_bytes(const lanes_weight_params* params, uint64_t* bytes) {
  return Guard("lanes_weight_bytes", [&] {
    if (bytes == nullptr) ThrowInvalid("bytes is NULL");
    const lanes_weight_params p = ReadParams(params);
    *bytes = static_cast<uint64_t>(WeightBytes(p.rows, p.cols, p.dtype, DeviceOfParams(p.runtime) != nullptr));
  });
}

int32_t lanes_weight_pack(lanes_runtime* runtime, const lanes_weight_pack_params* params) {
  return Guard("lanes_weight_pack", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const lanes_weight_pack_params p = ReadParams(params);
    const Pinned<lanes_weight> weight(p.weight, "weight");
    const WeightView& view = weight->view;
    if (!IsDtype(p.src_dtype)) ThrowInvalid("src_dtype %d: expected f32 (0), bf16 (1), f16 (2) or s8 (3)", p.src_dtype);
    CheckRange(p.row_begin, 0, view.rows, "row_begin");
    CheckRange(p.row_count, 0, view.rows - p.row_begin, "row_count");
    CheckRange(p.col_begin, 0, view.cols, "col_begin");
    CheckRange(p.col_count, 0, view.cols - p.col_begin, "col_count");
    if (p.row_count == 0 || p.col_count == 0) return;
    if (p.src == nullptr) ThrowInvalid("src is NULL");
    const int64_t element = DtypeBytes(p.src_dtype);
    CheckAligned(p.src, static_cast<uint64_t>(element), "src");
    const int64_t needed = CheckedMul(CheckedMul(p.row_count, p.col_count, "src"), element, "src");
    if (static_cast<uint64_t>(needed) > p.src_bytes) {
      ThrowInvalid("src_bytes is %llu: [%lld, %lld] of %s needs %lld", static_cast<unsigned long long>(p.src_bytes),
                   static_cast<long long>(p.row_count), static_cast<long long>(p.col_count), DtypeName(p.src_dtype),
                   static_cast<long long>(needed));
    }
    CheckPackScales(p, view);
    const WeightPackArgs args = {view,        static_cast<const char*>(p.src), p.src_dtype, p.transposed != 0, p.row_begin,
                                 p.row_count, p.col_begin,                     p.col_count, p.scales};
    CheckSameDevice(*pinned, weight->block.device(), "weight");
    Turn turn(*pinned, OpId::weight);
    turn.kernels().weight->pack(turn.context(), args);
    turn.End();
  });
}
