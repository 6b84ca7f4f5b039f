// What all functions of lanes.h have in common: versions, handles, messages, allocation failures. Each op's own arguments are
// checked in its test.
#include <atomic>
#include <cmath>
#include <cstring>
#include <string>
#include <thread>

#include "support/lanes_test.h"

namespace lanes_test {
namespace {

class AbiTest : public LanesTest {};

lanes_runtime_params RuntimeParams() {
  lanes_runtime_params params = {};
  params.size = sizeof params;
  return params;
}

TEST_F(AbiTest, VersionIsTheHeaders) {
  EXPECT_EQ(lanes_abi_version(), LANES_ABI_VERSION);
  EXPECT_STRNE(lanes_version(), "");
}

TEST_F(AbiTest, EveryIsaOfThisMachineIsBuilt) {
  lanes_cpu_features features = {};
  features.size = sizeof features;
  ASSERT_LANES_OK(lanes_get_cpu_features(&features));
  EXPECT_EQ(features.best_isa, Isas().back());
  EXPECT_GE(features.logical_cpus, 1);
  for (const int32_t isa : Isas()) {
    const RuntimePtr runtime = MakeRuntime(isa, 1);
    lanes_runtime_info info = {};
    info.size = sizeof info;
    ASSERT_LANES_OK(lanes_get_runtime_info(runtime.get(), &info));
    EXPECT_EQ(info.isa, isa);
    EXPECT_EQ(info.threads, 1);
    EXPECT_EQ(info.bf16_dot, (isa == LANES_ISA_AVX512 && features.avx512_bf16) || (isa == LANES_ISA_NEON && features.neon_bf16));
    const char *op = nullptr, *implementation = nullptr;
    int32_t count = 0;
    while (lanes_op_implementation(runtime.get(), count, &op, &implementation) == LANES_OK) {
      const std::string name = op;
      const bool plain = name == "rope_table" || name == "route" || name == "gather" || name == "top_log_probabilities";
      EXPECT_STREQ(implementation, plain ? "portable" : IsaName(isa)) << op;
      ++count;
    }
    EXPECT_EQ(count, 14);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "index -1", lanes_op_implementation(runtime.get(), -1, &op, &implementation));
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "op is NULL", lanes_op_implementation(runtime.get(), 0, nullptr, &implementation));
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "implementation is NULL", lanes_op_implementation(runtime.get(), 0, &op, nullptr));
  }
}

TEST_F(AbiTest, RuntimeArgumentsAreChecked) {
  lanes_runtime* out = nullptr;
  lanes_runtime_params p = RuntimeParams();
  p.pin_threads = 2;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "pin_threads is 2", lanes_runtime_create(&p, &out));
  p = RuntimeParams();
  p.own_pool = -1;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "own_pool is -1", lanes_runtime_create(&p, &out));
  p = RuntimeParams();
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "params is NULL", lanes_runtime_create(nullptr, &out));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "out is NULL", lanes_runtime_create(&p, nullptr));
  for (const uint64_t size : {uint64_t{0}, uint64_t{7}, uint64_t{sizeof p + 1}, UINT64_MAX}) {
    p.size = size;
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "size", lanes_runtime_create(&p, &out));
  }
  p = RuntimeParams();
  for (const int32_t threads : {-1, 1025, INT32_MAX, INT32_MIN}) {
    p.threads = threads;
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "threads", lanes_runtime_create(&p, &out));
  }
  p = RuntimeParams();
  for (const int32_t isa : {-1, 5, INT32_MAX}) {
    p.isa = isa;
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "isa", lanes_runtime_create(&p, &out));
  }
  EXPECT_EQ(out, nullptr);
  // An older caller: threads and isa read as zero.
  p = RuntimeParams();
  p.size = 8;
  p.isa = -1;
  p.threads = -1;
  ASSERT_LANES_OK(lanes_runtime_create(&p, &out));
  EXPECT_LANES_OK(lanes_runtime_destroy(out));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "features is NULL", lanes_get_cpu_features(nullptr));
  const RuntimePtr runtime = MakeRuntime(LANES_ISA_REFERENCE, 1);
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "info is NULL", lanes_get_runtime_info(runtime.get(), nullptr));
}

TEST_F(AbiTest, ForeignAndDeadHandlesAreRefused) {
  lanes_runtime_info info = {};
  info.size = sizeof info;
  alignas(64) char garbage[256];
  memset(garbage, 0x5A, sizeof garbage);
  EXPECT_LANES_OK(lanes_runtime_destroy(nullptr));
  EXPECT_LANES_OK(lanes_weight_destroy(nullptr));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "not a live runtime",
                     lanes_runtime_destroy(reinterpret_cast<lanes_runtime*>(garbage)));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "not a live runtime",
                     lanes_get_runtime_info(reinterpret_cast<lanes_runtime*>(garbage), &info));
  lanes_runtime_params params = RuntimeParams();
  lanes_runtime* runtime = nullptr;
  ASSERT_LANES_OK(lanes_runtime_create(&params, &runtime));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "is a runtime: expected a weight",
                     lanes_weight_destroy(reinterpret_cast<lanes_weight*>(runtime)));
  EXPECT_LANES_OK(lanes_get_runtime_info(runtime, &info));
  EXPECT_LANES_OK(lanes_runtime_destroy(runtime));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "not a live runtime", lanes_runtime_destroy(runtime));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "not a live runtime", lanes_get_runtime_info(runtime, &info));
}

