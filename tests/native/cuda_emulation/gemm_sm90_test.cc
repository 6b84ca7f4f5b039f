// The wgmma kernels of linear: every tile they are built for, alone and in pairs of blocks, against the plain chain of products and
// against the kernels of mma.sync.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "cuda/common/activation.cuh"
#include "cuda/linear/linear_sm90.h"
#include "emulation/control.h"
#include "emulation/matrix.h"
#include "immediate_device.h"

namespace lanes::cuda {
namespace {

using emulation::Schedule;

struct Case {
  int64_t m, n, k;
  bool bias, residual;
  int32_t activation;
  int64_t y_pad;
};

class GemmSm90Test : public ::testing::Test {
 protected:
  void TearDown() override { emulation::SetSchedule(Schedule::kForward); }

  float Number() { return std::uniform_real_distribution<float>(-1, 1)(random_); }

  // Rows of `bytes` bytes, zeros behind k elements.
  std::vector<unsigned char> Rows(int64_t rows, int64_t k, int64_t bytes, Products products) {
    std::vector<unsigned char> data(static_cast<size_t>(rows * bytes));
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < k; ++i) {
        unsigned char* at = &data[static_cast<size_t>(r * bytes + i * (products == Products::kS8 ? 1 : 2))];
        if (products == Products::kS8) {
          *at = static_cast<unsigned char>(random_());
        } else {
          const uint16_t number = products == Products::kF16 ? emulation::FloatToF16(Number()) : emulation::FloatToBf16(Number());
          memcpy(at, &number, 2);
        }
      }
    }
    return data;
  }

  // Sums of all elements [n padded to 16, m padded to 8] by the emulation's tensor core, the instructions' k after k.
  static std::vector<float> Sums(const Case& c, const std::vector<unsigned char>& weight, int64_t row_bytes,
                                 const std::vector<unsigned char>& x, int64_t x_bytes, Products products, int64_t columns) {
    const bool s8 = products == Products::kS8;
    const int64_t features = (c.n + 15) / 16 * 16;
    std::vector<float> sums(static_cast<size_t>(features * columns));
    std::vector<int32_t> whole(sums.size());
    const auto element = [&](const std::vector<unsigned char>& rows, int64_t count, int64_t bytes, int64_t row, int64_t k) -> double {
      const int64_t at = k * (s8 ? 1 : 2);
      if (row >= count || at >= bytes) return 0;
      const unsigned char* from = &rows[static_cast<size_t>(row * bytes + at)];
      if (s8) return static_cast<int8_t>(*from);
      uint16_t number;
      memcpy(&number, from, 2);
      return products == Products::kF16 ? emulation::F16ToFloat(number) : emulation::Bf16ToFloat(number);
    };
    const int64_t depth = s8 ? 32 : 16, end = row_bytes / (s8 ? 1 : 2);
    for (int64_t f = 0; f < features; f += 16) {
      for (int64_t t = 0; t < columns; t += 8) {
        const auto at = static_cast<size_t>(f * columns + t);
        for (int64_t k = 0; k < end; k += depth) {
          emulation::TileA a;
          emulation::TileB b;
          emulation::TileA8 a8;
          emulation::TileB8 b8;
          for (int64_t i = 0; i < depth; ++i) {
            for (int64_t r = 0; r < 16; ++r) {
              const double v = element(weight, c.n, row_bytes, f + r, k + i);
              s8 ? void(a8.v[r][i] = static_cast<int16_t>(v)) : void(a.v[r][i] = v);
            }
            for (int64_t r = 0; r < 8; ++r) {
              const double v = element(x, c.m, x_bytes, t + r, k + i);
              s8 ? void(b8.v[r][i] = static_cast<int16_t>(v)) : void(b.v[i][r] = v);
            }
          }
          if (s8) {
            emulation::MultiplyAdd(a8, b8, &whole[at], static_cast<int>(columns));
          } else {
            emulation::MultiplyAdd(a, b, &sums[at], static_cast<int>(columns));
          }
        }
      }
    }
    if (s8) sums.assign(whole.begin(), whole.end());
    return sums;
  }

