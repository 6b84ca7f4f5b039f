#include "ops/weight.h"

#include "cpu/scalar.h"

namespace lanes {
namespace reference {
namespace {

void Pack(OpContext& context, const WeightPackArgs& args) {
  const WeightView& w = args.weight;
  // Whole panels: two threads never write to one cache line.
  const int64_t first = args.row_begin / kPanelRows;
  const int64_t panels = (args.row_begin + args.row_count - 1) / kPanelRows - first + 1;
  ParallelFor(context, panels, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = 0; r < args.row_count; ++r) {
      const int64_t row = args.row_begin + r;
      if (row / kPanelRows - first < begin || row / kPanelRows - first >= end) continue;
      for (int64_t c = 0; c < args.col_count; ++c) {
        const int64_t from = args.transposed ? c * args.row_count + r : r * args.col_count + c;
        StoreElement(w.data, w.dtype, WeightIndex(w, row, args.col_begin + c), LoadElement(args.src, args.src_dtype, from));
      }
    }
  });
}

}  // namespace

extern const WeightKernel weight_kernel;
const WeightKernel weight_kernel = {Pack};

}  // namespace reference
}  // namespace lanes
