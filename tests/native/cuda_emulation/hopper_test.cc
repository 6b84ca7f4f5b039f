// The emulated instructions of sm_90a: they do what the PTX manual says, and kernels that rely on more are caught.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "cuda/common/hopper.cuh"
#include "cuda/common/launch.h"
#include "cuda/common/probe.h"
#include "cuda/common/tensor_map.h"
#include "emulation/control.h"
#include "immediate_device.h"

namespace lanes::cuda {
namespace {

using emulation::Schedule;

class Hopper : public ::testing::Test {
 protected:
  void TearDown() override {
    emulation::Reset();
    emulation::SetSchedule(Schedule::kForward);
  }

  template <class Args>
  static cudaError_t Run(void (*kernel)(Args), const LaunchConfig& config, const Args& args) {
    if (const cudaError_t error = LaunchKernel(RefOf(kernel), config, &args, false, nullptr); error != cudaSuccess) return error;
    return cudaDeviceSynchronize();
  }
  // The launch fails, and the report holds `text`.
  template <class Args>
  static void Faults(const char* text, void (*kernel)(Args), const LaunchConfig& config, const Args& args) {
    EXPECT_NE(Run(kernel, config, args), cudaSuccess);
    EXPECT_NE(emulation::LastFault().find(text), std::string::npos) << emulation::LastFault();
    emulation::Reset();
  }
  static void ForSchedules(const std::function<void()>& run) {
    for (int i = 0; i < 5; ++i) {
      SCOPED_TRACE("schedule " + std::to_string(i));
      emulation::SetSchedule(i == 0 ? Schedule::kForward : i == 1 ? Schedule::kBackward : Schedule::kRandom, static_cast<uint64_t>(i));
      run();
    }
  }

