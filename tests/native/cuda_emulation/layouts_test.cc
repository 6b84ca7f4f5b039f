// What packing and page writes leave in device memory, element by element: rows of weights and of KV pages as ops/weight.h and
// cuda/common/kv_layout.h describe them, and nothing beside them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "cpu/scalar.h"
#include "cuda/kv_write/kv_write.h"
#include "cuda/weight/weight.h"
#include "emulation/control.h"
#include "immediate_device.h"
#include "support/buffer.h"
#include "support/random.h"

namespace lanes::cuda {
namespace {

using emulation::Schedule;
using lanes_test::GuardedInput;
using lanes_test::Random;
using reference::LoadElement;
using reference::StoreElement;

constexpr char kUntouched = 0x5A;

int64_t BytesOf(int32_t dtype) { return dtype == LANES_F32 ? 4 : dtype == LANES_S8 ? 1 : 2; }

class CudaLayouts : public ::testing::Test {
 protected:
  void TearDown() override { emulation::SetSchedule(Schedule::kForward); }
};

struct PackProblem {
  int64_t rows, cols, row_begin, row_count, col_begin, col_count;
  int32_t src, dst;
  bool transposed, scaled;

  std::string Describe() const {
    return "dtype " + std::to_string(src) + " to " + std::to_string(dst) + ", rows " + std::to_string(row_begin) + " + " +
           std::to_string(row_count) + " of " + std::to_string(rows) + ", cols " + std::to_string(col_begin) + " + " +
           std::to_string(col_count) + " of " + std::to_string(cols) + (transposed ? ", transposed" : "") + (scaled ? ", scales" : "");
  }
};

PackProblem RandomPack(Random* random) {
  PackProblem p = {};
  p.rows = random->Integer(1, 40);
  p.cols = random->Chance(2) ? 64 * random->Integer(1, 2) : random->Integer(1, 150);
  p.src = static_cast<int32_t>(random->Integer(LANES_F32, LANES_S8));
  p.dst = static_cast<int32_t>(random->Integer(LANES_F32, LANES_S8));
  p.transposed = random->Chance(2);
  p.scaled = p.src == LANES_S8 || (p.dst == LANES_S8 && random->Chance(2));
  p.row_begin = random->Integer(0, p.rows - 1);
  p.row_count = random->Integer(1, p.rows - p.row_begin);
  p.col_begin = random->Integer(0, p.cols - 1);
  p.col_count = random->Integer(1, p.cols - p.col_begin);
  const bool measured = p.dst == LANES_S8 && !p.scaled;
  if (measured) p.transposed = false;
  if (measured || random->Chance(3)) {
    p.col_begin = 0;
    p.col_count = p.cols;
  }
  return p;
}

std::vector<char> RandomElements(Random* random, int64_t count, int32_t dtype) {
  std::vector<char> elements(static_cast<size_t>(count * BytesOf(dtype)));
  for (int64_t i = 0; i < count; ++i) {
    if (dtype == LANES_S8) {
      elements[static_cast<size_t>(i)] = static_cast<char>(random->Integer(-128, 127));
    } else {
      StoreElement(elements.data(), dtype, i, random->Chance(400) ? NAN : random->Chance(400) ? INFINITY : random->Uniform() * 3);
    }
  }
  return elements;
}

// NaN is one number.
bool Same(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b)); }

TEST_F(CudaLayouts, WeightsAreRows) {
  for (int round = 0; round < 300; ++round) {
    emulation::SetSchedule(round % 3 == 0 ? Schedule::kForward : round % 3 == 1 ? Schedule::kBackward : Schedule::kRandom, round);
    Random random(round);
    const PackProblem p = RandomPack(&random);
    const int64_t bytes = BytesOf(p.dst), row_bytes = (p.cols * bytes + 127) / 128 * 128, padded = row_bytes / bytes;
    ImmediateDevice device(132);
    std::vector<char> before(static_cast<size_t>(p.rows * row_bytes), kUntouched);
    char* const data = device.Put(before);
    float* const scales = device.Put(std::vector<float>(static_cast<size_t>(p.rows), -1.0f));
    const std::vector<char> elements = RandomElements(&random, p.row_count * p.col_count, p.src);
    const GuardedInput<char> src(elements);
    std::vector<float> given(static_cast<size_t>(p.row_count));
    for (float& scale : given) scale = random.Chance(9) ? 0 : std::fabs(random.Uniform()) * 0.03f;
    WeightPackArgs args = {};
    args.weight = {p.rows, p.cols, p.dst, static_cast<int32_t>(bytes), padded, data, p.dst == LANES_S8 ? scales : nullptr, nullptr};
    args.src = src.data();
    args.src_dtype = p.src;
    args.transposed = p.transposed;
    args.row_begin = p.row_begin;
    args.row_count = p.row_count;
    args.col_begin = p.col_begin;
    args.col_count = p.col_count;
    args.scales = p.scaled ? given.data() : nullptr;
    PackWeight(device, args);
    const std::vector<char> packed = device.Get(data, p.rows * row_bytes);
    const std::vector<float> row_scales = device.Get(scales, p.rows);
    for (int64_t r = 0; r < p.rows; ++r) {
      const bool row_inside = r >= p.row_begin && r < p.row_begin + p.row_count;
      std::vector<float> row;
      for (int64_t c = 0; row_inside && c < p.col_count; ++c) {
        const int64_t i = r - p.row_begin;
        row.push_back(LoadElement(elements.data(), p.src, p.transposed ? c * p.row_count + i : i * p.col_count + c));
      }
      float scale = -1.0f;
      std::vector<int8_t> q(row.size());
      if (row_inside && p.dst == LANES_S8) {
        const float* const of_row = p.scaled ? &given[static_cast<size_t>(r - p.row_begin)] : nullptr;
        if (p.src == LANES_S8) {
          scale = *of_row;
          for (size_t c = 0; c < row.size(); ++c) q[c] = static_cast<int8_t>(row[c]);
        } else {
          scale = reference::QuantizeRow(QuantizationOfWeight(of_row), row.data(), p.col_count, q.data());
        }
      }
      ASSERT_TRUE(Same(scale, row_scales[static_cast<size_t>(r)])) << p.Describe() << " row " << r;
      for (int64_t c = 0; c < padded; ++c) {
        const char* const got = &packed[static_cast<size_t>((r * padded + c) * bytes)];
        if (!row_inside || c < p.col_begin || c >= p.col_begin + p.col_count) {
          for (int64_t b = 0; b < bytes; ++b) ASSERT_EQ(got[b], kUntouched) << p.Describe() << " (" << r << ", " << c << ")";
          continue;
        }
        const auto i = static_cast<size_t>(c - p.col_begin);
        if (p.dst == LANES_S8) {
          ASSERT_EQ(static_cast<int8_t>(*got), q[i]) << p.Describe() << " (" << r << ", " << c << ")";
        } else {
          char want[4];
          StoreElement(want, p.dst, 0, p.src == LANES_S8 ? row[i] * given[static_cast<size_t>(r - p.row_begin)] : row[i]);
          ASSERT_TRUE(Same(LoadElement(got, p.dst, 0), LoadElement(want, p.dst, 0))) << p.Describe() << " (" << r << ", " << c << ")";
        }
      }
    }
  }
}

