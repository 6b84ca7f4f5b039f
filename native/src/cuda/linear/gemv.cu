// Few tokens by tensor cores: the weight streams past once, and all rows of x are in shared memory.
//
// A warp takes 16 features and walks their rows 256 bytes at a time, through a ring of its own in shared memory: no barrier of the
// block in its loop, and the loads of several stages always under way. The products are one chain, so what a warp needs for a stage
// is loaded to registers while the products of the half before run. Of int8, warps may share the features and cut the rows.
//
// Chunk c of row r (16 bytes) of a stage stands at c ^ r % 8 within its half of 128 bytes, as in gemm.cuh.
#include "cuda/common/quantize.cuh"
#include "cuda/common/reduce.cuh"
#include "cuda/common/row_power.cuh"
#include "cuda/linear/gemm.cuh"

namespace lanes::cuda {
namespace {

struct GemvArgs {
  const unsigned char* weight;
  int64_t row_bytes;
  // Rows of x: quantized, or what is rounded here.
  const unsigned char* x;
  int64_t x_bytes, x_stride;
  InputRows input;
  int32_t groups, split;
  int32_t row_threads, scales_at;
  int32_t ring_offset;  // of the warps' rings in shared memory, behind x
  EpilogueArgs epilogue;
};

// Eight elements of token `token` from `col` on, zeros behind the row's end.
__device__ __forceinline__ void LoadEight(const InputRows& rows, int64_t token, int64_t col, float (&v)[8]) {
  const float* const row = static_cast<const float*>(rows.data) + token * rows.stride;
  if (rows.vectors && col + 8 <= rows.cols) {
    const float4 low = *reinterpret_cast<const float4*>(row + col), high = *reinterpret_cast<const float4*>(row + col + 4);
    v[0] = low.x, v[1] = low.y, v[2] = low.z, v[3] = low.w, v[4] = high.x, v[5] = high.y, v[6] = high.z, v[7] = high.w;
    return;
  }
#pragma unroll
  for (int32_t i = 0; i < 8; ++i) v[i] = col + i < rows.cols ? row[col + i] : 0.0f;
}
// Of bfloat16, as they are.
__device__ __forceinline__ uint4 LoadEightBf16(const InputRows& rows, int64_t token, int64_t col) {
  const uint16_t* const row = static_cast<const uint16_t*>(rows.data) + token * rows.stride;
  if (rows.vectors && col + 8 <= rows.cols) return *reinterpret_cast<const uint4*>(row + col);
  uint32_t v[8];
#pragma unroll
  for (int32_t i = 0; i < 8; ++i) v[i] = col + i < rows.cols ? row[col + i] : 0;
  return make_uint4(v[0] | v[1] << 16, v[2] | v[3] << 16, v[4] | v[5] << 16, v[6] | v[7] << 16);
}
__device__ __forceinline__ void WidenEight(const uint4& halves, float (&v)[8]) {
  const uint32_t pairs[4] = {halves.x, halves.y, halves.z, halves.w};
#pragma unroll
  for (int32_t i = 0; i < 4; ++i) {
    v[2 * i] = __uint_as_float(pairs[i] << 16);
    v[2 * i + 1] = __uint_as_float(pairs[i] & 0xFFFF0000u);
  }
}

// 16 bytes of a token's row, as the products take them; of f16 times `power`.
template <class Math>
__device__ __forceinline__ uint4 LoadX(const GemvArgs& args, int64_t token, int64_t chunk, float power) {
  if constexpr (Math::kScales == Scales::kBoth) {
    if (chunk * 16 >= args.x_bytes) return make_uint4(0, 0, 0, 0);
    return *reinterpret_cast<const uint4*>(args.x + token * args.x_stride + chunk * 16);
  } else if constexpr (Math::kScales == Scales::kRows) {
    float v[8];
    if (args.input.bf16) {
      WidenEight(LoadEightBf16(args.input, token, chunk * 8), v);
    } else {
      LoadEight(args.input, token, chunk * 8, v);
    }
#pragma unroll
    for (int32_t i = 0; i < 8; ++i) v[i] = v[i] * power;
    return make_uint4(PackF16(v[0], v[1]), PackF16(v[2], v[3]), PackF16(v[4], v[5]), PackF16(v[6], v[7]));
  } else {
    if (args.input.bf16) return LoadEightBf16(args.input, token, chunk * 8);
    float v[8];
    LoadEight(args.input, token, chunk * 8, v);
    return make_uint4(PackBf16(v[0], v[1]), PackBf16(v[2], v[3]), PackBf16(v[4], v[5]), PackBf16(v[6], v[7]));
  }
}

// The power of two that token `token` is scaled with, which `row_threads` threads find together; its inverse to scales[token]. The whole
// block calls it.
__device__ __forceinline__ float FindPower(const GemvArgs& args, unsigned char* shared, int64_t token, int32_t mine) {
  constexpr int32_t kTogether = 4;
  uint32_t largest = 0;
  const Larger larger;
  if (token < args.epilogue.m) {
    const int64_t step = args.row_threads * 8;
    for (int64_t first = mine * 8; first < args.input.cols; first += kTogether * step) {
#pragma unroll
      for (int32_t i = 0; i < kTogether; ++i) {
        float v[8];
        if (args.input.bf16) {
          WidenEight(LoadEightBf16(args.input, token, first + i * step), v);
        } else {
          LoadEight(args.input, token, first + i * step, v);
        }
#pragma unroll
        for (int32_t c = 0; c < 8; ++c) largest = larger(largest, MagnitudeBits(v[c]));
      }
    }
  }
#pragma unroll
  for (int32_t distance = 16; distance > 0; distance /= 2) {
    const uint32_t other = __shfl_xor_sync(kAllLanes, largest, distance);
    if (distance < args.row_threads) largest = larger(largest, other);
  }
  // A warp's part of its row, or the two rows of a warp.
  const int32_t part = args.row_threads < 32 ? args.row_threads : 32, parts = args.row_threads / part;
  auto* const found = reinterpret_cast<uint32_t*>(shared + args.scales_at);
  const int32_t thread = static_cast<int32_t>(threadIdx.x);
  if (thread % part == 0) found[thread / part] = largest;
  __syncthreads();
  for (int32_t i = 0; i < parts; ++i) largest = larger(largest, found[thread / args.row_threads * parts + i]);
  const RowPower power = RowPowerOf(largest);
  if (mine == 0) reinterpret_cast<float*>(found + kGemvTokens)[thread / args.row_threads] = power.inverse;
  return power.power;
}

// All rows of x to shared memory, by the whole block.
template <class Math>
__device__ __forceinline__ void FillX(const GemvArgs& args, unsigned char* shared, int32_t thread) {
  constexpr int32_t kTogether = 4;  // loads that a thread has under way
  const int32_t token = thread / args.row_threads, mine = thread % args.row_threads;
  float power = 1.0f;
  if constexpr (Math::kScales == Scales::kRows) power = FindPower(args, shared, token, mine);
  if (token >= args.epilogue.m) return;
  const int64_t chunks = args.row_bytes / 16;
  unsigned char* const to = shared + token * (args.row_bytes + kGemvRowPadding);
  for (int64_t first = mine; first < chunks; first += kTogether * args.row_threads) {
    uint4 values[kTogether];
#pragma unroll
    for (int32_t i = 0; i < kTogether; ++i) {
      const int64_t chunk = first + i * args.row_threads;
      if (chunk < chunks) values[i] = LoadX<Math>(args, token, chunk, power);
    }
#pragma unroll
    for (int32_t i = 0; i < kTogether; ++i) {
      const int64_t chunk = first + i * args.row_threads;
      if (chunk < chunks) *reinterpret_cast<uint4*>(to + chunk * 16) = values[i];
    }
  }
}

// kWide: groups of eight tokens.
template <class Math, int kWide, int kStages>
__global__ void __launch_bounds__(kGemvThreads) GemvKernel(const GemvArgs args) {
  constexpr int32_t kParts = 4;  // products in half a stage
  unsigned char* const shared = SharedMemory();
  const int32_t thread = static_cast<int32_t>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int64_t n = args.epilogue.n, m = args.epilogue.m;
  const int32_t part = warp % args.split;
  const int64_t feature = (static_cast<int64_t>(blockIdx.x) * args.groups + warp / args.split) * 16;
  const bool works = warp < args.groups * args.split && feature < n;

  // This warp's stages; the last one of a row may be half a stage.
  const int64_t row_stages = (args.row_bytes + 255) / 256, share = (row_stages + args.split - 1) / args.split;
  const int64_t begin = Least(part * share, row_stages), stages = Least(begin + share, row_stages) - begin;
  const int64_t halves = Least(args.row_bytes / 128 - begin * 2, stages * 2);

  unsigned char* const ring = shared + args.ring_offset + warp * (kStages * kGemvStageBytes);
  const auto copy = [&](int64_t stage, int32_t slot) {
    const int64_t at = (begin + stage) * 256 + lane % 16 * 16;
    if (at >= args.row_bytes) return;
#pragma unroll
    for (int32_t i = 0; i < 8; ++i) {
      const int32_t row = lane / 16 + 2 * i;
      unsigned char* const to = ring + slot * kGemvStageBytes + row * 256 + (lane % 16 ^ row % 8) * 16;
      CopyAsync16(to, args.weight + Least(feature + row, n - 1) * args.row_bytes + at);
    }
  };
  if (works) {
#pragma unroll
    for (int32_t s = 0; s < kStages - 1; ++s) {
      if (s < stages) copy(s, s);
      CopyAsyncCommit();
    }
  }
  DependencyWait();
  FillX<Math>(args, shared, thread);
  __syncthreads();
  DependencyLaunch();

  typename Math::Sum sum[kWide][1][4] = {};
  if (works) {
    const int32_t row = lane % 16;
    const unsigned char* const rows = ring + row * 256;
    const unsigned char* x_rows[kWide];
#pragma unroll
    for (int32_t j = 0; j < kWide; ++j) {
      // Columns without a token repeat the last one; their sums are not stored.
      x_rows[j] = shared + Least(8 * j + lane % 8, m - 1) * (args.row_bytes + kGemvRowPadding) + begin * 256 + lane / 8 * 16;
    }
    uint32_t a[2][kParts][4], b[2][kWide][kParts][2];
    // Half `half` of the warp's rows, which is in slot `slot`.
    const auto load = [&](int64_t half, int32_t slot, int32_t to) {
#pragma unroll
      for (int32_t p = 0; p < kParts; ++p) {
        LoadMatrixX4(a[to][p], rows + slot * kGemvStageBytes + to * 128 + ((2 * p + lane / 16) ^ row % 8) * 16);
      }
#pragma unroll
      for (int32_t j = 0; j < kWide; ++j) {
#pragma unroll
        for (int32_t p = 0; p < kParts; p += 2) {
          uint32_t r[4];
          LoadMatrixX4(r, x_rows[j] + half * 128 + p * 32);
          b[to][j][p][0] = r[0];
          b[to][j][p][1] = r[1];
          b[to][j][p + 1][0] = r[2];
          b[to][j][p + 1][1] = r[3];
        }
      }
    };
    const auto multiply = [&](int32_t from) {
#pragma unroll
      for (int32_t p = 0; p < kParts; ++p) {
#pragma unroll
        for (int32_t j = 0; j < kWide; ++j) Math::Add(sum[j][0], a[from][p], b[from][j][p]);
      }
    };
    CopyAsyncWait<kStages - 2>();
    __syncwarp();
    if (halves > 0) load(0, 0, 0);
    int32_t slot = 0, free_slot = kStages - 1;
    for (int64_t stage = 0; stage < stages; ++stage) {
      const int32_t next_slot = slot + 1 < kStages ? slot + 1 : 0;
      // All lanes have read the stage before: they met after it.
      if (stage + kStages - 1 < stages) copy(stage + kStages - 1, free_slot);
      CopyAsyncCommit();
      const bool second = 2 * stage + 1 < halves;
      if (second) load(2 * stage + 1, slot, 1);
      multiply(0);
      CopyAsyncWait<kStages - 2>();
      __syncwarp();
      if (stage + 1 < stages) load(2 * stage + 2, next_slot, 0);
      if (second) multiply(1);
      free_slot = slot;
      slot = next_slot;
    }
    CopyAsyncWait<0>();
    __syncwarp();
  }

  if (args.split > 1) {
    // Each part's sums to its own ring, then the first adds up.
    typename Math::Sum* const mine = reinterpret_cast<typename Math::Sum*>(ring) + lane * 4;
    if (works && part > 0) {
#pragma unroll
      for (int32_t j = 0; j < kWide; ++j) {
#pragma unroll
        for (int32_t r = 0; r < 4; ++r) mine[j * 128 + r] = sum[j][0][r];
      }
    }
    __syncthreads();
    if (!works || part > 0) return;
    for (int32_t other = 1; other < args.split; ++other) {
      const typename Math::Sum* const its = mine + other * (kStages * kGemvStageBytes / 4);
#pragma unroll
      for (int32_t j = 0; j < kWide; ++j) {
#pragma unroll
        for (int32_t r = 0; r < 4; ++r) sum[j][0][r] += its[j * 128 + r];
      }
    }
  }
  if (!works) return;
  EpilogueArgs epilogue = args.epilogue;
  if constexpr (Math::kScales == Scales::kRows) epilogue.x_scale = reinterpret_cast<const float*>(shared + args.scales_at) + kGemvTokens;
#pragma unroll
  for (int32_t j = 0; j < kWide; ++j) {
    FinishFragments<Math::kScales>(epilogue, sum[j], 8 * j, feature, reinterpret_cast<float*>(ring));
  }
}

template <class Math, int kWide>
void LaunchStages(Device& device, const LaunchConfig& config, int32_t stages, const GemvArgs& args) {
  if (stages == 16) {
    device.Launch(config, GemvKernel<Math, kWide, 16>, args);
  } else if (stages == 8) {
    device.Launch(config, GemvKernel<Math, kWide, 8>, args);
  } else {
    device.Launch(config, GemvKernel<Math, kWide, 4>, args);
  }
}

template <class Math>
void LaunchWide(Device& device, const LaunchConfig& config, int32_t stages, const GemvArgs& args) {
  if (args.epilogue.m > 8) {
    LaunchStages<Math, 2>(device, config, stages, args);
  } else {
    LaunchStages<Math, 1>(device, config, stages, args);
  }
}

}  // namespace

bool LaunchGemv(Device& device, const GemmProblem& problem, const InputRows* input) {
  const DeviceLimits& limits = device.limits();
  const GemvPlan plan = PlanGemv(problem.epilogue.m, problem.epilogue.n, problem.row_bytes, problem.products,
                                 {limits.multiprocessors, limits.shared_bytes});
  if (!plan.taken) return false;
  GemvArgs args = {};
  args.weight = problem.weight;
  args.row_bytes = problem.row_bytes;
  args.x = problem.x;
  args.x_bytes = problem.x_bytes;
  args.x_stride = problem.x_stride;
  if (input != nullptr) args.input = *input;
  args.groups = plan.groups;
  args.split = plan.split;
  args.row_threads = plan.row_threads;
  args.scales_at = plan.scales_at;
  args.ring_offset = plan.x_bytes;
  args.epilogue = problem.epilogue;
  LaunchConfig config;
  config.grid = dim3(static_cast<uint32_t>(plan.blocks));
  config.block = dim3(static_cast<uint32_t>(kGemvThreads));
  config.shared_bytes = static_cast<uint32_t>(plan.shared_bytes);
  if (problem.products == Products::kS8) {
    LaunchWide<S8Mma>(device, config, plan.stages, args);
  } else if (problem.products == Products::kF16) {
    LaunchWide<F16Mma>(device, config, plan.stages, args);
  } else {
    LaunchWide<Bf16Mma>(device, config, plan.stages, args);
  }
  return true;
}

}  // namespace lanes::cuda
