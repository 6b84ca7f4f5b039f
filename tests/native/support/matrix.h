// Inputs as ops take them: strided, misaligned, with NaN between the rows and a forbidden page behind the last.
#ifndef LANES_TESTS_SUPPORT_MATRIX_H_
#define LANES_TESTS_SUPPORT_MATRIX_H_

#include <cmath>
#include <limits>
#include <vector>

#include "support/lanes_test.h"

namespace lanes_test {

template <class T>
class StridedInput {
 public:
  StridedInput(const std::vector<T>& dense, int64_t rows, int64_t cols, int64_t pad, int64_t offset)
      : stride_(cols + pad), offset_(offset), guarded_(Spread(dense, rows, cols, cols + pad, offset)) {}
  T* data() const { return guarded_.data() + offset_; }
  uint64_t size() const { return guarded_.size() - offset_; }
  int64_t stride() const { return stride_; }

 private:
  static std::vector<T> Spread(const std::vector<T>& dense, int64_t rows, int64_t cols, int64_t stride, int64_t offset) {
    const T poison = std::numeric_limits<T>::has_quiet_NaN ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(113);
    std::vector<T> out(offset + (rows > 0 ? (rows - 1) * stride + cols : 0), poison);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) out[offset + r * stride + c] = dense[r * cols + c];
    }
    return out;
  }

  int64_t stride_, offset_;
  GuardedInput<T> guarded_;
};

using MatrixInput = StridedInput<float>;

inline void FillOutput(GuardedOutput* output, const std::vector<float>& dense, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) output->Set(r, c, dense[r * cols + c]);
  }
}

inline int32_t ParseActivation(const std::string& name) {
  const char* const names[] = {"none", "silu", "gelu", "gelu_tanh", "relu", "tanh"};
  for (int32_t i = 0; i < 6; ++i) {
    if (name == names[i]) return i;
  }
  throw std::runtime_error("activation " + name);
}

}  // namespace lanes_test

#endif  // LANES_TESTS_SUPPORT_MATRIX_H_
