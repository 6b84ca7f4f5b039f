// Where a linear layer's results go. Included inside an ISA's translation unit, before its algorithm.
#include "ops/linear.h"

namespace lanes {
namespace LANES_ISA {
namespace {

// A row of y from one column on: float32, or rounded to bfloat16.
class OutputRow {
 public:
  OutputRow(const LinearArgs& args, int64_t row, int64_t col) {
    if (args.y_bf16 != nullptr) {
      halves_ = args.y_bf16 + row * args.y_stride + col;
    } else {
      floats_ = args.y + row * args.y_stride + col;
    }
  }

  // `lanes` elements of `value`, from element j on.
  void Put(int64_t j, F32 value, int64_t lanes) const {
    if (halves_ != nullptr) {
      if (lanes == kLanes) {
        StoreBf16(halves_ + j, value);
      } else {
        StoreBf16N(halves_ + j, value, lanes);
      }
    } else if (lanes == kLanes) {
      Store(floats_ + j, value);
    } else {
      StoreN(floats_ + j, value, lanes);
    }
  }

 private:
  float* floats_ = nullptr;
  uint16_t* halves_ = nullptr;
};

}  // namespace
}  // namespace LANES_ISA
}  // namespace lanes