  void Check(const Case& c, Products products, int32_t tile, int32_t cluster, int32_t multiprocessors, Schedule schedule, uint64_t seed) {
    const bool s8 = products == Products::kS8, f16 = products == Products::kF16;
    SCOPED_TRACE("m " + std::to_string(c.m) + ", n " + std::to_string(c.n) + ", k " + std::to_string(c.k) + (s8 ? ", s8" : f16 ? ", f16" : ", bf16") +
                 ", tile " + std::to_string(tile) + ", cluster " + std::to_string(cluster) + ", schedule " + std::to_string(seed));
    emulation::SetSchedule(schedule, seed);
    ImmediateDevice device(multiprocessors);
    const int64_t bytes = c.k * (s8 ? 1 : 2), row_bytes = (bytes + 127) / 128 * 128, x_bytes = (bytes + 15) / 16 * 16;
    const std::vector<unsigned char> weight = Rows(c.n, c.k, row_bytes, products), x = Rows(c.m, c.k, x_bytes, products);
    std::vector<float> bias(static_cast<size_t>(c.n)), residual(static_cast<size_t>(c.m * c.n)), x_scale(static_cast<size_t>(c.m)),
        w_scale(static_cast<size_t>(c.n));
    for (auto* values : {&bias, &residual, &x_scale, &w_scale}) {
      for (float& v : *values) v = Number();
    }
    const int64_t y_stride = c.n + c.y_pad;
    float* y = device.Put(std::vector<float>(static_cast<size_t>(c.m * y_stride), -77.0f));
    GemmProblem problem = {};
    problem.products = products;
    problem.weight = device.Put(weight);
    problem.row_bytes = row_bytes;
    problem.x = device.Put(x);
    problem.x_bytes = problem.x_stride = x_bytes;
    EpilogueArgs& e = problem.epilogue;
    e.y = y;
    e.y_stride = y_stride;
    e.residual = c.residual ? device.Put(residual) : nullptr;
    e.residual_stride = c.n;
    e.bias = c.bias ? device.Put(bias) : nullptr;
    e.x_scale = s8 || f16 ? device.Put(x_scale) : nullptr;
    e.w_scale = s8 ? device.Put(w_scale) : nullptr;
    e.m = c.m;
    e.n = c.n;
    e.activation = c.activation;
    e.vectors = c.n % 4 == 0 && y_stride % 4 == 0;
    Sm90Plan plan;
    ASSERT_TRUE(PlanSm90({c.m, c.n, row_bytes}, tile, cluster, multiprocessors, &plan));
    ASSERT_TRUE((s8 ? LaunchS8Sm90 : f16 ? LaunchF16Sm90 : LaunchBf16Sm90)(device, problem, plan)) << emulation::LastFault();
    const std::vector<float> got = device.Get(y, c.m * y_stride);
    GemmProblem portable = problem;
    portable.epilogue.y = device.Put(std::vector<float>(got.size(), -77.0f));
    LaunchGemm(device, portable);
    const std::vector<float> by_mma = device.Get(portable.epilogue.y, c.m * y_stride);
    ASSERT_EQ(memcmp(got.data(), by_mma.data(), got.size() * sizeof(float)), 0) << "mma.sync gives other bits";
    const int64_t columns = (c.m + 7) / 8 * 8;
    const std::vector<float> sums = Sums(c, weight, row_bytes, x, x_bytes, products, columns);
    for (int64_t i = 0; i < c.m; ++i) {
      for (int64_t j = 0; j < y_stride; ++j) {
        float expected = -77.0f;
        if (j < c.n) {
          expected = sums[static_cast<size_t>(j * columns + i)];
          if (f16) expected = expected * x_scale[static_cast<size_t>(i)];
          if (s8) expected = expected * (x_scale[static_cast<size_t>(i)] * w_scale[static_cast<size_t>(j)]);
          if (c.bias) expected = expected + bias[static_cast<size_t>(j)];
          if (c.activation != LANES_ACTIVATION_NONE) expected = Activate(c.activation, expected);
          if (c.residual) expected = residual[static_cast<size_t>(i * c.n + j)] + expected;
        }
        ASSERT_EQ(got[static_cast<size_t>(i * y_stride + j)], expected) << "y[" << i << ", " << j << "]";
      }
    }
  }

