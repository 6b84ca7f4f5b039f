#include "cuda/common/hopper.cuh"
#include "cuda/common/probe.h"

namespace lanes::cuda {
namespace {

constexpr int32_t kThreads = 128;  // a warpgroup
constexpr int32_t kBlocks = 16;    // each with numbers of its own
constexpr int32_t kRows = 64, kColumns = 64;
constexpr int32_t kLine = 64;      // elements of k in a tile of 128-byte lines
constexpr int32_t kMostLines = 8;

struct ProbeArgs {
  uint32_t* differences;  // [kBlocks], elements
};

// The types: their products, and a finite number from random bits whose magnitude lies just below 2^exponent.
struct Bf16 {
  // From products of like size to those that vanish beside others; few of them large, or so small that float32 loses bits.
  static __device__ __forceinline__ int32_t Top(int32_t block) { return block % 16 < 12 ? 2 : block % 16 < 14 ? 50 : -62; }
  static __device__ __forceinline__ uint16_t Number(uint32_t bits, int32_t exponent) {
    return static_cast<uint16_t>((bits >> 31) << 15 | static_cast<uint32_t>(127 + exponent - 1) << 7 | ((bits >> 24) & 0x7F));
  }
  static __device__ __forceinline__ void Mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { MmaBf16(d, a, b); }
  template <int kSums>
  static __device__ __forceinline__ void Both(float (&d)[kSums], uint64_t a, uint64_t b, bool accumulate) {
    WgmmaBf16(d, a, b, accumulate);
  }
  template <int kSums>
  static __device__ __forceinline__ void Registers(float (&d)[kSums], const uint32_t (&a)[4], uint64_t b) {
    WgmmaBf16<Major::kOther>(d, a, b, true);
  }
};
struct F16 {
  // As rows are that were scaled for it, up to 2^15; some with all their digits, others among subnormal numbers.
  static __device__ __forceinline__ int32_t Top(int32_t block) { return block % 16 < 8 ? 15 : block % 16 < 12 ? 2 : -8; }
  static __device__ __forceinline__ uint16_t Number(uint32_t bits, int32_t exponent) {
    const auto sign = static_cast<uint16_t>((bits >> 31) << 15);
    const uint32_t fraction = (bits >> 21) & 0x3FF;
    if (exponent - 1 >= -14) return static_cast<uint16_t>(sign | static_cast<uint32_t>(15 + exponent - 1) << 10 | fraction);
    const int32_t below = -14 - (exponent - 1);
    return static_cast<uint16_t>(sign | (below > 10 ? 0 : (0x400 | fraction) >> below));
  }
  static __device__ __forceinline__ void Mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { MmaF16(d, a, b); }
  template <int kSums>
  static __device__ __forceinline__ void Both(float (&d)[kSums], uint64_t a, uint64_t b, bool accumulate) {
    WgmmaF16(d, a, b, accumulate);
  }
  template <int kSums>
  static __device__ __forceinline__ void Registers(float (&d)[kSums], const uint32_t (&a)[4], uint64_t b) {
    WgmmaF16<Major::kOther>(d, a, b, true);
  }
};

// A number of 32 random bits for each of `n`.
__device__ __forceinline__ uint32_t Hash(uint32_t n) {
  n ^= n >> 16;
  n *= 0x7FEB352Du;
  n ^= n >> 15;
  n *= 0x846CA68Bu;
  n ^= n >> 16;
  return n;
}

// Any sign and fraction. Magnitudes lie within 2^spread below 2^top; one in eight is zero when `sparse`.
template <class Element>
struct Numbers {
  uint32_t seed;
  int32_t spread, top;
  bool sparse;
  __device__ __forceinline__ uint16_t operator()(uint32_t index) const {
    const uint32_t bits = Hash(seed + index * 2);
    if (sparse && bits % 8 == 0) return 0;
    return Element::Number(bits, top - static_cast<int32_t>((bits >> 8) % static_cast<uint32_t>(spread + 1)));
  }
};

// Element (line, column) of a tile with 128-byte swizzle.
__device__ __forceinline__ uint16_t* At(unsigned char* tile, int32_t line, int32_t column) {
  const int32_t chunk = column / 8 ^ line % 8;
  return reinterpret_cast<uint16_t*>(tile + line * 128 + chunk * 16) + column % 8;
}

// a [kRows, kLine], b [kColumns, kLine], and b once more with columns contiguous.
constexpr int32_t kABytes = kRows * 128, kBBytes = kColumns * 128;
constexpr int32_t kSharedBytes = kABytes + 2 * kBBytes;

template <class Element>
__global__ void __launch_bounds__(kThreads, 1) ProbeHopperKernel(const ProbeArgs args) {
  DependencyWait();
  unsigned char* const a = SharedMemory();
  unsigned char* const b = a + kABytes;
  unsigned char* const b_other = b + kBBytes;
  const auto thread = static_cast<int32_t>(threadIdx.x), block = static_cast<int32_t>(blockIdx.x);
  const int32_t lane = thread % 32, warp = thread / 32;
  const int32_t spread = block % 8 * 5, top = Element::Top(block);
  const int32_t lines = 1 + block % 4 * (kMostLines - 1) / 3;
  const Numbers<Element> a_numbers = {Hash(static_cast<uint32_t>(2 * block)), spread, top, block % 5 == 0};
  const Numbers<Element> b_numbers = {Hash(static_cast<uint32_t>(2 * block + 1)), spread, top, block % 5 == 1};
  float expected[kColumns / 8][4] = {}, shared[kColumns / 2] = {}, registers[kColumns / 2] = {}, narrow[4] = {};
  for (int32_t line = 0; line < lines; ++line) {
    __syncthreads();
    for (int32_t i = thread; i < kRows * kLine; i += kThreads) {
      *At(a, i / kLine, i % kLine) = a_numbers(static_cast<uint32_t>(line * kRows * kLine + i));
    }
    for (int32_t i = thread; i < kColumns * kLine; i += kThreads) {
      const int32_t column = i / kLine, k = i % kLine;
      const uint16_t number = b_numbers(static_cast<uint32_t>(line * kColumns * kLine + i));
      *At(b, column, k) = number;
      *At(b_other, k, column) = number;
    }
    ProxyFence();
    __syncthreads();
    WgmmaHold(shared);
    WgmmaHold(registers);
    WgmmaHold(narrow);
#pragma unroll
    for (int32_t step = 0; step < kLine / 16; ++step) {
      uint32_t fragment[4];
      LoadMatrixX4(fragment, At(a, 16 * warp + lane % 16, 16 * step + lane / 16 * 8));
#pragma unroll
      for (int32_t j = 0; j < kColumns / 8; ++j) {
        uint32_t pair[2];
        LoadMatrixX2(pair, At(b, 8 * j + lane % 8, 16 * step + lane / 8 % 2 * 8));
        Element::Mma(expected[j], fragment, pair);
      }
      WgmmaHold(fragment);
      WgmmaFence();
      const uint64_t a_tile = WgmmaAdvance(WgmmaDescriptor(a), static_cast<uint32_t>(32 * step));
      const uint64_t b_tile = WgmmaAdvance(WgmmaDescriptor(b), static_cast<uint32_t>(32 * step));
      Element::Both(shared, a_tile, b_tile, line > 0 || step > 0);
      Element::Both(narrow, a_tile, b_tile, line > 0 || step > 0);
      Element::Registers(registers, fragment,
                         WgmmaAdvance(WgmmaDescriptorOther(b_other, kLine * 128), static_cast<uint32_t>(16 * 128 * step)));
      WgmmaCommit();
      WgmmaWait<0>();
      WgmmaHold(fragment);
    }
    WgmmaHold(shared);
    WgmmaHold(registers);
    WgmmaHold(narrow);
  }
  uint32_t differences = 0;
#pragma unroll
  for (int32_t j = 0; j < kColumns / 8; ++j) {
#pragma unroll
    for (int32_t i = 0; i < 4; ++i) {
      const uint32_t bits = __float_as_uint(expected[j][i]);
      differences += bits != __float_as_uint(shared[4 * j + i]);
      differences += bits != __float_as_uint(registers[4 * j + i]);
      if (j == 0) differences += bits != __float_as_uint(narrow[i]);
    }
  }
#pragma unroll
  for (int32_t distance = 16; distance > 0; distance /= 2) differences += __shfl_xor_sync(0xFFFFFFFF, differences, distance);
  __syncthreads();
  auto* const sums = reinterpret_cast<uint32_t*>(a);
  if (lane == 0) sums[warp] = differences;
  __syncthreads();
  if (thread == 0) args.differences[block] = sums[0] + sums[1] + sums[2] + sums[3];
}

template <class Element>
bool SameBits(Device& device) {
  uint32_t differences[kBlocks];
  const ProbeArgs args = {device.Return(differences, kBlocks)};
  LaunchConfig config;
  config.grid = dim3(kBlocks);
  config.block = dim3(kThreads);
  config.shared_bytes = kSharedBytes;
  device.Launch(config, ProbeHopperKernel<Element>, args);
  device.Submit();
  for (const uint32_t count : differences) {
    if (count != 0) return false;
  }
  return true;
}

}  // namespace

HopperBits ProbeHopperBits(Device& device) { return {SameBits<Bf16>(device), SameBits<F16>(device)}; }

}  // namespace lanes::cuda