TEST_F(AbiTest, TheMessageBelongsToTheThreadAndToTheLastCall) {
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "lanes_alloc: ", lanes_alloc(1, -7, nullptr));
  std::string other = "unset";
  std::thread([&other] { other = lanes_last_error(); }).join();
  EXPECT_EQ(other, "");
  EXPECT_STRNE(lanes_last_error(), "");
  EXPECT_LANES_OK(lanes_free(nullptr));
  EXPECT_STREQ(lanes_last_error(), "");
}

// y = x * w^T with a fresh runtime and weight: every allocation on the way.
int32_t LinearFromScratch(std::vector<float>* y) {
  lanes_runtime_params rp = RuntimeParams();
  rp.threads = 2;
  lanes_runtime* runtime = nullptr;
  int32_t status = lanes_runtime_create(&rp, &runtime);
  if (status != LANES_OK) return status;
  const RuntimePtr runtime_owner(runtime);
  lanes_weight_params wp = {sizeof wp, 70, 33, LANES_BF16, nullptr};
  lanes_weight* weight = nullptr;
  status = lanes_weight_create(&wp, &weight);
  if (status != LANES_OK) return status;
  const WeightPtr weight_owner(weight);
  const std::vector<float> values(70 * 33, 0.5f), x(9 * 33, 2.0f);
  lanes_weight_pack_params pp = {sizeof pp, weight, values.data(), values.size() * 4, LANES_F32, 0, 0, 70, 0, 33, nullptr, 0};
  status = lanes_weight_pack(runtime, &pp);
  if (status != LANES_OK) return status;
  y->assign(9 * 70, 0.0f);
  lanes_linear_params p = {};
  p.size = sizeof p;
  p.weight = weight;
  p.m = 9;
  p.x = x.data();
  p.x_len = x.size();
  p.x_stride = 33;
  p.y = y->data();
  p.y_len = y->size();
  p.y_stride = 70;
  return lanes_linear(runtime, &p);
}

TEST_F(AbiTest, EveryAllocationMayFail) {
  lanes_memory_stats before = {}, after = {};
  before.size = after.size = sizeof before;
  ASSERT_LANES_OK(lanes_get_memory_stats(&before));
  std::vector<float> y;
  int failures = 0;
  for (uint64_t nth = 1;; ++nth) {
    ASSERT_LANES_OK(lanes_fail_allocation(nth));
    const int32_t status = LinearFromScratch(&y);
    ASSERT_LANES_OK(lanes_fail_allocation(0));
    ASSERT_LANES_OK(lanes_get_memory_stats(&after));
    ASSERT_EQ(after.live_total, before.live_total) << "leak when allocation " << nth << " fails";
    if (status == LANES_OK) break;
    ASSERT_EQ(status, LANES_ERROR_OUT_OF_MEMORY);
    ++failures;
  }
  // The weight, and the scratch memory that all but the plain loops take.
  EXPECT_GE(failures, Isas().back() == LANES_ISA_REFERENCE ? 1 : 2);
  for (const float value : y) ASSERT_EQ(value, 33.0f);
}

TEST_F(AbiTest, DestroyingWhileOthersUseIsRefusedOrWaits) {
  for (int round = 0; round < 200; ++round) {
    lanes_runtime_params params = RuntimeParams();
    params.threads = 2;
    lanes_runtime* runtime = nullptr;
    ASSERT_LANES_OK(lanes_runtime_create(&params, &runtime));
    const WeightPtr weight = MakeWeight(runtime, std::vector<float>(64 * 64, 1.0f), 64, 64, LANES_F32);
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    const auto use = [&] {
      std::vector<float> x(64, 1.0f), y(64);
      lanes_linear_params p = {};
      p.size = sizeof p;
      p.weight = weight.get();
      p.m = 1;
      p.x = x.data();
      p.x_len = p.y_len = 64;
      p.x_stride = p.y_stride = 64;
      p.y = y.data();
      while (!stop) {
        const int32_t status = lanes_linear(runtime, &p);
        if (status == LANES_OK ? y[63] != 64.0f : status != LANES_ERROR_INVALID_ARGUMENT) ++wrong;
        if (status != LANES_OK) return;
      }
    };
    std::thread a(use), b(use);
    if (round % 2 == 0) std::this_thread::yield();
    EXPECT_LANES_OK(lanes_runtime_destroy(runtime));
    stop = true;
    a.join();
    b.join();
    ASSERT_EQ(wrong, 0);
  }
}

