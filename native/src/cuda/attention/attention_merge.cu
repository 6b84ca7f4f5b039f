#include "cuda/attention/exact.cuh"

namespace lanes::cuda {

constexpr int kMergeThreads = 256;

template <bool kExact>
__global__ void __launch_bounds__(kMergeThreads) MergeKernel(const __grid_constant__ MergeArgs args) {
  DependencyWait();
  const AttentionArgs& a = args.attention;
  const uint32_t count = static_cast<uint32_t>(args.merge_count);
  const MergeBlock merge = args.merges[blockIdx.x % count];
  const int32_t kv_head = static_cast<int32_t>(blockIdx.x / count);
  const int64_t states = static_cast<int64_t>(a.slot_rows) * a.pool.row, step = a.slot_floats * a.pool.kv_heads;
  DependencyLaunch();
  for (int32_t i = threadIdx.x; i < merge.block.rows * a.pool.head_dim && merge.slots > 0; i += kMergeThreads) {
    const int32_t r = i / a.pool.head_dim, d = i % a.pool.head_dim;
    const float* slot = SlotOf(a, merge.slot_begin, kv_head);
    RowTotal row;
    float total = 0;
#pragma unroll 4
    for (int32_t s = 0; s < merge.slots; ++s, slot += step) {
      row.Add<kExact ? Exp2Polynomial : Exp2>(slot[states + r], slot[states + a.slot_rows + r]);
      total = row.Merge(total, slot[static_cast<int64_t>(r) * a.pool.row + d]);
    }
    const float output = FinishOutput(total, 1.0f / row.sum);
    const int64_t at = OutOf(a, merge.block, kv_head, r) + d;
    if (a.out_bf16 != nullptr) {
      a.out_bf16[at] = ToBf16(output);
    } else {
      a.out[at] = output;
    }
  }
}

void LaunchMerge(Device& device, const MergeArgs& args) {
  const dim3 grid(static_cast<uint32_t>(args.merge_count * args.attention.pool.kv_heads));
  device.Launch({grid, dim3(kMergeThreads)}, args.exact ? MergeKernel<true> : MergeKernel<false>, args);
}

}  // namespace lanes::cuda
