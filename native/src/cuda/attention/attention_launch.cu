#include <algorithm>

#include "cuda/attention/kernels.h"
#include "cuda/attention/sm90.h"

namespace lanes::cuda {
namespace {

class Attention {
 public:
  Attention(Device& device, const KvLayout& pool, const lanes_attention_params& params)
      : device_(device), p_(params), pool_(pool), exact_(params.compute == LANES_COMPUTE_EXACT) {}

  void Run() {
    AttentionShape shape = Shape();
    if (RunAs(shape)) return;
    shape.sm90_rows = 0;
    RunAs(shape);
  }

 private:
  // False: the kernel of sm90.h does not take these arguments, and nothing was started.
  bool RunAs(const AttentionShape& shape) {
    const AttentionBlocks plan = PlanBlocks(shape, p_);
    AttentionArgs args = {};
    args.q = p_.q;
    args.q_sink = p_.q_sink;
    args.out = p_.out;
    args.out_bf16 = p_.out_bf16;
    args.q_stride = p_.q_stride;
    args.out_stride = p_.out_bf16 != nullptr ? p_.out_bf16_stride : p_.out_stride;
    if (p_.out_bf16 != nullptr && (WalksSplits(plan.few) || (!plan.sm90 && WalksSplits(plan.many)))) {
      args.out = device_.Scratch<float>(p_.tokens * args.out_stride);
    }
    args.pool = pool_;
    args.page_table = device_.Stage(p_.page_table, std::min(static_cast<int64_t>(p_.page_table_len), p_.sequences * p_.page_table_stride));
    args.page_table_stride = p_.page_table_stride;
    args.layer = p_.layer;
    args.group = shape.group;
    args.causal = p_.causal;
    args.factor = static_cast<float>(p_.scale * 1.4426950408889634);
    const int64_t many_floats = SlotFloats(plan.many), few_floats = SlotFloats(plan.few);
    float* const partials = many_floats + few_floats > 0 ? device_.Scratch<float>(many_floats + few_floats) : nullptr;
    if (!LaunchMany(plan, shape, args, partials)) return false;
    LaunchFew(plan.few, shape, args, partials + many_floats);
    return true;
  }

  AttentionShape Shape() const {
    const DeviceLimits& limits = device_.limits();
    AttentionShape shape = {};
    shape.multiprocessors = limits.multiprocessors;
    shape.shared_bytes = limits.shared_bytes;
    shape.kv_heads = pool_.kv_heads;
    shape.group = p_.heads / pool_.kv_heads;
    shape.row = pool_.row;
    shape.element_bytes = pool_.element_bytes;
    shape.compute = p_.compute;
    shape.q_sink = p_.q_sink != nullptr;
    shape.sm90_rows = exact_ ? 0 : Sm90Rows(limits, pool_);
    return shape;
  }

  static bool WalksSplits(const BlockList& list) {
    return std::any_of(list.blocks.begin(), list.blocks.end(), [](const RowBlock& b) { return b.split_end - b.split_begin > 1; });
  }

  int64_t SlotFloats(const BlockList& list) const {
    return int64_t{list.slots} * pool_.kv_heads * list.slot_rows * (pool_.row + 2);
  }

  bool LaunchMany(const AttentionBlocks& plan, const AttentionShape& shape, AttentionArgs args, float* partials) {
    if (plan.many.blocks.empty()) return true;
    Stage(plan.many, partials, &args);
    if (exact_) {
      StartExact(plan.many, shape, args);
    } else if (plan.sm90) {
      if (!LaunchSm90(device_, args, plan.many.blocks.data(), static_cast<int32_t>(args.block_count))) return false;
    } else {
      Start(ManyShared(shape), plan.many, args, PrefillDim(shape.row, shape.element_bytes == 1) > 0 ? LaunchPrefill : LaunchWide);
    }
    Merge(plan.many, args);
    return true;
  }

  void LaunchFew(const BlockList& list, const AttentionShape& shape, AttentionArgs args, float* partials) {
    if (list.blocks.empty()) return;
    Stage(list, partials, &args);
    if (exact_) {
      StartExact(list, shape, args);
    } else {
      Start(DecodeShared(shape, args.block_count * pool_.kv_heads), list, args, LaunchDecode);
    }
    Merge(list, args);
  }

  void Stage(const BlockList& list, float* partials, AttentionArgs* args) {
    args->blocks = device_.Stage(list.blocks.data(), static_cast<int64_t>(list.blocks.size()));
    args->block_count = static_cast<int64_t>(list.blocks.size());
    args->partials = partials;
    args->slot_rows = list.slot_rows;
    args->slot_floats = int64_t{list.slot_rows} * (pool_.row + 2);
  }

  void StartExact(const BlockList& list, const AttentionShape& shape, const AttentionArgs& args) {
    LaunchExact(device_, {args, list.rows, ExactBytes(list.rows, pool_.row, pool_.element_bytes, shape.q_sink)});
  }

  void Start(const SharedPlan& shared, const BlockList& list, AttentionArgs args, void (*start)(Device&, const AttentionLaunch&)) {
    args.stages = shared.stages;
    args.q_rows = shared.q_rows;
    start(device_, {args, list.rows, shared.bytes});
  }

  void Merge(const BlockList& list, const AttentionArgs& args) {
    if (list.merges.empty()) return;
    const MergeBlock* const merges = device_.Stage(list.merges.data(), static_cast<int64_t>(list.merges.size()));
    LaunchMerge(device_, {args, merges, static_cast<int64_t>(list.merges.size()), exact_});
  }

  Device& device_;
  const lanes_attention_params& p_;
  const KvLayout pool_;
  const bool exact_;
};

}  // namespace

void RunAttention(Device& device, const KvLayout& pool, const lanes_attention_params& params) { Attention(device, pool, params).Run(); }

}  // namespace lanes::cuda