// y = gate * up for three values.
struct SmallGate {
  std::vector<float> gate = {1, 2, 3}, up = {5, 7, 11}, y = {0, 0, 0};
  lanes_gate_params params = {};
  SmallGate() {
    params.size = sizeof params;
    params.rows = 1;
    params.cols = params.gate_stride = params.up_stride = params.y_stride = 3;
    params.gate = gate.data();
    params.up = up.data();
    params.y = y.data();
    params.gate_len = params.up_len = params.y_len = 3;
  }
};

TEST_F(AbiTest, ProfilesCountOpsWhenAskedTo) {
  const RuntimePtr runtime = MakeRuntime(LANES_ISA_AUTO, 2);
  SmallGate gate;
  int32_t index = 0;
  const char *op = "", *implementation = nullptr;
  for (; strcmp(op, "gate") != 0; ++index) ASSERT_LANES_OK(lanes_op_implementation(runtime.get(), index, &op, &implementation));
  --index;
  const auto profile = [&](int32_t number) {
    lanes_op_profile result = {};
    result.size = sizeof result;
    EXPECT_LANES_OK(lanes_get_op_profile(runtime.get(), number, &result));
    return result;
  };
  ASSERT_LANES_OK(lanes_gate(runtime.get(), &gate.params));
  EXPECT_EQ(profile(index).calls, 0u);
  ASSERT_LANES_OK(lanes_profile(runtime.get(), 1));
  for (int i = 0; i < 3; ++i) ASSERT_LANES_OK(lanes_gate(runtime.get(), &gate.params));
  const lanes_op_profile three = profile(index);
  EXPECT_EQ(three.calls, 3u);
  EXPECT_GT(three.nanos, 0u);
  EXPECT_LE(three.wait_nanos, three.nanos);
  EXPECT_EQ(profile(0).calls, 0u);
  ASSERT_LANES_OK(lanes_profile(runtime.get(), 0));
  ASSERT_LANES_OK(lanes_gate(runtime.get(), &gate.params));
  EXPECT_EQ(profile(index).calls, 0u);

  lanes_op_profile result = {};
  result.size = sizeof result;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "index 99", lanes_get_op_profile(runtime.get(), 99, &result));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "profile is NULL", lanes_get_op_profile(runtime.get(), 0, nullptr));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "enabled is 2", lanes_profile(runtime.get(), 2));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "runtime is NULL", lanes_profile(nullptr, 1));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "runtime is NULL", lanes_get_op_profile(nullptr, 0, &result));
}

TEST_F(AbiTest, RunCallsOneAfterTheOther) {
  const RuntimePtr runtime = MakeRuntime(LANES_ISA_AUTO, 2);
  SmallGate first, second, third;
  // The second multiplies what the first has made.
  second.params.gate = first.y.data();
  lanes_call calls[] = {{LANES_CALL_GATE, 0, &first.params}, {LANES_CALL_GATE, 0, &second.params}, {LANES_CALL_GATE, 0, &third.params}};
  ASSERT_LANES_OK(lanes_run(runtime.get(), calls, 2));
  EXPECT_EQ(second.y, (std::vector<float>{25, 98, 363}));
  EXPECT_EQ(third.y, (std::vector<float>{0, 0, 0}));
  ASSERT_LANES_OK(lanes_run(runtime.get(), nullptr, 0));

  // Those before the one that fails have run, those behind it have not.
  first.y = {0, 0, 0};
  first.params.y = first.y.data();
  second.params.activation = 77;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "lanes_gate: activation", lanes_run(runtime.get(), calls, 3));
  EXPECT_EQ(first.y, (std::vector<float>{5, 14, 33}));
  EXPECT_EQ(third.y, (std::vector<float>{0, 0, 0}));

  // The run's runtime is no weight, and ops by themselves work after it.
  lanes_embed_params embed = {};
  embed.size = sizeof embed;
  embed.weight = reinterpret_cast<const lanes_weight*>(runtime.get());
  const lanes_call wrong = {LANES_CALL_EMBED, 0, &embed};
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "is a runtime: expected a weight", lanes_run(runtime.get(), &wrong, 1));
  ASSERT_LANES_OK(lanes_gate(runtime.get(), &third.params));

  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "runtime is NULL", lanes_run(nullptr, calls, 1));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "calls", lanes_run(runtime.get(), nullptr, 1));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "calls", lanes_run(runtime.get(), calls, UINT64_MAX));
  for (int32_t kind = LANES_CALL_EMBED; kind <= LANES_CALL_TOP_LOG_PROBABILITIES; ++kind) {
    calls[0] = {kind, 0, nullptr};
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "params is NULL", lanes_run(runtime.get(), calls, 1));
  }
  calls[0] = {LANES_CALL_TOP_LOG_PROBABILITIES + 1, 0, &first.params};
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "kind", lanes_run(runtime.get(), calls, 1));
  calls[0] = {LANES_CALL_GATE, 1, &first.params};
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "reserved", lanes_run(runtime.get(), calls, 1));
}

}  // namespace
}  // namespace lanes_test
