// Packing of int8 weights: elements, scales and sums of rows.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/scalar.h"
#include "ops/weight_storage.h"
#include "support/quantized.h"

namespace lanes_test {
namespace {

constexpr int32_t kFloats[] = {LANES_F32, LANES_BF16, LANES_F16};

class WeightS8Test : public IsaTest {};
INSTANTIATE_FOR_ISAS(WeightS8Test);

struct Part {
  int64_t row_begin, row_count, col_begin, col_count;
};

// Elements of `dtype`, with the source's part of a matrix [rows, cols] that ends at a forbidden page.
struct Source {
  int32_t dtype;
  int64_t cols;
  std::vector<char> elements;
  const std::vector<float>* scales;  // of all rows, or null
};

Source SourceOf(const std::vector<float>& values, int64_t cols, int32_t dtype, const std::vector<float>* scales) {
  Source source = {dtype, cols, std::vector<char>(values.size() * (dtype == LANES_F32 ? 4 : 2)), scales};
  for (size_t i = 0; i < values.size(); ++i) {
    lanes::reference::StoreElement(source.elements.data(), dtype, static_cast<int64_t>(i), values[i]);
  }
  return source;
}

Source SourceOf(const Quantized& values) {
  return {LANES_S8, values.cols, {values.q.begin(), values.q.end()}, &values.scale};
}

int32_t Pack(lanes_runtime* runtime, lanes_weight* weight, const Source& source, bool transposed, const Part& part) {
  const int64_t bytes = source.dtype == LANES_S8 ? 1 : source.dtype == LANES_F32 ? 4 : 2;
  const int64_t outer = transposed ? part.col_count : part.row_count, inner = transposed ? part.row_count : part.col_count;
  std::vector<char> chunk;
  for (int64_t a = 0; a < outer; ++a) {
    for (int64_t b = 0; b < inner; ++b) {
      const int64_t row = part.row_begin + (transposed ? b : a), col = part.col_begin + (transposed ? a : b);
      const auto from = source.elements.begin() + (row * source.cols + col) * bytes;
      chunk.insert(chunk.end(), from, from + bytes);
    }
  }
  const GuardedInput<char> src(chunk);
  std::vector<float> part_scales;
  if (source.scales != nullptr) {
    part_scales.assign(source.scales->begin() + part.row_begin, source.scales->begin() + part.row_begin + part.row_count);
  }
  const GuardedInput<float> scales(part_scales);
  lanes_weight_pack_params p = {};
  p.size = sizeof p;
  p.weight = weight;
  p.src = src.data();
  p.src_bytes = src.size();
  p.src_dtype = source.dtype;
  p.transposed = transposed;
  p.row_begin = part.row_begin;
  p.row_count = part.row_count;
  p.col_begin = part.col_begin;
  p.col_count = part.col_count;
  if (source.scales != nullptr) {
    p.scales = scales.data();
    p.scales_len = scales.size();
  }
  return lanes_weight_pack(runtime, &p);
}

// Elements, scales and sums are those of `expected`; the padding is zero.
void CheckContents(const lanes_weight* weight, const Quantized& expected, const std::string& what) {
  const WeightContents contents(weight);
  const lanes::WeightView& w = contents.view();
  std::vector<char> untouched(contents.bytes(), 1);
  const auto touch = [&](const void* at, size_t bytes) { memset(&untouched[static_cast<const char*>(at) - w.data], 0, bytes); };
  for (int64_t r = 0; r < w.rows; ++r) {
    int32_t sum = 0;
    for (int64_t c = 0; c < w.cols; ++c) {
      const char* element = w.data + contents.Index(r, c);
      ASSERT_EQ(static_cast<int8_t>(*element), expected.At(r, c)) << what << ": (" << r << ", " << c << ")";
      touch(element, 1);
      sum += expected.At(r, c);
    }
    if (w.sums != nullptr) {
      ASSERT_EQ(w.sums[r], sum) << what << ": sum of row " << r;
      touch(&w.sums[r], 4);
    }
    ASSERT_TRUE(memcmp(&w.scales[r], &expected.scale[r], 4) == 0) << what << ": scale of row " << r << " is " << w.scales[r];
    touch(&w.scales[r], 4);
  }
  for (size_t i = 0; i < untouched.size(); ++i) ASSERT_FALSE(untouched[i] && w.data[i] != 0) << what << ": padding byte " << i;
}

TEST_P(WeightS8Test, PacksEveryShapeFromEveryType) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  uint64_t stream = 100;
  for (const int64_t rows : {1, 2, 15, 16, 17, 48, 63, 64, 65, 130, 192}) {
    for (const int64_t cols : {1, 2, 3, 4, 5, 8, 17, 63, 64, 65, 131, 300}) {
      Random random(++stream);
      const std::string shape = "[" + std::to_string(rows) + ", " + std::to_string(cols) + "]";
      const Part all = {0, rows, 0, cols};
      const Quantized integers = RandomQuantized(&random, rows, cols);
      for (const bool transposed : {false, true}) {
        const WeightPtr weight = NewWeight(rows, cols, LANES_S8);
        ASSERT_LANES_OK(Pack(runtime.get(), weight.get(), SourceOf(integers), transposed, all));
        CheckContents(weight.get(), integers, shape + " from s8" + (transposed ? " transposed" : ""));
        if (HasFailure()) return;
      }
      const std::vector<float> floats = random.Floats(rows * cols, 2.0f);
      for (const int32_t src : kFloats) {
        const std::vector<float> values = RoundTo(src, floats);
        const WeightPtr own = NewWeight(rows, cols, LANES_S8);
        ASSERT_LANES_OK(Pack(runtime.get(), own.get(), SourceOf(values, cols, src, nullptr), false, all));
        CheckContents(own.get(), Quantize(values, rows, cols, 0, -127), shape + " by its rows");
        // With the integers' scales: some rows saturate, others keep a few steps.
        Quantized expected = {rows, cols, {}, integers.scale};
        for (int64_t r = 0; r < rows; ++r) {
          const std::vector<float> row(values.begin() + r * cols, values.begin() + (r + 1) * cols);
          const Quantized one = Quantize(row, 1, cols, integers.scale[r], -127);
          expected.q.insert(expected.q.end(), one.q.begin(), one.q.end());
        }
        for (const bool transposed : {false, true}) {
          const WeightPtr given = NewWeight(rows, cols, LANES_S8);
          ASSERT_LANES_OK(Pack(runtime.get(), given.get(), SourceOf(values, cols, src, &integers.scale), transposed, all));
          CheckContents(given.get(), expected, shape + " by given scales" + (transposed ? " transposed" : ""));
        }
        if (HasFailure()) return;
      }
    }
  }
}

TEST_P(WeightS8Test, PacksInParts) {
  const RuntimePtr runtime = MakeRuntime(isa(), 3);
  const int64_t rows = 201, cols = 147;
  for (uint64_t round = 0; round < 8; ++round) {
    Random random(round);
    const Quantized values = RandomQuantized(&random, rows, cols);
    // What was there before must not count, in sums neither.
    const WeightPtr weight = MakeWeight(runtime.get(), RandomQuantized(&random, rows, cols));
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
        ASSERT_LANES_OK(Pack(runtime.get(), weight.get(), SourceOf(values), random.Chance(2), part));
      }
    }
    CheckContents(weight.get(), values, "round " + std::to_string(round));
  }
}

