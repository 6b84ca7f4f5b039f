// Keys and values of new tokens into their pages: a warp for each key and each value of a head.
#include "ops/kv_write.h"

#include "cuda/common/elements.cuh"
#include "cuda/common/ptx.cuh"
#include "cuda/common/reduce.cuh"
#include "cuda/common/rows.cuh"
#include "cuda/kv_write/kv_write.h"

namespace lanes::cuda {
namespace {

constexpr int kWarps = 4;

struct KvWriteArgs {
  KvLayout pool;
  int64_t rows;  // of heads: 2 kv_heads for each token
  const int64_t* slots;
  const float* k;
  int64_t k_stride;
  const float* v;
  int64_t v_stride;
  int32_t layer;
};

// Four elements; `col` is a multiple of four, and rows of pages begin at multiples of 16 elements.
__device__ __forceinline__ void StoreInPage(unsigned char* row, int32_t element_bytes, int32_t col, float4 x) {
  if (element_bytes == 4) {
    *reinterpret_cast<float4*>(row + col * 4) = x;
  } else {
    *reinterpret_cast<uint2*>(row + col * 2) = make_uint2(PackBf16(x.x, x.y), PackBf16(x.z, x.w));
  }
}

template <bool kVector>
__global__ void __launch_bounds__(kWarps * 32, 1) KvWriteRows(const KvWriteArgs args) {
  DependencyWait();
  DependencyLaunch();
  const int64_t r = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (r >= args.rows) return;
  const KvLayout& pool = args.pool;
  const int64_t t = r / (2 * pool.kv_heads);
  const int32_t of_token = static_cast<int32_t>(r % (2 * pool.kv_heads)), lane = threadIdx.x % 32;
  const int64_t slot = args.slots[t];
  if (slot < 0) return;
  const bool is_value = of_token >= pool.kv_heads;
  const int32_t head = is_value ? of_token - pool.kv_heads : of_token, dim = pool.head_dim;
  const float* const x = (is_value ? args.v + t * args.v_stride : args.k + t * args.k_stride) + static_cast<int64_t>(head) * dim;
  const int64_t in_page = slot % LANES_PAGE_TOKENS;
  unsigned char* const block = pool.data + pool.Block(args.layer, slot / LANES_PAGE_TOKENS, head);
  unsigned char* const row = block + (is_value ? pool.Values() : pool.Keys()) + in_page * pool.row * pool.element_bytes;
  if (pool.element_bytes != 1) {
    for (int32_t col = lane * 4; col < pool.row; col += 128) StoreInPage(row, pool.element_bytes, col, LoadFour<kVector>(x, col, dim));
    return;
  }
  uint32_t largest = 0;
  for (int32_t col = lane * 4; col < dim; col += 128) largest = max(largest, LargestOfFour(LoadFour<kVector>(x, col, dim)));
  const RowQuantizer quantizer = QuantizerOf({true, 0.f, -127.f}, ReduceWarp(largest, Larger()));
  for (int32_t col = lane * 4; col < pool.row; col += 128) {
    *reinterpret_cast<uint32_t*>(row + col) = QuantizeFour(quantizer, LoadFour<kVector>(x, col, dim));
  }
  float* const scales = reinterpret_cast<float*>(block + (is_value ? pool.ValueScales() : pool.KeyScales()));
  if (lane == 0) scales[in_page] = quantizer.scale;
}

}  // namespace

void WriteKv(Device& device, const KvLayout& pool, const lanes_kv_write_params& p) {
  KvWriteArgs args = {};
  args.pool = pool;
  args.slots = device.Stage(p.slots, p.tokens);
  args.k_stride = p.k_stride;
  args.v_stride = p.v_stride;
  args.layer = p.layer;
  const bool vector = InFours(p.k, p.tokens, pool.head_dim, p.k_stride) && InFours(p.v, p.tokens, pool.head_dim, p.v_stride);
  const int64_t per_token = 2 * static_cast<int64_t>(pool.kv_heads);
  // Whole tokens in each part.
  const int64_t part = std::max<int64_t>(1, kMaxGridX / per_token);
  for (int64_t begin = 0; begin < p.tokens; begin += part) {
    KvWriteArgs tokens = args;
    tokens.rows = std::min(part, p.tokens - begin) * per_token;
    tokens.slots += begin;
    tokens.k = p.k + begin * p.k_stride;
    tokens.v = p.v + begin * p.v_stride;
    LaunchConfig config;
    config.grid = dim3(static_cast<uint32_t>((tokens.rows + kWarps - 1) / kWarps));
    config.block = dim3(kWarps * 32);
    device.Launch(config, vector ? KvWriteRows<true> : KvWriteRows<false>, tokens);
  }
}

extern const KvWriteKernel kv_write_kernel;
const KvWriteKernel kv_write_kernel = {
    [](OpContext& context, const lanes_kv_write_params& p) { WriteKv(DeviceOf(context), LayoutOf(p.pool), p); }};

}  // namespace lanes::cuda