TEST_F(CudaLayouts, PagesAreRows) {
  constexpr int32_t kDtypes[] = {LANES_F32, LANES_BF16, LANES_F16, LANES_S8};
  for (int round = 0; round < 120; ++round) {
    emulation::SetSchedule(round / 4 % 2 == 0 ? Schedule::kForward : Schedule::kRandom, round);
    Random random(1000 + round);
    const int32_t dtype = kDtypes[round % 4];
    const int64_t bytes = BytesOf(dtype), dim = random.Chance(2) ? 4 * random.Integer(1, 40) : random.Integer(1, LANES_MAX_HEAD_DIM);
    const int32_t heads = static_cast<int32_t>(random.Integer(1, 4)), pages = 4, layers = 2;
    const int64_t row = (dim + 15) / 16 * 16, values = LANES_PAGE_TOKENS * row * bytes, scales = dtype == LANES_S8 ? 8 * LANES_PAGE_TOKENS : 0;
    const int64_t block_bytes = 2 * values + scales;
    ImmediateDevice device(132);
    std::vector<unsigned char> expected(static_cast<size_t>(block_bytes * pages * layers * heads), kUntouched);
    const KvLayout pool = {device.Put(expected), block_bytes, pages, heads, static_cast<int32_t>(dim), static_cast<int32_t>(row),
                           static_cast<int32_t>(bytes), dtype};
    const int64_t tokens = random.Integer(1, 20), width = heads * dim, stride = width + random.Integer(0, 4);
    std::vector<float> k = random.Floats(tokens * stride), v = random.Floats(tokens * stride);
    // As integers NaN and infinity have their own rule; as bfloat16 the bits of a NaN are the conversion's.
    if (dtype == LANES_S8 && random.Chance(3)) {
      k[0] = NAN;
      v[static_cast<size_t>(dim - 1)] = -INFINITY;
    }
    std::vector<int64_t> slots;
    for (int64_t t = 0; t < tokens; ++t) slots.push_back(random.Chance(6) ? -1 : (t * 13 + 5) % (pages * LANES_PAGE_TOKENS));
    const int32_t layer = static_cast<int32_t>(random.Integer(0, layers - 1));
    lanes_kv_write_params params = {};
    params.layer = layer;
    params.tokens = tokens;
    params.slots = slots.data();
    params.k = device.Put(k);
    params.v = device.Put(v);
    params.k_stride = params.v_stride = stride;
    WriteKv(device, pool, params);
    for (int64_t t = 0; t < tokens; ++t) {
      if (slots[static_cast<size_t>(t)] < 0) continue;
      const int64_t page = slots[static_cast<size_t>(t)] / LANES_PAGE_TOKENS, j = slots[static_cast<size_t>(t)] % LANES_PAGE_TOKENS;
      for (int64_t h = 0; h < heads; ++h) {
        unsigned char* const block = expected.data() + ((layer * pages + page) * heads + h) * block_bytes;
        for (const bool of_value : {false, true}) {
          const float* const x = (of_value ? v : k).data() + t * stride + h * dim;
          char* const to = reinterpret_cast<char*>(block) + (of_value ? values : 0) + j * row * bytes;
          std::memset(to, 0, static_cast<size_t>(row * bytes));
          if (dtype == LANES_S8) {
            const float scale = reference::QuantizeRow({true, 0, -127}, x, dim, reinterpret_cast<int8_t*>(to));
            std::memcpy(block + 2 * values + ((of_value ? LANES_PAGE_TOKENS : 0) + j) * 4, &scale, sizeof scale);
          } else {
            for (int64_t d = 0; d < dim; ++d) StoreElement(to, dtype, d, x[d]);
          }
        }
      }
    }
    const std::vector<unsigned char> got = device.Get(pool.data, static_cast<int64_t>(expected.size()));
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i], expected[i]) << "byte " << i << " of blocks of " << block_bytes << ", dtype " << dtype << ", head size " << dim;
    }
  }
}

}  // namespace
}  // namespace lanes::cuda
