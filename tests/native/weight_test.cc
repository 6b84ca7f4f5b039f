#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/scalar.h"
#include "ops/weight_storage.h"
#include "support/lanes_test.h"

namespace lanes_test {
namespace {

constexpr int32_t kDtypes[] = {LANES_F32, LANES_BF16, LANES_F16};

class WeightTest : public IsaTest {};
INSTANTIATE_FOR_ISAS(WeightTest);

// `values` as an array of dtype.
std::vector<char> Encode(const std::vector<float>& values, int32_t dtype) {
  std::vector<char> bytes(values.size() * (dtype == LANES_F32 ? 4 : 2));
  for (size_t i = 0; i < values.size(); ++i) lanes::reference::StoreElement(bytes.data(), dtype, static_cast<int64_t>(i), values[i]);
  return bytes;
}

struct Part {
  int64_t row_begin, row_count, col_begin, col_count;
};

// Packs part of `values` [rows, cols] from a buffer that ends at a forbidden page.
int32_t PackPart(lanes_runtime* runtime, lanes_weight* weight, const std::vector<float>& values, int64_t cols, int32_t src_dtype,
                 bool transposed, const Part& part) {
  std::vector<float> chunk;
  const int64_t outer = transposed ? part.col_count : part.row_count, inner = transposed ? part.row_count : part.col_count;
  for (int64_t a = 0; a < outer; ++a) {
    for (int64_t b = 0; b < inner; ++b) {
      const int64_t row = part.row_begin + (transposed ? b : a), col = part.col_begin + (transposed ? a : b);
      chunk.push_back(values[row * cols + col]);
    }
  }
  const GuardedInput<char> src(Encode(chunk, src_dtype));
  lanes_weight_pack_params p = {};
  p.size = sizeof p;
  p.weight = weight;
  p.src = src.data();
  p.src_bytes = src.size();
  p.src_dtype = src_dtype;
  p.transposed = transposed;
  p.row_begin = part.row_begin;
  p.row_count = part.row_count;
  p.col_begin = part.col_begin;
  p.col_count = part.col_count;
  return lanes_weight_pack(runtime, &p);
}

// Every element stands where ops/weight.h says, and the padding is zero.
void CheckContents(const lanes_weight* weight, const std::vector<float>& expected, const std::string& what) {
  const WeightContents contents(weight);
  const lanes::WeightView& w = contents.view();
  std::vector<char> untouched(contents.bytes(), 1);
  for (int64_t r = 0; r < w.rows; ++r) {
    for (int64_t c = 0; c < w.cols; ++c) {
      const int64_t index = contents.Index(r, c);
      const float got = lanes::reference::LoadElement(w.data, w.dtype, index), want = expected[r * w.cols + c];
      ASSERT_TRUE(memcmp(&got, &want, 4) == 0 || (std::isnan(got) && std::isnan(want)))
          << what << ": (" << r << ", " << c << ") is " << got << ", expected " << want;
      memset(&untouched[index * w.element_bytes], 0, w.element_bytes);
    }
  }
  for (size_t i = 0; i < untouched.size(); ++i) ASSERT_FALSE(untouched[i] && w.data[i] != 0) << what << ": padding byte " << i;
}

TEST_P(WeightTest, PacksEveryShapeFromEveryTypeBothWays) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  uint64_t stream = 0;
  for (const int64_t rows : {1, 2, 15, 16, 17, 48, 63, 64, 65, 130, 192}) {
    for (const int64_t cols : {1, 2, 3, 8, 17, 63, 64, 65, 131}) {
      Random random(++stream);
      const std::vector<float> values = random.Floats(rows * cols);
      for (const int32_t src : kDtypes) {
        for (const int32_t dst : kDtypes) {
          const std::vector<float> expected = RoundTo(dst, RoundTo(src, values));
          for (const bool transposed : {false, true}) {
            const WeightPtr weight = NewWeight(rows, cols, dst);
            ASSERT_LANES_OK(PackPart(runtime.get(), weight.get(), values, cols, src, transposed, {0, rows, 0, cols}));
            CheckContents(weight.get(), expected,
                          "[" + std::to_string(rows) + ", " + std::to_string(cols) + "] " + std::to_string(src) + " to " +
                              std::to_string(dst) + (transposed ? " transposed" : ""));
            if (HasFailure()) return;
          }
        }
      }
    }
  }
}

TEST_P(WeightTest, PacksInParts) {
  const RuntimePtr runtime = MakeRuntime(isa(), 3);
  const int64_t rows = 201, cols = 147;
  for (uint64_t round = 0; round < 12; ++round) {
    Random random(round);
    const std::vector<float> values = random.Floats(rows * cols);
    const int32_t src = kDtypes[round % 3], dst = kDtypes[round / 3 % 3];
    const WeightPtr weight = NewWeight(rows, cols, dst);
    // Cut at random places in both directions; every part is packed once, in any order.
    std::vector<int64_t> row_cuts = {0, rows}, col_cuts = {0, cols};
    for (int i = 0; i < 4; ++i) {
      row_cuts.push_back(random.Integer(0, rows));
      col_cuts.push_back(random.Integer(0, cols));
    }
    std::sort(row_cuts.begin(), row_cuts.end());
    std::sort(col_cuts.begin(), col_cuts.end());
    for (size_t r = row_cuts.size() - 1; r-- > 0;) {
      for (size_t c = 0; c + 1 < col_cuts.size(); ++c) {
        const Part part = {row_cuts[r], row_cuts[r + 1] - row_cuts[r], col_cuts[c], col_cuts[c + 1] - col_cuts[c]};
        ASSERT_LANES_OK(PackPart(runtime.get(), weight.get(), values, cols, src, random.Chance(2), part));
      }
    }
    CheckContents(weight.get(), RoundTo(dst, RoundTo(src, values)), "round " + std::to_string(round));
  }
}

TEST_P(WeightTest, ConvertsSpecialValues) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const float inf = INFINITY;
  std::vector<float> values = {0.0f, -0.0f, inf, -inf, std::nanf(""), 65504.0f, 65519.0f, 65520.0f, 1e30f, 3.4028235e38f,
                               0x1p-14f, 0x1p-24f, 0x1p-25f, 0x1.8p-25f, 0x1.004p-14f, -0x1p-149f, 0x1p-126f, 1.00390625f,
                               1.01171875f, 1.00048828125f, 1.00146484375f};
  Random random;
  for (int i = 0; i < 3000; ++i) values.push_back(std::ldexp(random.Uniform(), static_cast<int>(random.Integer(-160, 127))));
  for (const int32_t src : kDtypes) {
    for (const int32_t dst : kDtypes) {
      const WeightPtr weight = NewWeight(1, static_cast<int64_t>(values.size()), dst);
      ASSERT_LANES_OK(PackPart(runtime.get(), weight.get(), values, static_cast<int64_t>(values.size()), src, false,
                               {0, 1, 0, static_cast<int64_t>(values.size())}));
      CheckContents(weight.get(), RoundTo(dst, RoundTo(src, values)), std::to_string(src) + " to " + std::to_string(dst));
    }
  }
}

