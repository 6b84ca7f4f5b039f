// Memory that notices what should not be touched.
#ifndef LANES_TESTS_SUPPORT_BUFFER_H_
#define LANES_TESTS_SUPPORT_BUFFER_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace lanes_test {

// Whole pages whose last byte borders on a page that may not be touched.
class GuardedPages {
 public:
  explicit GuardedPages(uint64_t bytes);
  ~GuardedPages();
  GuardedPages(const GuardedPages&) = delete;
  GuardedPages& operator=(const GuardedPages&) = delete;
  char* end() const { return end_; }

 private:
  void* mapping_;
  uint64_t mapping_bytes_;
  char* end_;
};

// An input that ends where reading further crashes.
template <class T>
class GuardedInput {
 public:
  explicit GuardedInput(const std::vector<T>& values) : pages_(values.size() * sizeof(T)), size_(values.size()) {
    if (size_ > 0) memcpy(data(), values.data(), size_ * sizeof(T));
  }
  T* data() const { return reinterpret_cast<T*>(pages_.end()) - size_; }
  uint64_t size() const { return size_; }

 private:
  GuardedPages pages_;
  uint64_t size_;
};

// An output [rows, cols] with a stride; what lies between, before and behind the rows must stay as it was. `offset` elements
// before it make the address an odd multiple of the element's size.
template <class T>
class GuardedMatrix {
 public:
  GuardedMatrix(int64_t rows, int64_t cols, int64_t stride, int64_t offset)
      : rows_(rows), cols_(cols), stride_(stride), begin_(kMargin + offset),
        values_(kMargin + offset + (rows > 0 ? (rows - 1) * stride + cols : 0) + kMargin) {
    for (size_t i = 0; i < values_.size(); ++i) values_[i] = Sentinel(i);
  }
  T* data() { return values_.data() + begin_; }
  // Elements that the callee may know of: up to the last row's end.
  uint64_t size() const { return rows_ > 0 ? (rows_ - 1) * stride_ + cols_ : 0; }
  T At(int64_t row, int64_t col) const { return values_[begin_ + row * stride_ + col]; }
  void Set(int64_t row, int64_t col, T value) { values_[begin_ + row * stride_ + col] = value; }
  std::vector<T> Dense() const {
    std::vector<T> dense;
    for (int64_t r = 0; r < rows_; ++r) {
      dense.insert(dense.end(), values_.begin() + begin_ + r * stride_, values_.begin() + begin_ + r * stride_ + cols_);
    }
    return dense;
  }
  // Fails the test when anything outside the rows has changed.
  void CheckSentinels() const {
    for (size_t i = 0; i < values_.size(); ++i) {
      const int64_t at = static_cast<int64_t>(i) - begin_;
      const bool inside = at >= 0 && at < static_cast<int64_t>(size()) && at % stride_ < cols_;
      const T expected = Sentinel(i);
      if (!inside && memcmp(&values_[i], &expected, sizeof expected) != 0) {
        ADD_FAILURE() << "element " << at << " outside the output [" << rows_ << ", " << cols_ << "] stride " << stride_
                      << " was overwritten with " << +values_[i];
        return;
      }
    }
  }

 private:
  static constexpr int64_t kMargin = 80;
  static T Sentinel(size_t i) {
    const int number = static_cast<int>(i % 1000);
    return static_cast<T>(sizeof(T) == 1 ? 101 - number % 13 : -12345 - number);
  }
  int64_t rows_, cols_, stride_, begin_;
  std::vector<T> values_;
};

using GuardedOutput = GuardedMatrix<float>;

}  // namespace lanes_test

#endif  // LANES_TESTS_SUPPORT_BUFFER_H_
