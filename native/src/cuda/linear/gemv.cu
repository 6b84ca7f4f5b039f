// Few tokens by tensor cores: the weight streams past once, and all rows of x are in shared memory.
//
// A warp takes 16 features and walks their rows 256 bytes at a time, through a ring of its own in shared memory: no barrier of the
// block in its loop, and the loads of several stages always under way. The products are one chain, so what a warp needs for a stage
// is loaded to registers while the products of the half before run. Of int8, warps may share the features and cut the rows.
//
// Chunk c of row r (16 bytes) of a stage stands at c ^ r % 8 within its half of 128 bytes, as in gemm.cuh.
#include "cuda/linear/gemm.cuh"

namespace lanes::cuda {
namespace {

struct GemvArgs {
  const unsigned char* weight;
  int64_t row_bytes;
  // Rows of x: quantized, or floats that are rounded to bf16 here.
  const unsigned char* x;
  int64_t x_bytes, x_stride;
  FloatRows x_floats;
  bool x_vectors;  // four floats at aligned addresses
  int32_t groups, split;
  int32_t ring_offset;  // of the warps' rings in shared memory, behind x
  EpilogueArgs epilogue;
};

// Eight floats from `col` on of a row of `cols`, zeros behind its end, as bf16.
__device__ __forceinline__ uint4 LoadRounded(const float* row, int64_t col, int64_t cols, bool vectors) {
  if (vectors && col + 8 <= cols) {
    const float4 low = *reinterpret_cast<const float4*>(row + col), high = *reinterpret_cast<const float4*>(row + col + 4);
    return make_uint4(PackBf16(low.x, low.y), PackBf16(low.z, low.w), PackBf16(high.x, high.y), PackBf16(high.z, high.w));
  }
  float v[8];
#pragma unroll
  for (int32_t i = 0; i < 8; ++i) v[i] = col + i < cols ? row[col + i] : 0.0f;
  return make_uint4(PackBf16(v[0], v[1]), PackBf16(v[2], v[3]), PackBf16(v[4], v[5]), PackBf16(v[6], v[7]));
}

// 16 bytes of a token's row, as the products take them.
template <class Math>
__device__ __forceinline__ uint4 LoadX(const GemvArgs& args, int64_t token, int64_t chunk) {
  if constexpr (Math::kScaled) {
    if (chunk * 16 >= args.x_bytes) return make_uint4(0, 0, 0, 0);
    return *reinterpret_cast<const uint4*>(args.x + token * args.x_stride + chunk * 16);
  } else {
    return LoadRounded(args.x_floats.data + token * args.x_floats.stride, chunk * 8, args.x_floats.cols, args.x_vectors);
  }
}

// All rows of x to shared memory, by the whole block.
template <class Math>
__device__ __forceinline__ void FillX(const GemvArgs& args, unsigned char* shared, int32_t thread) {
  constexpr int32_t kTogether = 4;  // loads that a thread has under way
  const int64_t chunks = args.row_bytes / 16;
  for (int64_t token = 0; token < args.epilogue.m; ++token) {
    unsigned char* const to = shared + token * (args.row_bytes + kGemvRowPadding);
    for (int64_t first = thread; first < chunks; first += kTogether * kGemvThreads) {
      uint4 values[kTogether];
#pragma unroll
      for (int32_t i = 0; i < kTogether; ++i) {
        if (first + i * kGemvThreads < chunks) values[i] = LoadX<Math>(args, token, first + i * kGemvThreads);
      }
#pragma unroll
      for (int32_t i = 0; i < kTogether; ++i) {
        if (first + i * kGemvThreads < chunks) *reinterpret_cast<uint4*>(to + (first + i * kGemvThreads) * 16) = values[i];
      }
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
#pragma unroll
  for (int32_t j = 0; j < kWide; ++j) {
    FinishFragments<Math::kScaled>(args.epilogue, sum[j], 8 * j, feature, reinterpret_cast<float*>(ring));
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

bool LaunchGemv(Device& device, const GemmProblem& problem, const FloatRows* x_floats) {
  const bool exact = problem.products == Products::kS8;
  const DeviceLimits& limits = device.limits();
  const GemvPlan plan =
      PlanGemv(problem.epilogue.m, problem.epilogue.n, problem.row_bytes, exact, {limits.multiprocessors, limits.shared_bytes});
  if (!plan.taken) return false;
  GemvArgs args = {};
  args.weight = problem.weight;
  args.row_bytes = problem.row_bytes;
  args.x = problem.x;
  args.x_bytes = problem.x_bytes;
  args.x_stride = problem.x_stride;
  if (x_floats != nullptr) {
    args.x_floats = *x_floats;
    args.x_vectors = reinterpret_cast<uintptr_t>(x_floats->data) % 16 == 0 && x_floats->stride % 4 == 0;
  }
  args.groups = plan.groups;
  args.split = plan.split;
  args.ring_offset = plan.x_bytes;
  args.epilogue = problem.epilogue;
  LaunchConfig config;
  config.grid = dim3(static_cast<uint32_t>(plan.blocks));
  config.block = dim3(static_cast<uint32_t>(kGemvThreads));
  config.shared_bytes = static_cast<uint32_t>(plan.shared_bytes);
  if (exact) {
    LaunchWide<S8Mma>(device, config, plan.stages, args);
  } else {
    LaunchWide<Bf16Mma>(device, config, plan.stages, args);
  }
  return true;
}

}  // namespace lanes::cuda