TEST_P(WeightS8Test, FloatWeightsTakeInt8) {
  const RuntimePtr runtime = MakeRuntime(isa(), 2);
  const int64_t rows = 70, cols = 131;
  Random random(9);
  const Quantized values = RandomQuantized(&random, rows, cols);
  for (const int32_t dtype : kFloats) {
    for (const bool transposed : {false, true}) {
      const WeightPtr weight = NewWeight(rows, cols, dtype);
      ASSERT_LANES_OK(Pack(runtime.get(), weight.get(), SourceOf(values), transposed, {0, rows, 0, cols}));
      const WeightContents contents(weight.get());
      for (int64_t i = 0; i < rows * cols; ++i) {
        const float got = lanes::reference::LoadElement(contents.view().data, dtype, contents.Index(i / cols, i % cols));
        ASSERT_EQ(got, RoundTo(dtype, static_cast<float>(values.q[i]) * values.scale[i / cols])) << i;
      }
    }
  }
}

TEST_P(WeightS8Test, RowsThatHoldNoNumbersHaveNoScale) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  const int64_t rows = 6, cols = 21;
  Random random(10);
  std::vector<float> values = random.Floats(rows * cols);
  std::fill(values.begin() + cols, values.begin() + 2 * cols, 0.0f);
  values[2 * cols + 20] = std::nanf("");
  values[3 * cols] = -INFINITY;
  for (int64_t c = 0; c < cols; ++c) values[4 * cols + c] *= 1e-45f;
  const WeightPtr weight = NewWeight(rows, cols, LANES_S8);
  ASSERT_LANES_OK(Pack(runtime.get(), weight.get(), SourceOf(values, cols, LANES_F32, nullptr), false, {0, rows, 0, cols}));
  CheckContents(weight.get(), Quantize(values, rows, cols, 0, -127), "special rows");
  const WeightContents contents(weight.get());
  EXPECT_EQ(contents.view().scales[1], 0.0f);
  EXPECT_TRUE(std::isnan(contents.view().scales[2]));
  EXPECT_TRUE(std::isnan(contents.view().scales[3]));
}

