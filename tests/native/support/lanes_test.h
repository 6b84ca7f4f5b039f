// What every native test needs: runtimes on each ISA, weights, and a check that nothing was left allocated.
#ifndef LANES_TESTS_SUPPORT_LANES_TEST_H_
#define LANES_TESTS_SUPPORT_LANES_TEST_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lanes/lanes.h"
#include "support/buffer.h"
#include "support/cases.h"
#include "support/device.h"
#include "support/random.h"

namespace lanes_test {

struct Destroy {
  void operator()(lanes_runtime* runtime) const { EXPECT_EQ(lanes_runtime_destroy(runtime), LANES_OK) << lanes_last_error(); }
  void operator()(lanes_weight* weight) const { EXPECT_EQ(lanes_weight_destroy(weight), LANES_OK) << lanes_last_error(); }
};
using RuntimePtr = std::unique_ptr<lanes_runtime, Destroy>;
using WeightPtr = std::unique_ptr<lanes_weight, Destroy>;

// The ISAs of this build that this machine runs, reference first; on a GPU, AUTO alone.
std::vector<int32_t> Isas();
const char* IsaName(int32_t isa);

// Of the device under test; on a GPU, neither counts.
RuntimePtr MakeRuntime(int32_t isa, int threads);

// A weight [rows, cols] from float32 values, rounded to dtype.
WeightPtr NewWeight(int64_t rows, int64_t cols, int32_t dtype);
WeightPtr MakeWeight(lanes_runtime* runtime, const std::vector<float>& values, int64_t rows, int64_t cols, int32_t dtype);

// value as dtype stores it.
float RoundTo(int32_t dtype, float value);
std::vector<float> RoundTo(int32_t dtype, std::vector<float> values);

// What bfloat16 elements stand for.
std::vector<float> WidenBf16(const std::vector<uint16_t>& elements);

// What an op writes: float rows, or rows of bfloat16 instead of them.
class FloatOrBf16Output {
 public:
  FloatOrBf16Output(bool bf16, int64_t rows, int64_t cols, int64_t stride, int64_t offset)
      : floats(bf16 ? 0 : rows, cols, stride, offset), halves_(bf16 ? rows : 0, cols, stride, offset), bf16_(bf16), stride_(stride) {}
  // To the fields of a params struct: one of the two.
  void Give(float** y, uint64_t* y_len, int64_t* y_stride, uint16_t** y_bf16, uint64_t* y_bf16_len, int64_t* y_bf16_stride) {
    if (bf16_) {
      *y_bf16 = halves_.data();
      *y_bf16_len = halves_.size();
      *y_bf16_stride = stride_;
    } else {
      *y = floats.data();
      *y_len = floats.size();
      *y_stride = stride_;
    }
  }
  // The rows, widened. Fails the test when anything outside them has changed.
  std::vector<float> Take() const {
    floats.CheckSentinels();
    halves_.CheckSentinels();
    return bf16_ ? WidenBf16(halves_.Dense()) : floats.Dense();
  }

  GuardedOutput floats;

 private:
  GuardedMatrix<uint16_t> halves_;
  bool bf16_;
  int64_t stride_;
};

// The dtype's name, as test cases write it: f32, bf16, f16.
int32_t ParseDtype(const std::string& name);

bool SameBits(const std::vector<float>& a, const std::vector<float>& b);

// Every test: native memory is back where it was, and a failure shows the seed.
class LanesTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

 private:
  lanes_memory_stats before_;
};

// Tests that run once for each ISA: TEST_P(LinearTest, …) with INSTANTIATE_FOR_ISAS(LinearTest). Op tests derive from it.
class IsaTest : public LanesTest, public ::testing::WithParamInterface<int32_t> {
 protected:
  int32_t isa() const { return GetParam(); }
};

std::string IsaParamName(const ::testing::TestParamInfo<int32_t>& info);

#define INSTANTIATE_FOR_ISAS(Suite) \
  INSTANTIATE_TEST_SUITE_P(Isa, Suite, ::testing::ValuesIn(::lanes_test::Isas()), ::lanes_test::IsaParamName)

// The call must fail with `status` and a message that contains `text`.
#define EXPECT_LANES_ERROR(status, text, call)                                                                   \
  do {                                                                                                           \
    EXPECT_EQ(call, status);                                                                                     \
    EXPECT_NE(std::string(lanes_last_error()).find(text), std::string::npos) << "message: " << lanes_last_error(); \
  } while (0)

#define ASSERT_LANES_OK(call) ASSERT_EQ(call, LANES_OK) << lanes_last_error()
#define EXPECT_LANES_OK(call) EXPECT_EQ(call, LANES_OK) << lanes_last_error()

}  // namespace lanes_test

#endif  // LANES_TESTS_SUPPORT_LANES_TEST_H_