  std::mt19937 random_{5};
};

constexpr auto kTiles = static_cast<int32_t>(std::size(kSm90Tiles));

TEST_F(GemmSm90Test, EveryTileGivesTheBitsOfTheChain) {
  const Case cases[] = {
      {300, 200, 200, true, true, LANES_ACTIVATION_NONE, 4},
      {37, 129, 65, false, true, LANES_ACTIVATION_SILU, 3},
      {19, 300, 1030, true, false, LANES_ACTIVATION_NONE, 0},
  };
  for (int32_t tile = 0; tile < kTiles; ++tile) {
    for (const int32_t cluster : {1, 2}) {
      if (cluster == 2 && kSm90Tiles[tile].consumers == 1) continue;
      for (const Products products : {Products::kBf16, Products::kF16, Products::kS8}) {
        for (const Case& c : cases) {
          Check(c, products, tile, cluster, 2, Schedule::kForward, 0);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_F(GemmSm90Test, NoScheduleChangesBits) {
  // More tiles than blocks, and more lines than stages: every barrier comes round.
  const Case c = {180, 400, 700, true, true, LANES_ACTIVATION_NONE, 0};
  for (const int32_t tile : {0, 3, 5, 8}) {
    for (int32_t cluster = 1; cluster <= kSm90Tiles[tile].consumers; ++cluster) {
      Check(c, Products::kBf16, tile, cluster, 3, Schedule::kBackward, 0);
      for (const uint64_t seed : {1, 2, 3}) Check(c, static_cast<Products>(seed - 1), tile, cluster, 2, Schedule::kRandom, seed);
      if (HasFatalFailure()) return;
    }
  }
}

class LimitedDevice : public ImmediateDevice {
 public:
  LimitedDevice(bool hopper, bool hopper_bits, bool hopper_f16_bits) : ImmediateDevice(2), limits_(ImmediateDevice::limits()) {
    limits_.hopper = hopper;
    limits_.hopper_bits = hopper_bits;
    limits_.hopper_f16_bits = hopper_f16_bits;
  }
  const DeviceLimits& limits() const override { return limits_; }

 private:
  DeviceLimits limits_;
};

TEST_F(GemmSm90Test, IsTakenOnlyWhereItGivesTheBitsOfOthers) {
  for (const auto& [hopper, bits, f16_bits] : {std::tuple{false, false, false}, {true, false, true}, {true, true, false}}) {
    LimitedDevice device(hopper, bits, f16_bits);
    GemmProblem problem = {};
    problem.weight = device.Put(std::vector<unsigned char>(64 * 128));
    problem.x = device.Put(std::vector<unsigned char>(20 * 128));
    problem.row_bytes = problem.x_bytes = problem.x_stride = 128;
    problem.epilogue.y = device.Put(std::vector<float>(20 * 64));
    problem.epilogue.y_stride = problem.epilogue.n = 64;
    problem.epilogue.m = 20;
    problem.epilogue.x_scale = problem.epilogue.w_scale = device.Put(std::vector<float>(64));
    problem.products = Products::kBf16;
    EXPECT_EQ(LaunchSm90(device, problem), bits);
    problem.products = Products::kF16;
    EXPECT_EQ(LaunchSm90(device, problem), f16_bits);
    // Integers are exact.
    problem.products = Products::kS8;
    EXPECT_EQ(LaunchSm90(device, problem), hopper);
    // Beyond that sums do not fit.
    problem.row_bytes = kMostS8Sums + 128;
    EXPECT_FALSE(LaunchSm90(device, problem));
  }
}

}  // namespace
}  // namespace lanes::cuda
