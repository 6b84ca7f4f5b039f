#include "abi/check.h"
#include "ops/combine.h"
#include "ops/gather.h"

using namespace lanes;

namespace {

void CheckIndex(const int32_t* index, int64_t count, int64_t rows) {
  for (int64_t i = 0; i < count; ++i) {
    if (index[i] < 0 || index[i] >= rows) {
      ThrowInvalid("index[%lld] is %d: expected 0 to %lld", static_cast<long long>(i), index[i], static_cast<long long>(rows - 1));
    }
  }
}

}  // namespace

int32_t lanes_gather(lanes_runtime* runtime, const lanes_gather_params* params) {
  return Guard("lanes_gather", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const lanes_gather_params p = ReadParams(params);
    CheckRange(p.rows, 0, INT64_MAX, "rows");
    CheckRange(p.cols, 0, INT64_MAX, "cols");
    CheckRange(p.x_rows, 0, INT64_MAX, "x_rows");
    CheckArray(p.index, p.index_len, p.rows, "index");
    CheckMatrix(p.x, p.x_len, p.x_rows, p.cols, p.x_stride, "x");
    CheckMatrix(p.y, p.y_len, p.rows, p.cols, p.y_stride, "y");
    CheckIndex(p.index, p.rows, p.x_rows);
    if (p.rows == 0 || p.cols == 0) return;
    const Region x = RegionOf(p.x, p.x_rows, p.cols, p.x_stride, "x");
    const Region y = RegionOf(p.y, p.rows, p.cols, p.y_stride, "y");
    CheckDisjoint(y, x);
    CheckDisjoint(y, RegionOf(p.index, p.rows, "index"));
    CheckReachable(*pinned, {x, y});
    Turn turn(*pinned, OpId::gather);
    turn.kernels().gather->run(turn.context(), p);
    turn.End();
  });
}

int32_t lanes_combine(lanes_runtime* runtime, const lanes_combine_params* params) {
  return Guard("lanes_combine", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const lanes_combine_params p = ReadParams(params);
    CheckRange(p.tokens, 0, INT64_MAX, "tokens");
    CheckRange(p.cols, 0, INT64_MAX, "cols");
    CheckRange(p.terms, 0, INT32_MAX, "terms");
    CheckRange(p.x_rows, 0, INT64_MAX, "x_rows");
    const int64_t terms = CheckedMul(p.tokens, p.terms, "index");
    CheckArray(p.index, p.index_len, terms, "index");
    CheckArray(p.weight, p.weight_len, terms, "weight");
    CheckMatrix(p.x, p.x_len, p.x_rows, p.cols, p.x_stride, "x");
    CheckMatrix(p.y, p.y_len, p.tokens, p.cols, p.y_stride, "y");
    if (p.residual != nullptr) CheckMatrix(p.residual, p.residual_len, p.tokens, p.cols, p.residual_stride, "residual");
    CheckIndex(p.index, terms, p.x_rows);
    if (p.tokens == 0 || p.cols == 0) return;
    const Region x = RegionOf(p.x, p.x_rows, p.cols, p.x_stride, "x");
    const Region y = RegionOf(p.y, p.tokens, p.cols, p.y_stride, "y");
    const Region residual = RegionOf(p.residual, p.tokens, p.cols, p.residual_stride, "residual");
    CheckDisjoint(y, x);
    CheckDisjoint(y, RegionOf(p.index, terms, "index"));
    CheckDisjoint(y, RegionOf(p.weight, terms, "weight"));
    CheckDisjointOrSame(y, residual);
    CheckReachable(*pinned, {x, y, residual});
    Turn turn(*pinned, OpId::combine);
    turn.kernels().combine->run(turn.context(), p);
    turn.End();
  });
}