  ImmediateDevice device_{4};
};

TensorMap MapOf(const TensorMapParams& params) {
  TensorMap map;
  EXPECT_TRUE(EncodeTensorMap(params, &map));
  return map;
}

TensorMap Matrix16(const void* data, uint64_t rows, uint64_t cols, uint64_t stride, uint32_t box_rows, uint32_t box_cols,
                   TensorMapSwizzle swizzle) {
  return MapOf({TensorMapType::kBf16, 2, data, {cols, rows}, {0, stride * 2}, {box_cols, box_rows}, swizzle});
}

// ---- Tiles -------------------------------------------------------------------------------------------------------

struct TileArgs {
  TensorMap from, to;
  int32_t c0, c1;
  uint32_t bytes;
  unsigned char* raw;  // what shared memory holds
  bool waits;
};
__global__ void TileKernel(const __grid_constant__ TileArgs args) {
  unsigned char* const tile = SharedMemory();
  auto* const barrier = reinterpret_cast<Barrier*>(tile + args.bytes);
  if (threadIdx.x == 0) {
    BarrierInit(barrier, 1);
    BarrierInitFence();
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    BarrierArriveExpect(barrier, args.bytes);
    TmaLoad(tile, &args.from, barrier, args.c0, args.c1);
  }
  if (args.waits) BarrierWait(barrier, 0);
  for (uint32_t i = threadIdx.x; i < args.bytes; i += blockDim.x) args.raw[i] = tile[i];
  __syncthreads();
  if (threadIdx.x == 0 && args.waits) {
    TmaStore(&args.to, tile, args.c0, args.c1);
    TmaStoreCommit();
    TmaStoreWait<0>();
  }
}

TEST_F(Hopper, TilesAreSwizzledFilledWithZerosAndCut) {
  const uint64_t rows = 37, cols = 150, stride = 152;
  std::vector<uint16_t> values(rows * stride, 0xABAB);
  for (uint64_t r = 0; r < rows; ++r) {
    for (uint64_t c = 0; c < cols; ++c) values[r * stride + c] = static_cast<uint16_t>(1 + r * cols + c);
  }
  const uint16_t* from = device_.Put(values);
  const auto at = [&](int64_t r, int64_t c) -> uint16_t {
    const bool inside = r >= 0 && r < static_cast<int64_t>(rows) && c >= 0 && c < static_cast<int64_t>(cols);
    return inside ? values[static_cast<size_t>(r) * stride + static_cast<size_t>(c)] : 0;
  };
  const std::pair<TensorMapSwizzle, uint32_t> swizzles[] = {
      {TensorMapSwizzle::kNone, 0}, {TensorMapSwizzle::k32, 1}, {TensorMapSwizzle::k64, 3}, {TensorMapSwizzle::k128, 7}};
  for (const auto& [swizzle, mask] : swizzles) {
    const uint32_t box_cols = mask == 0 ? 24 : 8 * (mask + 1), box_rows = 20, bytes = box_rows * box_cols * 2;
    for (const auto& [r, c] : {std::pair{0, 0}, std::pair{30, 100}, std::pair{-5, 128}, std::pair{36, -8}, std::pair{50, 0}}) {
      ForSchedules([&] {
        std::vector<uint16_t> before(values.size(), 7);
        uint16_t* to = device_.Put(before);
        auto* raw = static_cast<unsigned char*>(device_.Allocate(bytes));
        const TileArgs args = {Matrix16(from, rows, cols, stride, box_rows, box_cols, swizzle),
                               Matrix16(to, rows, cols, stride, box_rows, box_cols, swizzle), c, r, bytes, raw, true};
        ASSERT_EQ(Run(TileKernel, {{1}, {64}, bytes + 8}, args), cudaSuccess) << emulation::LastFault();
        const std::vector<unsigned char> got = device_.Get(raw, bytes);
        for (uint32_t i = 0; i < box_rows; ++i) {
          for (uint32_t j = 0; j < box_cols; ++j) {
            // A pattern of eight rows of 128 bytes: the 16-byte chunk's place within its 128 bytes xor the number of these.
            const uint32_t plain = (i * box_cols + j) * 2, chunk = plain / 16 ^ (plain / 128 & mask);
            uint16_t value;
            memcpy(&value, &got[chunk * 16 + plain % 16], 2);
            ASSERT_EQ(value, at(r + static_cast<int64_t>(i), c + static_cast<int64_t>(j))) << i << ", " << j;
          }
        }
        const std::vector<uint16_t> after = device_.Get(to, static_cast<int64_t>(before.size()));
        for (int64_t i = 0; i < static_cast<int64_t>(rows); ++i) {
          for (int64_t j = 0; j < static_cast<int64_t>(stride); ++j) {
            const bool written = i >= r && i < r + static_cast<int64_t>(box_rows) && j >= c && j < c + static_cast<int64_t>(box_cols);
            const uint16_t expected = written && j < static_cast<int64_t>(cols) ? at(i, j) : 7;
            ASSERT_EQ(after[static_cast<size_t>(i) * stride + static_cast<size_t>(j)], expected) << i << ", " << j;
          }
        }
      });
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(Hopper, WhatIsNotWaitedForHasNotCome) {
  const uint16_t* from = device_.Put(std::vector<uint16_t>(64 * 64, 3));
  auto* raw = static_cast<unsigned char*>(device_.Allocate(1024));
  const TensorMap map = Matrix16(from, 64, 64, 64, 8, 64, TensorMapSwizzle::k128);
  ASSERT_EQ(Run(TileKernel, {{1}, {64}, 1032}, TileArgs{map, map, 0, 0, 1024, raw, false}), cudaSuccess);
  for (const unsigned char byte : device_.Get(raw, 1024)) ASSERT_EQ(byte, 0xFF);
  Faults("deadlock", TileKernel, {{1}, {64}, 1048}, TileArgs{map, map, 0, 0, 1040, raw, true});  // expects more bytes than come
}

TEST_F(Hopper, MapsThatTheDriverRefusesAreRefused) {
  alignas(64) uint16_t data[64] = {};
  const TensorMapParams good = {TensorMapType::kBf16, 2, data, {8, 8}, {0, 16}, {8, 8}, TensorMapSwizzle::k128};
  const auto refused = [&](auto change) {
    TensorMapParams p = good;
    change(p);
    TensorMap map;
    return !EncodeTensorMap(p, &map);
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([&](auto& p) { p.data = data + 1; }));
  EXPECT_TRUE(refused([](auto& p) { p.rank = 6; }));
  EXPECT_TRUE(refused([](auto& p) { p.size[1] = 0; }));
  EXPECT_TRUE(refused([](auto& p) { p.stride_bytes[1] = 24; }));
  EXPECT_TRUE(refused([](auto& p) { p.box[0] = 72; }));   // wider than the swizzle
  EXPECT_TRUE(refused([](auto& p) { p.box[0] = 4; }));    // not 16 bytes
  EXPECT_TRUE(refused([](auto& p) { p.box[1] = 257; }));
}

struct StackArgs {
  TensorMap from, to;
};
__global__ void StackKernel(const __grid_constant__ StackArgs args) {
  unsigned char* const tile = SharedMemory();
  auto* const barrier = reinterpret_cast<Barrier*>(tile + 4096);
  if (threadIdx.x / 32 == 0 && ElectOne()) {
    BarrierInit(barrier, 1);
    BarrierInitFence();
    TmaPrefetch(&args.from);
    BarrierArriveExpect(barrier, 8 * 2 * 3 * 2 * 4);
    TmaLoad(tile, &args.from, barrier, 4, 1, 2, 3);
    BarrierWait(barrier, 0);
    TmaStore(&args.to, tile, 0, 0, 0, 0);
    TmaStoreCommit();
    // The tile changes at once: whoever forgets this wait stores what comes after.
    TmaStoreWaitRead<0>();
    for (int i = 0; i < 4096; ++i) tile[i] = 1;
  }
}

TEST_F(Hopper, TilesHaveUpToFourDimensionsHere) {
  const uint64_t sizes[] = {13, 4, 6, 7};  // innermost first, of float32; rows of 16
  std::vector<float> values(16 * 4 * 6 * 7);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  float* to = device_.Put(std::vector<float>(8 * 2 * 3 * 2, -1.0f));
  const StackArgs args = {MapOf({TensorMapType::kF32, 4, device_.Put(values), {sizes[0], sizes[1], sizes[2], sizes[3]},
                                 {0, 64, 256, 1536}, {8, 2, 3, 2}, TensorMapSwizzle::kNone}),
                          MapOf({TensorMapType::kF32, 4, to, {8, 2, 3, 2}, {0, 32, 64, 192}, {8, 2, 3, 2}, TensorMapSwizzle::kNone})};
  ForSchedules([&] {
    ASSERT_EQ(Run(StackKernel, {{1}, {32}, 4104}, args), cudaSuccess) << emulation::LastFault();
    const std::vector<float> got = device_.Get(to, 96);
    for (size_t i = 0; i < 96; ++i) {
      const size_t c[] = {4 + i % 8, 1 + i / 8 % 2, 2 + i / 16 % 3, 3 + i / 48};
      const float expected = c[0] < sizes[0] ? values[c[0] + 16 * c[1] + 64 * c[2] + 384 * c[3]] : 0.0f;
      ASSERT_EQ(got[i], expected) << i;
    }
  });
}

// ---- Clusters ----------------------------------------------------------------------------------------------------

struct PairArgs {
  TensorMap from;
  uint16_t* out;  // [blocks, 16 lines of 64]
  int32_t rounds;
};
// Each block of a pair copies eight lines to both, again and again into the same place, once both have read the ones before.
__global__ void PairKernel(const __grid_constant__ PairArgs args) {
  unsigned char* const tile = SharedMemory();
  auto* const full = reinterpret_cast<Barrier*>(tile + 2048);
  Barrier* const empty = full + 1;
  const uint32_t rank = ClusterRank();
  if (threadIdx.x == 0) {
    BarrierInit(full, 1);
    BarrierInit(empty, 2 * 32);
    BarrierInitFence();
  }
  ClusterSync();
  if (threadIdx.x >= 32) {
    if (threadIdx.x == 32) {
      for (int32_t i = 0; i < args.rounds; ++i) {
        BarrierWait(empty, static_cast<uint32_t>(i + 1) & 1);
        BarrierArriveExpect(full, 2048);
        TmaLoadMulticast(tile + 1024 * rank, &args.from, full, 3, 0, static_cast<int32_t>(16 * i + 8 * static_cast<int32_t>(rank)));
      }
    }
  } else {
    for (int32_t i = 0; i < args.rounds; ++i) {
      BarrierWait(full, static_cast<uint32_t>(i) & 1);
      const auto* numbers = reinterpret_cast<const uint16_t*>(tile);
      uint16_t* const out = args.out + (static_cast<int32_t>(blockIdx.x) * args.rounds + i) * 1024;
      for (uint32_t n = threadIdx.x; n < 1024; n += 32) out[n] = numbers[n];
      BarrierArriveAt(empty, 0);
      BarrierArriveAt(empty, 1);
    }
  }
  __syncwarp();
  ClusterSync();
}

TEST_F(Hopper, BlocksOfAClusterCopyToEachOther) {
  const int32_t rounds = 5, blocks = 4;
  std::vector<uint16_t> values(16 * rounds * 64);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint16_t>(i);
  const TensorMap map = Matrix16(device_.Put(values), 16 * rounds, 64, 64, 8, 64, TensorMapSwizzle::k128);
  ForSchedules([&] {
    auto* out = static_cast<uint16_t*>(device_.Allocate(blocks * rounds * 2048));
    LaunchConfig config = {{blocks}, {64}, 2064};
    config.cluster = 2;
    ASSERT_EQ(Run(PairKernel, config, PairArgs{map, out, rounds}), cudaSuccess) << emulation::LastFault();
    const std::vector<uint16_t> got = device_.Get(out, blocks * rounds * 1024);
    for (int32_t b = 0; b < blocks; ++b) {
      for (int32_t line = 0; line < 16 * rounds; ++line) {
        for (int32_t c = 0; c < 64; ++c) {
          const int32_t swizzled = (c / 8 ^ line % 8) * 8 + c % 8;
          ASSERT_EQ(got[static_cast<size_t>((b * 16 * rounds + line) * 64 + swizzled)], line * 64 + c) << "block " << b;
        }
      }
    }
  });
}

// ---- Products ----------------------------------------------------------------------------------------------------

enum class How { kBoth, kRegisters, kOther, kS8 };

struct ProductArgs {
  TensorMap a, b;
  uint32_t a_bytes, b_bytes;
  uint32_t b_next;  // kOther
  How how;
  int32_t passes;  // over the same line
  float* d;        // [64, n]
  int32_t spoil;
};
enum Spoil { kNothing, kNoFence, kNoWait, kWarpsDiffer, kOverwritten, kWritten, kWrittenAndFenced };

template <int kColumns>
__global__ void ProductKernel(const __grid_constant__ ProductArgs args) {
  unsigned char* const a = SharedMemory();
  unsigned char* const b = a + args.a_bytes;
  auto* const barrier = reinterpret_cast<Barrier*>(b + args.b_bytes);
  const auto thread = static_cast<int32_t>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  if (thread == 0) {
    BarrierInit(barrier, 1);
    BarrierInitFence();
    BarrierArriveExpect(barrier, args.a_bytes + args.b_bytes);
    TmaLoad(a, &args.a, barrier, 0, 0);
    if (args.how == How::kOther) {
      for (uint32_t i = 0; i < args.b_bytes / args.b_next; ++i) {
        TmaLoad(b + i * args.b_next, &args.b, barrier, static_cast<int32_t>(64 * i), 0);
      }
    } else {
      TmaLoad(b, &args.b, barrier, 0, 0);
    }
  }
  __syncthreads();
  BarrierWait(barrier, 0);
  float d[kColumns / 2];
  int32_t whole[kColumns / 2];
  const uint64_t a_tile = WgmmaDescriptor(a) + (args.spoil == kWarpsDiffer && warp == 2 ? 2 : 0);
  uint32_t fragment[4][4];
  for (int32_t step = 0; step < 4; ++step) {
    const int32_t row = 16 * warp + lane % 16, chunk = (2 * step + lane / 16) ^ row % 8;
    LoadMatrixX4(fragment[step], a + row * 128 + chunk * 16);
  }
  if (args.spoil == kWritten || args.spoil == kWrittenAndFenced) {
    __syncthreads();
    a[thread] ^= 1;
    if (args.spoil == kWrittenAndFenced) ProxyFence();
    __syncthreads();
  }
  if (args.spoil != kNoFence) WgmmaFence();
  for (int32_t i = 0; i < args.passes; ++i) {
    for (int32_t step = 0; step < 4; ++step) {
      const bool add = i > 0 || step > 0;
      const uint64_t a_step = WgmmaAdvance(a_tile, static_cast<uint32_t>(32 * step));
      const uint64_t b_step = WgmmaAdvance(WgmmaDescriptor(b), static_cast<uint32_t>(32 * step));
      const uint64_t b_other = WgmmaAdvance(WgmmaDescriptorOther(b, args.b_next), static_cast<uint32_t>(2048 * step));
      switch (args.how) {
        case How::kBoth: WgmmaBf16(d, a_step, b_step, add); break;
        case How::kRegisters: WgmmaBf16(d, fragment[step], b_step, add); break;
        case How::kOther: WgmmaBf16<Major::kOther>(d, fragment[step], b_other, add); break;
        case How::kS8: WgmmaS8(whole, a_step, b_step, add); break;
      }
    }
    WgmmaCommit();
    WgmmaWait<1>();
    WgmmaFence();
  }
  if (args.spoil == kOverwritten) a[thread] = 0x3F;
  if (args.spoil != kNoWait) WgmmaWait<0>();
  WgmmaHold(d);
  for (int32_t i = 0; i < kColumns / 2; ++i) {
    const int32_t row = 16 * warp + lane / 4 + 8 * (i / 2 % 2), column = 8 * (i / 4) + 2 * (lane % 4) + i % 2;
    args.d[row * kColumns + column] = args.how == How::kS8 ? static_cast<float>(whole[i]) : d[i];
  }
}

// Small integers, so that every sum is exact.
class Products : public Hopper {
 protected:
  std::vector<uint16_t> Bf16(size_t count) {
    std::vector<uint16_t> values(count);
    for (uint16_t& v : values) v = emulation::FloatToBf16(static_cast<float>(static_cast<int>(random_() % 17) - 8));
    return values;
  }
  std::vector<int8_t> S8(size_t count) {
    std::vector<int8_t> values(count);
    for (int8_t& v : values) v = static_cast<int8_t>(random_());
    return values;
  }

  template <int kColumns>
  void Check(How how, int32_t passes) {
    SCOPED_TRACE("columns " + std::to_string(kColumns) + ", how " + std::to_string(static_cast<int>(how)));
    const bool s8 = how == How::kS8;
    const size_t k = s8 ? 128 : 64;
    std::vector<double> a(64 * k), b(kColumns * k);
    ProductArgs args = {};
    args.how = how;
    args.passes = passes;
    args.a_bytes = 64 * 128;
    args.b_bytes = how == How::kOther ? (kColumns + 63) / 64 * 8192 : kColumns * 128;
    args.b_next = 8192;
    const auto map = [&](const void* data, uint64_t rows, uint64_t cols, uint32_t box_rows) {
      return MapOf({s8 ? TensorMapType::kU8 : TensorMapType::kBf16, 2, data, {cols, rows}, {0, cols * (s8 ? 1 : 2)},
                    {s8 ? 128u : 64u, box_rows}, TensorMapSwizzle::k128});
    };
    if (s8) {
      const std::vector<int8_t> ai = S8(64 * k), bi = S8(kColumns * k);
      a.assign(ai.begin(), ai.end());
      b.assign(bi.begin(), bi.end());
      args.a = map(device_.Put(ai), 64, k, 64);
      args.b = map(device_.Put(bi), kColumns, k, kColumns);
    } else {
      const std::vector<uint16_t> ai = Bf16(64 * k), bi = Bf16(kColumns * k);
      for (size_t i = 0; i < a.size(); ++i) a[i] = emulation::Bf16ToFloat(ai[i]);
      for (size_t i = 0; i < b.size(); ++i) b[i] = emulation::Bf16ToFloat(bi[i]);
      args.a = map(device_.Put(ai), 64, k, 64);
      if (how == How::kOther) {
        std::vector<uint16_t> turned(b.size());
        for (size_t c = 0; c < kColumns; ++c) {
          for (size_t i = 0; i < k; ++i) turned[i * kColumns + c] = bi[c * k + i];
        }
        args.b = map(device_.Put(turned), k, kColumns, 64);
      } else {
        args.b = map(device_.Put(bi), kColumns, k, kColumns);
      }
    }
    args.d = static_cast<float*>(device_.Allocate(64 * kColumns * 4));
    ForSchedules([&] {
      ASSERT_EQ(Run(ProductKernel<kColumns>, {{1}, {128}, args.a_bytes + args.b_bytes + 8}, args), cudaSuccess) << emulation::LastFault();
      const std::vector<float> d = device_.Get(args.d, 64 * kColumns);
      for (size_t i = 0; i < 64; ++i) {
        for (size_t j = 0; j < kColumns; ++j) {
          double expected = 0;
          for (size_t c = 0; c < k; ++c) expected += a[i * k + c] * b[j * k + c];
          ASSERT_EQ(d[i * kColumns + j], passes * expected) << i << ", " << j;
        }
      }
    });
    last_ = args;
  }

  std::mt19937 random_{1};
  ProductArgs last_ = {};
};

TEST_F(Products, AreThoseOfTheTilesTheDescriptorsName) {
  Check<8>(How::kBoth, 1);
  Check<24>(How::kBoth, 2);
  Check<64>(How::kBoth, 1);
  Check<112>(How::kBoth, 2);
  Check<256>(How::kBoth, 1);
  Check<16>(How::kRegisters, 2);
  Check<128>(How::kRegisters, 1);
  Check<64>(How::kOther, 2);
  Check<128>(How::kOther, 1);
  Check<256>(How::kOther, 1);
  Check<32>(How::kS8, 2);
  Check<160>(How::kS8, 1);
}

TEST_F(Products, AreCaughtWhenTheirRulesAreBroken) {
  Check<64>(How::kBoth, 1);
  const LaunchConfig config = {{1}, {128}, last_.a_bytes + last_.b_bytes + 8};
  const std::vector<float> expected = device_.Get(last_.d, 64 * 64);
  last_.spoil = kNoFence;
  Faults("without wgmma.fence", ProductKernel<64>, config, last_);
  last_.spoil = kWarpsDiffer;
  Faults("the warps of a warpgroup differ", ProductKernel<64>, config, last_);
  emulation::SetSchedule(Schedule::kForward);
  last_.spoil = kNoWait;
  ASSERT_EQ(Run(ProductKernel<64>, config, last_), cudaSuccess);
  for (const float d : device_.Get(last_.d, 64 * 64)) ASSERT_TRUE(std::isnan(d));
  last_.spoil = kOverwritten;
  Faults("ordinary instructions have written at offset 0", ProductKernel<64>, config, last_);
  last_.spoil = kWritten;
  Faults("and no ProxyFence since", ProductKernel<64>, config, last_);
  last_.spoil = kWrittenAndFenced;
  ASSERT_EQ(Run(ProductKernel<64>, config, last_), cudaSuccess);
  EXPECT_NE(device_.Get(last_.d, 64 * 64), expected);
}

// ---- Between ordinary instructions and copies, between warps, between kernels ------------------------------------

struct StoreArgs {
  TensorMap to;
  bool fence;
};
__global__ void StoreKernel(const __grid_constant__ StoreArgs args) {
  auto* const tile = reinterpret_cast<uint16_t*>(SharedMemory());
  tile[threadIdx.x] = static_cast<uint16_t>(threadIdx.x);
  if (args.fence) ProxyFence();
  __syncthreads();
  if (threadIdx.x == 0) {
    TmaStore(&args.to, tile, 0, 0);
    TmaStoreCommit();
    TmaStoreWait<0>();
  }
}

TEST_F(Hopper, CopiesReadWhatIsFenced) {
  auto* const out = static_cast<uint16_t*>(device_.Allocate(128));
  StoreArgs args = {Matrix16(out, 8, 8, 8, 8, 8, TensorMapSwizzle::kNone), true};
  const LaunchConfig config = {{1}, {64}, 128};
  ForSchedules([&] { EXPECT_EQ(Run(StoreKernel, config, args), cudaSuccess) << emulation::LastFault(); });
  for (uint16_t i = 0; i < 64; ++i) EXPECT_EQ(device_.Get(out, 64)[i], i);
  args.fence = false;
  ForSchedules([&] { Faults("a TMA store reads what ordinary instructions have written", StoreKernel, config, args); });
}

struct RegisterArgs {
  bool too_many, lone_warp;
};
// As the kernels' warpgroups do: the last gives, the others take.
__global__ void RegisterKernel(const RegisterArgs args) {
  if (threadIdx.x >= 256) {
    if (!args.lone_warp || threadIdx.x >= 288) DecreaseRegisters<40>();
  } else if (args.too_many) {
    IncreaseRegisters<240>();
  } else {
    IncreaseRegisters<232>();
  }
}

TEST_F(Hopper, RegistersComeFromOtherWarps) {
  const LaunchConfig config = {{2}, {384}};
  ForSchedules([&] {
    EXPECT_EQ(Run(RegisterKernel, config, RegisterArgs{false, false}), cudaSuccess) << emulation::LastFault();
    Faults("waits for registers that no warp gives back", RegisterKernel, config, RegisterArgs{true, false});
    Faults("waits for registers that no warp gives back", RegisterKernel, config, RegisterArgs{false, true});
  });
}

struct DependencyArgs {
  uint32_t first;  // the first block that waits
};
__global__ void DependencyKernel(const DependencyArgs args) {
  if (threadIdx.x == 31 && blockIdx.x >= args.first) DependencyWait();
}

TEST_F(Hopper, BlocksThatMayBeginEarlyWait) {
  const LaunchConfig config = {{3}, {64}};
  const auto run = [&](uint32_t first, bool overlap) {
    const DependencyArgs args = {first};
    const cudaError_t error = LaunchKernel(RefOf(DependencyKernel), config, &args, overlap, nullptr);
    return error != cudaSuccess ? error : cudaDeviceSynchronize();
  };
  EXPECT_EQ(run(3, false), cudaSuccess);
  EXPECT_EQ(run(0, true), cudaSuccess) << emulation::LastFault();
  EXPECT_NE(run(1, true), cudaSuccess);
  EXPECT_NE(emulation::LastFault().find("a block ended without DependencyWait"), std::string::npos) << emulation::LastFault();
}

TEST_F(Hopper, ProbeFindsTheSameBits) {
  ForSchedules([&] {
    const HopperBits bits = ProbeHopperBits(device_);
    EXPECT_TRUE(bits.bf16);
    EXPECT_TRUE(bits.f16);
  });
}

}  // namespace
}  // namespace lanes::cuda

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