TEST_P(WeightS8Test, ArgumentsAreChecked) {
  const RuntimePtr runtime = MakeRuntime(isa(), 1);
  lanes_weight_params shape = {};
  shape.size = sizeof shape;
  shape.rows = 5;
  shape.cols = 7;
  shape.dtype = LANES_S8;
  shape.runtime = DeviceRuntime();
  uint64_t bytes = 0;
  ASSERT_LANES_OK(lanes_weight_bytes(&shape, &bytes));
  if (kOnGpu) {
    EXPECT_EQ(bytes, 5u * 128 + 128 + 5 * 4) << "rows of 128 bytes, scales from a multiple of 256 on";
  } else {
    EXPECT_EQ(bytes, 16u * 8 + 16 * 8) << "panels of 16 rows and 8 columns, scales, sums";
  }
  shape.cols = (1 << 23) + 1;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "an s8 weight has 1 to 2^23", lanes_weight_bytes(&shape, &bytes));

  const WeightPtr weight = NewWeight(5, 7, LANES_S8), floats = NewWeight(5, 7, LANES_F32);
  std::vector<float> src(35), scales(5, 1.0f);
  lanes_weight_pack_params good = {};
  good.size = sizeof good;
  good.weight = weight.get();
  good.src = src.data();
  good.src_bytes = 35;
  good.src_dtype = LANES_S8;
  good.row_count = 5;
  good.col_count = 7;
  good.scales = scales.data();
  good.scales_len = 5;
  ASSERT_LANES_OK(lanes_weight_pack(runtime.get(), &good));
  const auto bad = [&](const char* text, auto change) {
    lanes_weight_pack_params p = good;
    change(p);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_weight_pack(runtime.get(), &p));
  };
  const auto from_floats = [](auto& p) { p.src_dtype = LANES_F32, p.src_bytes = 140, p.scales = nullptr; };
  bad("src_dtype 4", [](auto& p) { p.src_dtype = 4; });
  bad("src_bytes is 34", [](auto& p) { p.src_bytes = 34; });
  bad("scales is NULL: expected one for each row of s8 src", [](auto& p) { p.scales = nullptr; });
  bad("scales_len is 4", [](auto& p) { p.scales_len = 4; });
  for (const float scale : {-1e-9f, INFINITY, std::nanf("")}) {
    scales[3] = scale;
    bad("scales[3] is", [](auto&) {});
    bad("scales[3] is", [&](auto& p) { p.weight = floats.get(); });
  }
  scales[3] = 0;
  bad("holds all 7 columns", [&](auto& p) { from_floats(p), p.col_count = 6; });
  bad("row-major", [&](auto& p) { from_floats(p), p.transposed = 1; });
  bad("expected NULL from f32 to f32", [&](auto& p) { p.src_dtype = LANES_F32, p.src_bytes = 140, p.weight = floats.get(); });
}

}  // namespace
}  // namespace lanes_test