TEST_P(WeightTest, ScalarConversionsAreRight) {
  using lanes::reference::F16ToFloat;
  using lanes::reference::FloatToF16;
  // Every half there is, by its definition; and back.
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const uint16_t half = static_cast<uint16_t>(bits);
    const int exponent = (half >> 10) & 31, fraction = half & 1023;
    const double sign = half & 0x8000 ? -1 : 1;
    if (exponent == 31 && fraction != 0) {
      EXPECT_TRUE(std::isnan(F16ToFloat(half)));
      continue;
    }
    const double expected = exponent == 31  ? sign * INFINITY
                            : exponent == 0 ? sign * std::ldexp(fraction, -24)
                                            : sign * std::ldexp(1024 + fraction, exponent - 25);
    ASSERT_EQ(F16ToFloat(half), expected) << bits;
    ASSERT_EQ(FloatToF16(F16ToFloat(half)), half);
    // Half way to the next one goes to the even one.
    if (exponent < 30 && sign > 0) {
      const float next = F16ToFloat(static_cast<uint16_t>(half + 1));
      ASSERT_EQ(FloatToF16((F16ToFloat(half) + next) / 2), half + (half & 1)) << bits;
    }
  }
}

TEST_P(WeightTest, ArgumentsAreChecked) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  lanes_weight_params shape = {};
  shape.size = sizeof shape;
  shape.rows = 5;
  shape.cols = 7;
  shape.runtime = DeviceRuntime();
  lanes_weight* out = nullptr;
  uint64_t bytes = 0;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "params is NULL", lanes_weight_create(nullptr, &out));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "out is NULL", lanes_weight_create(&shape, nullptr));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "bytes is NULL", lanes_weight_bytes(&shape, nullptr));
  const auto bad_shape = [&](const char* text, auto change) {
    lanes_weight_params p = shape;
    change(p);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_weight_create(&p, &out));
    EXPECT_EQ(out, nullptr);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_weight_bytes(&p, &bytes));
  };
  bad_shape("size", [](auto& p) { p.size = 0; });
  bad_shape("size", [](auto& p) { p.size = sizeof p + 8; });
  for (const int64_t n : {int64_t{0}, int64_t{-1}, INT64_MIN, INT64_MAX}) {
    bad_shape("rows", [&](auto& p) { p.rows = n; });
    bad_shape("cols", [&](auto& p) { p.cols = n; });
  }
  bad_shape("64 bits", [](auto& p) { p.rows = p.cols = int64_t{1} << 40; });
  for (const int32_t dtype : {-1, 4, INT32_MAX}) bad_shape("dtype", [&](auto& p) { p.dtype = dtype; });
  {
    lanes_weight_params huge = shape;
    huge.rows = huge.cols = 1 << 24;
    EXPECT_LANES_ERROR(LANES_ERROR_OUT_OF_MEMORY, "weights", lanes_weight_create(&huge, &out));
  }

  const WeightPtr weight = NewWeight(5, 7, LANES_F32);
  std::vector<float> src(35);
  lanes_weight_pack_params good = {};
  good.size = sizeof good;
  good.weight = weight.get();
  good.src = src.data();
  good.src_bytes = 140;
  good.src_dtype = LANES_F32;
  good.row_count = 5;
  good.col_count = 7;
  EXPECT_LANES_OK(lanes_weight_pack(runtime.get(), &good));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "runtime is NULL", lanes_weight_pack(nullptr, &good));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "params is NULL", lanes_weight_pack(runtime.get(), nullptr));
  const auto bad = [&](const char* text, auto change) {
    lanes_weight_pack_params p = good;
    change(p);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_weight_pack(runtime.get(), &p));
  };
  bad("size", [](auto& p) { p.size = sizeof p + 1; });
  bad("weight is NULL", [](auto& p) { p.weight = nullptr; });
  bad("expected a weight", [&](auto& p) { p.weight = reinterpret_cast<lanes_weight*>(runtime.get()); });
  bad("not a live weight", [&](auto& p) { p.weight = reinterpret_cast<lanes_weight*>(&p); });
  bad("src is NULL", [](auto& p) { p.src = nullptr; });
  bad("src_bytes is 139", [](auto& p) { p.src_bytes = 139; });
  bad("src_dtype 9", [](auto& p) { p.src_dtype = 9; });
  bad("aligned", [&](auto& p) { p.src = reinterpret_cast<char*>(src.data()) + 1; });
  for (const int64_t n : {int64_t{-1}, int64_t{6}, INT64_MAX, INT64_MIN}) {
    bad("row_begin", [&](auto& p) { p.row_begin = n; });
    bad("row_count", [&](auto& p) { p.row_count = n; });
  }
  bad("row_count is 5: expected 0 to 4", [](auto& p) { p.row_begin = 1; });
  bad("col_count is 7: expected 0 to 6", [](auto& p) { p.col_begin = 1; });
  bad("col_begin", [](auto& p) { p.col_begin = 8; });
  bad("col_begin", [](auto& p) { p.col_begin = -1; });
}

}  // namespace
}  // namespace lanes_test
