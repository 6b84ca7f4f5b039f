// Keys and values of new tokens into their pages: a warp for each key and each value of a head. Keys may be rotated on the way, and queries
// in place: a warp for as many heads of a token as it has lanes for.
#include "ops/kv_write.h"

#include <algorithm>

#include "cuda/common/elements.cuh"
#include "cuda/common/ptx.cuh"
#include "cuda/common/reduce.cuh"
#include "cuda/common/rows.cuh"
#include "cuda/kv_write/kv_write.h"
#include "cuda/rope/rotate.cuh"

namespace lanes::cuda {
namespace {

constexpr int kWarps = 4;

enum class Rotation { kNone, kHalves, kNeighbours };

struct KvWriteArgs {
  KvLayout pool;
  uint32_t tasks, per_token;  // of a warp each: a token's keys, its values, its queries
  const int64_t* slots;
  const float* k;
  int64_t k_stride;
  const float* v;
  int64_t v_stride;
  const float* cos;  // [tokens, half]
  const float* sin;
  float* q;
  int64_t q_stride;
  uint32_t q_heads, heads_a_warp;
  uint32_t units, lanes_a_head;  // RotationUnits
  int32_t half;
  int32_t layer;
};

// Four elements that are no int8; `col` is a multiple of four, and rows of pages begin at multiples of 16 elements.
__device__ __forceinline__ void StoreInPage(unsigned char* row, int32_t dtype, int32_t col, float4 x) {
  if (dtype == LANES_F32) {
    *reinterpret_cast<float4*>(row + col * 4) = x;
  } else {
    const bool bf16 = dtype == LANES_BF16;
    *reinterpret_cast<uint2*>(row + col * 2) = bf16 ? make_uint2(PackBf16(x.x, x.y), PackBf16(x.z, x.w))
                                                    : make_uint2(PackF16(x.x, x.y), PackF16(x.z, x.w));
  }
}

template <bool kVector, Rotation kRotation>
__global__ void __launch_bounds__(kWarps * 32, 1) KvWriteRows(const KvWriteArgs args) {
  DependencyWait();
  DependencyLaunch();
  constexpr bool kHalves = kRotation == Rotation::kHalves;
  const uint32_t task = blockIdx.x * kWarps + threadIdx.x / 32;
  if (task >= args.tasks) return;
  const KvLayout& pool = args.pool;
  const int64_t t = task / args.per_token;
  const int32_t of_token = static_cast<int32_t>(task % args.per_token), lane = threadIdx.x % 32, dim = pool.head_dim, half = args.half;
  const float* const cos = args.cos + t * half;
  const float* const sin = args.sin + t * half;
  if (kRotation != Rotation::kNone && of_token >= 2 * pool.kv_heads) {
    const uint32_t of_warp = lane / args.lanes_a_head, head = (of_token - 2 * pool.kv_heads) * args.heads_a_warp + of_warp;
    if (of_warp >= args.heads_a_warp || head >= args.q_heads) return;
    float* const q = args.q + t * args.q_stride + static_cast<int64_t>(head) * dim;
    for (uint32_t u = lane % args.lanes_a_head; u < args.units; u += args.lanes_a_head) RotateUnit<kHalves, kVector>(q, q, cos, sin, half, u);
    return;
  }
  const int64_t slot = args.slots[t];
  if (slot < 0) return;
  const bool is_value = of_token >= pool.kv_heads;
  const int32_t head = is_value ? of_token - pool.kv_heads : of_token;
  const float* const x = (is_value ? args.v + t * args.v_stride : args.k + t * args.k_stride) + static_cast<int64_t>(head) * dim;
  const auto load = [&](int32_t col) {
    if (kRotation != Rotation::kNone && !is_value) return LoadRotatedFour<kHalves, kVector>(x, cos, sin, half, col, dim);
    return LoadFour<kVector>(x, col, dim);
  };
  const int64_t in_page = slot % LANES_PAGE_TOKENS;
  unsigned char* const block = pool.data + pool.Block(args.layer, slot / LANES_PAGE_TOKENS, head);
  unsigned char* const row = block + (is_value ? pool.Values() : pool.Keys()) + in_page * pool.row * pool.element_bytes;
  if (pool.dtype != LANES_S8) {
    for (int32_t col = lane * 4; col < pool.row; col += 128) StoreInPage(row, pool.dtype, col, load(col));
    return;
  }
  uint32_t largest = 0;
  for (int32_t col = lane * 4; col < dim; col += 128) largest = max(largest, LargestOfFour(load(col)));
  const RowQuantizer quantizer = QuantizerOf({true, 0.f, -127.f}, ReduceWarp(largest, Larger()));
  for (int32_t col = lane * 4; col < pool.row; col += 128) {
    *reinterpret_cast<uint32_t*>(row + col) = QuantizeFour(quantizer, load(col));
  }
  float* const scales = reinterpret_cast<float*>(block + (is_value ? pool.ValueScales() : pool.KeyScales()));
  if (lane == 0) scales[in_page] = quantizer.scale;
}

template <bool kVector>
auto FunctionOf(Rotation rotation) {
  return rotation == Rotation::kNone     ? KvWriteRows<kVector, Rotation::kNone>
         : rotation == Rotation::kHalves ? KvWriteRows<kVector, Rotation::kHalves>
                                         : KvWriteRows<kVector, Rotation::kNeighbours>;
}

}  // namespace

void WriteKv(Device& device, const KvLayout& pool, const lanes_kv_write_params& p) {
  const bool halves = p.pairing == LANES_ROPE_HALF;
  const Rotation rotation = p.half == 0 ? Rotation::kNone : halves ? Rotation::kHalves : Rotation::kNeighbours;
  const bool vector = InFours(p.k, p.tokens, pool.head_dim, p.k_stride) && InFours(p.v, p.tokens, pool.head_dim, p.v_stride) &&
                      InFours(p.q, p.tokens, pool.head_dim, p.q_stride) && RotatesInFours(pool.head_dim, p.half, halves, p.cos, p.sin);
  KvWriteArgs args = {};
  args.pool = pool;
  args.slots = device.Stage(p.slots, p.tokens);
  args.k_stride = p.k_stride;
  args.v_stride = p.v_stride;
  args.q_stride = p.q_stride;
  args.layer = p.layer;
  args.half = static_cast<int32_t>(p.half);
  args.q_heads = static_cast<uint32_t>(p.q_heads);
  args.units = RotationUnits(static_cast<uint32_t>(p.half), halves, vector);
  args.lanes_a_head = std::clamp(args.units, 1u, 32u);
  args.heads_a_warp = 32 / args.lanes_a_head;
  args.per_token = 2 * static_cast<uint32_t>(pool.kv_heads) + (args.q_heads + args.heads_a_warp - 1) / args.heads_a_warp;
  // Whole tokens in each part.
  const int64_t part = std::max<int64_t>(1, kMaxGridX / args.per_token);
  for (int64_t begin = 0; begin < p.tokens; begin += part) {
    KvWriteArgs tokens = args;
    tokens.tasks = static_cast<uint32_t>(std::min(part, p.tokens - begin)) * args.per_token;
    tokens.slots += begin;
    tokens.k = p.k + begin * p.k_stride;
    tokens.v = p.v + begin * p.v_stride;
    if (p.half > 0) tokens.cos = p.cos + begin * p.half, tokens.sin = p.sin + begin * p.half;
    if (p.q != nullptr) tokens.q = p.q + begin * p.q_stride;
    LaunchConfig config;
    config.grid = dim3((tokens.tasks + kWarps - 1) / kWarps);
    config.block = dim3(kWarps * 32);
    device.Launch(config, vector ? FunctionOf<true>(rotation) : FunctionOf<false>(rotation), tokens);
  }
}

extern const KvWriteKernel kv_write_kernel;
const KvWriteKernel kv_write_kernel = {
    [](OpContext& context, const lanes_kv_write_params& p) { WriteKv(DeviceOf(context), LayoutOf(p.pool), p); }};

}  // namespace lanes::cuda
