// Devices and runtimes as lanes.h shows them: which there are, their memory, copies, lists of calls, failures.
#include <cstring>
#include <numeric>

#include "support/attention_problem.h"

namespace lanes_test {
namespace {

class RuntimeTest : public LanesTest {
 protected:
  void SetUp() override {
    LanesTest::SetUp();
    runtime_ = MakeRuntime(LANES_ISA_AUTO, 1);
  }
  void TearDown() override {
    runtime_.reset();
    LanesTest::TearDown();
  }
  lanes_runtime* runtime() const { return runtime_.get(); }
  lanes_runtime_memory Memory() const {
    lanes_runtime_memory memory = {};
    memory.size = sizeof memory;
    EXPECT_LANES_OK(lanes_get_runtime_memory(runtime(), &memory));
    return memory;
  }

  RuntimePtr runtime_;
};

// A block of the runtime's memory.
class Tensor {
 public:
  Tensor(lanes_runtime* runtime, const std::vector<float>& values) : runtime_(runtime), count_(values.size()) {
    void* memory = nullptr;
    EXPECT_LANES_OK(lanes_runtime_alloc(runtime, count_ * sizeof(float), LANES_MEMORY_OTHER, &memory));
    data_ = static_cast<float*>(memory);
    Set(values);
  }
  ~Tensor() { EXPECT_LANES_OK(lanes_runtime_free(runtime_, data_)); }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;

  float* data() const { return data_; }
  uint64_t size() const { return count_; }
  void Set(const std::vector<float>& values) const {
    const lanes_copy_params params = Copy(values.data(), data_, count_ * sizeof(float));
    EXPECT_LANES_OK(lanes_upload(runtime_, &params));
  }
  std::vector<float> Get() const {
    std::vector<float> values(count_);
    const lanes_copy_params params = Copy(data_, values.data(), count_ * sizeof(float));
    EXPECT_LANES_OK(lanes_download(runtime_, &params));
    return values;
  }

  static lanes_copy_params Copy(const void* src, void* dst, uint64_t bytes) {
    const int64_t row = static_cast<int64_t>(bytes);
    return {sizeof(lanes_copy_params), src, bytes, row, dst, bytes, row, 1, row};
  }

 private:
  lanes_runtime* const runtime_;
  const uint64_t count_;
  float* data_;
};

std::vector<float> Counting(int64_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

lanes_gate_params Gate(const Tensor& gate, const Tensor& up, const Tensor& y) {
  lanes_gate_params params = {};
  params.size = sizeof params;
  params.rows = 1;
  params.cols = params.gate_stride = params.up_stride = params.y_stride = static_cast<int64_t>(y.size());
  params.gate = gate.data();
  params.up = up.data();
  params.y = y.data();
  params.gate_len = params.up_len = params.y_len = y.size();
  return params;
}

// ---- Devices -----------------------------------------------------------------------------------------------------

TEST_F(RuntimeTest, DevicesAreCountedAndDescribed) {
  int32_t count = -1;
  ASSERT_LANES_OK(lanes_get_device_count(LANES_DEVICE_CPU, &count));
  EXPECT_EQ(count, 1);
  lanes_device_info info = {};
  info.size = sizeof info;
  ASSERT_LANES_OK(lanes_get_device_info(LANES_DEVICE_CPU, 0, &info));
  EXPECT_EQ(info.device, LANES_DEVICE_CPU);
  EXPECT_GE(info.multiprocessors, 1);
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "device is 2", lanes_get_device_count(2, &count));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "device is -1", lanes_get_device_info(-1, 0, &info));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "index is 1", lanes_get_device_info(LANES_DEVICE_CPU, 1, &info));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "count is NULL", lanes_get_device_count(LANES_DEVICE_CPU, nullptr));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "info is NULL", lanes_get_device_info(LANES_DEVICE_CPU, 0, nullptr));
}

TEST_F(RuntimeTest, AGpuIsThereOrSaysWhyNot) {
  int32_t count = -1;
  lanes_device_info info = {};
  info.size = sizeof info;
  lanes_runtime_params params = {};
  params.size = sizeof params;
  params.device = LANES_DEVICE_CUDA;
  lanes_runtime* none = nullptr;
  if (!kOnGpu) {
    EXPECT_LANES_ERROR(LANES_ERROR_UNSUPPORTED, "no CUDA device: this build has no CUDA backend",
                       lanes_get_device_count(LANES_DEVICE_CUDA, &count));
    EXPECT_EQ(count, 0);
    EXPECT_LANES_ERROR(LANES_ERROR_UNSUPPORTED, "no CUDA device: ", lanes_get_device_info(LANES_DEVICE_CUDA, 0, &info));
    EXPECT_LANES_ERROR(LANES_ERROR_UNSUPPORTED, "no CUDA device: ", lanes_runtime_create(&params, &none));
    EXPECT_EQ(none, nullptr);
    return;
  }
  ASSERT_LANES_OK(lanes_get_device_count(LANES_DEVICE_CUDA, &count));
  ASSERT_GE(count, 1);
  ASSERT_LANES_OK(lanes_get_device_info(LANES_DEVICE_CUDA, 0, &info));
  EXPECT_EQ(info.device, LANES_DEVICE_CUDA);
  EXPECT_GE(info.major, 8);
  EXPECT_GE(info.multiprocessors, 1);
  EXPECT_GE(info.runtime_version, 13000);
  EXPECT_GE(info.total_bytes, info.free_bytes);
  EXPECT_STRNE(info.name, "");
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "index is", lanes_get_device_info(LANES_DEVICE_CUDA, count, &info));
  params.device_index = count;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "index is", lanes_runtime_create(&params, &none));
  params.device_index = 0;
  params.threads = 2;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "threads (on a device) is 2", lanes_runtime_create(&params, &none));
  params.threads = 0;
  params.isa = LANES_ISA_REFERENCE;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "isa (on a device) is 1", lanes_runtime_create(&params, &none));
}

TEST_F(RuntimeTest, ARuntimeTellsWhereItRuns) {
  lanes_runtime_info info = {};
  info.size = sizeof info;
  ASSERT_LANES_OK(lanes_get_runtime_info(runtime(), &info));
  EXPECT_EQ(info.device, kOnGpu ? LANES_DEVICE_CUDA : LANES_DEVICE_CPU);
  EXPECT_EQ(info.device_index, 0);
  EXPECT_EQ(info.threads, 1);
  const std::string kernels = info.kernels;
  if (kOnGpu) {
    EXPECT_TRUE(kernels == "sm_90a" || kernels == "portable") << kernels;
  } else {
    EXPECT_EQ(kernels, IsaName(info.isa));
  }
  const char *op = nullptr, *implementation = nullptr;
  ASSERT_LANES_OK(lanes_op_implementation(runtime(), 0, &op, &implementation));
  EXPECT_EQ(std::string(implementation), kOnGpu ? "cuda" : kernels);
  lanes_runtime_params params = {};
  params.size = sizeof params;
  lanes_runtime* none = nullptr;
  params.device = 7;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "device is 7", lanes_runtime_create(&params, &none));
  params.device = LANES_DEVICE_CPU;
  params.device_index = 1;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "device_index is 1", lanes_runtime_create(&params, &none));
}

// ---- Memory and copies -------------------------------------------------------------------------------------------

TEST_F(RuntimeTest, MemoryIsZeroedAndCountedByTag) {
  const lanes_runtime_memory before = Memory();
  void* block = nullptr;
  ASSERT_LANES_OK(lanes_runtime_alloc(runtime(), 12345, LANES_MEMORY_KV, &block));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % (kOnGpu ? 256 : 64), 0u);
  std::vector<char> bytes(12345, 1);
  const lanes_copy_params copy = Tensor::Copy(block, bytes.data(), bytes.size());
  ASSERT_LANES_OK(lanes_download(runtime(), &copy));
  EXPECT_EQ(bytes, std::vector<char>(12345, 0));
  const lanes_runtime_memory with = Memory();
  EXPECT_EQ(with.live_bytes[LANES_MEMORY_KV], before.live_bytes[LANES_MEMORY_KV] + 12345);
  EXPECT_EQ(with.live_blocks[LANES_MEMORY_KV], before.live_blocks[LANES_MEMORY_KV] + 1);
  EXPECT_GE(with.peak_bytes[LANES_MEMORY_KV], with.live_bytes[LANES_MEMORY_KV]);
  EXPECT_GE(with.peak_total, with.live_bytes[LANES_MEMORY_KV]);
  EXPECT_GT(with.free_bytes, 0u);
  ASSERT_LANES_OK(lanes_runtime_free(runtime(), block));
  EXPECT_EQ(Memory().live_bytes[LANES_MEMORY_KV], before.live_bytes[LANES_MEMORY_KV]);
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "not a live block", lanes_runtime_free(runtime(), block));
  EXPECT_LANES_OK(lanes_runtime_free(runtime(), nullptr));
  ASSERT_LANES_OK(lanes_fail_allocation(1));
  EXPECT_LANES_ERROR(LANES_ERROR_OUT_OF_MEMORY, "KV cache", lanes_runtime_alloc(runtime(), 8, LANES_MEMORY_KV, &block));
  EXPECT_EQ(block, nullptr);
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "memory tag 9", lanes_runtime_alloc(runtime(), 8, 9, &block));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "out is NULL", lanes_runtime_alloc(runtime(), 8, 0, nullptr));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "runtime is NULL", lanes_runtime_alloc(nullptr, 8, 0, &block));
  EXPECT_LANES_ERROR(LANES_ERROR_OUT_OF_MEMORY, "weights", lanes_runtime_alloc(runtime(), uint64_t{1} << 60, LANES_MEMORY_WEIGHTS, &block));
}

TEST_F(RuntimeTest, PeaksOfMemoryBeginAnewWhenAsked) {
  constexpr uint64_t kBytes = 1 << 20;
  const auto total = [](const lanes_runtime_memory& memory) {
    return std::accumulate(std::begin(memory.live_bytes), std::end(memory.live_bytes), uint64_t{0});
  };
  ASSERT_LANES_OK(lanes_reset_runtime_memory_peak(runtime()));
  const lanes_runtime_memory before = Memory();
  EXPECT_EQ(before.peak_bytes[LANES_MEMORY_WEIGHTS], before.live_bytes[LANES_MEMORY_WEIGHTS]);
  EXPECT_EQ(before.peak_total, total(before));
  // One after the other: never both at once.
  for (const int32_t tag : {LANES_MEMORY_WEIGHTS, LANES_MEMORY_OTHER}) {
    void* block = nullptr;
    ASSERT_LANES_OK(lanes_runtime_alloc(runtime(), kBytes, tag, &block));
    ASSERT_LANES_OK(lanes_runtime_free(runtime(), block));
  }
  const lanes_runtime_memory after = Memory();
  EXPECT_EQ(after.peak_bytes[LANES_MEMORY_WEIGHTS], before.live_bytes[LANES_MEMORY_WEIGHTS] + kBytes);
  EXPECT_EQ(after.peak_bytes[LANES_MEMORY_OTHER], before.live_bytes[LANES_MEMORY_OTHER] + kBytes);
  EXPECT_EQ(after.peak_total, before.peak_total + kBytes);
  ASSERT_LANES_OK(lanes_reset_runtime_memory_peak(runtime()));
  EXPECT_EQ(Memory().peak_bytes[LANES_MEMORY_WEIGHTS], before.live_bytes[LANES_MEMORY_WEIGHTS]);
  EXPECT_EQ(Memory().peak_total, total(before));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "runtime is NULL", lanes_reset_runtime_memory_peak(nullptr));
}

TEST_F(RuntimeTest, CopiesTakeRowsAndAreChecked) {
  const Tensor tensor(runtime(), std::vector<float>(24, -1.0f));
  const std::vector<float> rows = Counting(30);
  lanes_copy_params params = {};
  params.size = sizeof params;
  params.src = rows.data();
  params.src_bytes = rows.size() * 4;
  params.src_stride = 10 * 4;
  params.dst = tensor.data();
  params.dst_bytes = tensor.size() * 4;
  params.dst_stride = 8 * 4;
  params.rows = 3;
  params.row_bytes = 7 * 4;
  ASSERT_LANES_OK(lanes_upload(runtime(), &params));
  const std::vector<float> got = tensor.Get();
  for (int64_t r = 0; r < 3; ++r) {
    for (int64_t c = 0; c < 8; ++c) EXPECT_EQ(got[r * 8 + c], c == 7 ? -1.0f : static_cast<float>(r * 10 + c + 1));
  }
  const auto bad = [&](const char* text, auto change) {
    lanes_copy_params p = params;
    change(p);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_upload(runtime(), &p));
  };
  bad("size", [](auto& p) { p.size = 0; });
  bad("rows is -1", [](auto& p) { p.rows = -1; });
  bad("row_bytes", [](auto& p) { p.row_bytes = INT64_MIN; });
  bad("src is NULL", [](auto& p) { p.src = nullptr; });
  bad("dst is NULL", [](auto& p) { p.dst = nullptr; });
  bad("src_stride is 27", [](auto& p) { p.src_stride = 27; });
  bad("dst_stride", [](auto& p) { p.dst_stride = -4; });
  bad("src_len", [](auto& p) { p.src_bytes = 107; });
  bad("dst_len", [](auto& p) { p.dst_bytes = 91; });
  bad("64 bits", [](auto& p) { p.rows = p.src_stride = INT64_MAX; });
  params.rows = 0;
  params.src = params.dst = nullptr;
  EXPECT_LANES_OK(lanes_upload(runtime(), &params));
  EXPECT_LANES_OK(lanes_download(runtime(), &params));
  EXPECT_LANES_OK(lanes_synchronize(runtime()));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "runtime is NULL", lanes_synchronize(nullptr));
}

// ---- Ops ---------------------------------------------------------------------------------------------------------

TEST_F(RuntimeTest, ListsThatComeAgainReadWhatIsThere) {
  const int64_t rows = 9, cols = 5;
  const WeightPtr weight = MakeWeight(runtime(), Counting(rows * cols), rows, cols, LANES_F32);
  const Tensor x(runtime(), std::vector<float>(2 * cols)), up(runtime(), std::vector<float>(2 * cols, 2.0f)),
      y(runtime(), std::vector<float>(2 * cols));
  std::vector<int32_t> ids(2);
  lanes_embed_params embed = {};
  embed.size = sizeof embed;
  embed.weight = weight.get();
  embed.ids = ids.data();
  embed.ids_len = 2;
  embed.tokens = 2;
  embed.y = x.data();
  embed.y_len = x.size();
  embed.y_stride = cols;
  const lanes_gate_params gate = Gate(x, up, y);
  const lanes_call calls[] = {{LANES_CALL_EMBED, 0, &embed}, {LANES_CALL_GATE, 0, &gate}};
  for (int32_t i = 0; i < 8; ++i) {
    ids = {i, 8 - i};
    ASSERT_LANES_OK(lanes_run(runtime(), calls, 2));
    // Not waited for: the ids have been taken.
    ids = {-1, -1};
    const std::vector<float> got = y.Get();
    for (int64_t c = 0; c < cols; ++c) {
      ASSERT_EQ(got[c], 2 * static_cast<float>(i * cols + c + 1)) << i;
      ASSERT_EQ(got[cols + c], 2 * static_cast<float>((8 - i) * cols + c + 1)) << i;
    }
  }
  // What came before a call that fails has run.
  y.Set(std::vector<float>(2 * cols, 0.0f));
  ids = {1, 1};
  lanes_gate_params wrong = gate;
  wrong.activation = 77;
  const lanes_call failing[] = {{LANES_CALL_EMBED, 0, &embed}, {LANES_CALL_GATE, 0, &gate}, {LANES_CALL_GATE, 0, &wrong}};
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "activation is 77", lanes_run(runtime(), failing, 3));
  EXPECT_EQ(y.Get()[0], 12.0f);
}

TEST_F(RuntimeTest, ResultsOfAListAreThereWhenItReturns) {
  const Tensor logits(runtime(), {0, 5, 1, 2, 9, 3});
  lanes_sample_row greedy[2] = {};
  for (lanes_sample_row& row : greedy) row.top_p = row.repetition_penalty = 1;
  int32_t token[2], expert[2];
  float weight[2];
  lanes_sample_params sample = {};
  sample.size = sizeof sample;
  sample.rows = 2;
  sample.vocabulary = sample.logits_stride = 3;
  sample.logits = logits.data();
  sample.logits_len = 6;
  sample.row = greedy;
  sample.row_len = 2;
  sample.token = token;
  sample.token_len = 2;
  lanes_route_params route = {};
  route.size = sizeof route;
  route.tokens = 2;
  route.experts = 3;
  route.top_k = 1;
  route.logits = logits.data();
  route.logits_len = 6;
  route.logits_stride = 3;
  route.expert = expert;
  route.expert_len = route.weight_len = 2;
  route.weight = weight;
  const lanes_call calls[] = {{LANES_CALL_SAMPLE, 0, &sample}, {LANES_CALL_ROUTE, 0, &route}};
  for (int i = 0; i < 4; ++i) {
    token[0] = token[1] = expert[0] = expert[1] = -1;
    ASSERT_LANES_OK(lanes_run(runtime(), calls, 2));
    EXPECT_EQ(token[0], 1);
    EXPECT_EQ(token[1], 1);
    EXPECT_EQ(expert[0], 1);
    EXPECT_EQ(expert[1], 1);
  }
}

TEST_F(RuntimeTest, AnyAllocationOnTheWayMayFail) {
  const lanes_runtime_memory before = Memory();
  for (uint64_t nth = 1;; ++nth) {
    ASSERT_LT(nth, 100u);
    ASSERT_LANES_OK(lanes_fail_allocation(nth));
    lanes_weight_params shape = {};
    shape.size = sizeof shape;
    shape.rows = 40;
    shape.cols = 24;
    shape.dtype = LANES_BF16;
    shape.runtime = DeviceRuntime();
    lanes_weight* created = nullptr;
    int32_t status = lanes_weight_create(&shape, &created);
    const WeightPtr weight(created);
    const std::vector<float> values(40 * 24, 0.5f);
    if (status == LANES_OK) {
      lanes_weight_pack_params pack = {};
      pack.size = sizeof pack;
      pack.weight = created;
      pack.src = values.data();
      pack.src_bytes = values.size() * sizeof(float);
      pack.row_count = 40;
      pack.col_count = 24;
      status = lanes_weight_pack(runtime(), &pack);
    }
    void* memory = nullptr;
    if (status == LANES_OK) status = lanes_runtime_alloc(runtime(), 64, LANES_MEMORY_OTHER, &memory);
    ASSERT_LANES_OK(lanes_fail_allocation(0));
    ASSERT_LANES_OK(lanes_runtime_free(runtime(), memory));
    if (status == LANES_OK) break;
    ASSERT_EQ(status, LANES_ERROR_OUT_OF_MEMORY);
  }
  for (const int tag : {LANES_MEMORY_WEIGHTS, LANES_MEMORY_KV, LANES_MEMORY_OTHER}) {
    EXPECT_EQ(Memory().live_bytes[tag], before.live_bytes[tag]) << tag;
  }
}

TEST_F(RuntimeTest, ProfilesCountOpsOfLists) {
  const Tensor x(runtime(), Counting(40)), y(runtime(), Counting(40));
  const lanes_gate_params gate = Gate(x, x, y);
  const lanes_call calls[] = {{LANES_CALL_GATE, 0, &gate}, {LANES_CALL_GATE, 0, &gate}};
  ASSERT_LANES_OK(lanes_profile(runtime(), 1));
  for (int i = 0; i < 3; ++i) ASSERT_LANES_OK(lanes_run(runtime(), calls, 2));
  const char *op = "", *implementation = nullptr;
  int32_t index = 0;
  while (strcmp(op, "gate") != 0) ASSERT_LANES_OK(lanes_op_implementation(runtime(), index++, &op, &implementation));
  lanes_op_profile profile = {};
  profile.size = sizeof profile;
  ASSERT_LANES_OK(lanes_get_op_profile(runtime(), index - 1, &profile));
  EXPECT_EQ(profile.calls, 6u);
  EXPECT_GT(profile.nanos, 0u);
}

TEST_F(RuntimeTest, WeightsAndPoolsOutliveTheirRuntime) {
  RuntimePtr other = MakeRuntime(LANES_ISA_AUTO, 1);
  const WeightPtr weight = MakeWeight(other.get(), Counting(12), 3, 4, LANES_F32);
  const PoolPtr pool = MakePool(2, 1, 1, 16, LANES_BF16);
  other.reset();
  EXPECT_LANES_OK(lanes_kv_page_poison(pool.get(), 1));
  const Tensor x(runtime(), {1, 0, 0, 0}), y(runtime(), {0, 0, 0});
  lanes_linear_params linear = {};
  linear.size = sizeof linear;
  linear.weight = weight.get();
  linear.m = 1;
  linear.x = x.data();
  linear.x_len = linear.x_stride = 4;
  linear.y = y.data();
  linear.y_len = linear.y_stride = 3;
  ASSERT_LANES_OK(lanes_linear(runtime(), &linear));
  EXPECT_EQ(y.Get(), (std::vector<float>{1, 5, 9}));
}

#if defined(LANES_TEST_CUDA)

// A runtime of the CPU, for what must not be mixed with those of a GPU.
RuntimePtr CpuRuntime() {
  lanes_runtime_params params = {};
  params.size = sizeof params;
  params.threads = 1;
  lanes_runtime* runtime = nullptr;
  EXPECT_LANES_OK(lanes_runtime_create(&params, &runtime));
  return RuntimePtr(runtime);
}

TEST_F(RuntimeTest, DevicesAreNotMixed) {
  const RuntimePtr cpu = CpuRuntime();
  lanes_weight_params shape = {};
  shape.size = sizeof shape;
  shape.rows = 3;
  shape.cols = 4;
  lanes_weight* created = nullptr;
  ASSERT_LANES_OK(lanes_weight_create(&shape, &created));
  const WeightPtr host_weight(created), device_weight = NewWeight(3, 4, LANES_F32);
  const std::vector<float> values(12, 1.0f);
  std::vector<float> y(3);
  lanes_weight_pack_params pack = {};
  pack.size = sizeof pack;
  pack.weight = host_weight.get();
  pack.src = values.data();
  pack.src_bytes = 48;
  pack.row_count = 3;
  pack.col_count = 4;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "weight is in host memory", lanes_weight_pack(runtime(), &pack));
  pack.weight = device_weight.get();
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "weight is on a device", lanes_weight_pack(cpu.get(), &pack));
  lanes_linear_params linear = {};
  linear.size = sizeof linear;
  linear.weight = host_weight.get();
  linear.m = 1;
  linear.x = values.data();
  linear.x_len = linear.x_stride = 4;
  linear.y = y.data();
  linear.y_len = linear.y_stride = 3;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "weight is in host memory", lanes_linear(runtime(), &linear));
  linear.weight = device_weight.get();
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "weight is on a device", lanes_linear(cpu.get(), &linear));
  const int32_t id = 0;
  lanes_embed_params embed = {};
  embed.size = sizeof embed;
  embed.weight = host_weight.get();
  embed.ids = &id;
  embed.ids_len = 1;
  embed.tokens = 1;
  embed.y = y.data();
  embed.y_len = 3;
  embed.y_stride = 4;
  embed.y_len = 4;
  y.resize(4);
  embed.y = y.data();
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "weight is in host memory", lanes_embed(runtime(), &embed));
  const PoolPtr pool = MakePool(1, 1, 1, 4, LANES_F32);
  const int64_t slot = 0;
  lanes_kv_write_params write = {};
  write.size = sizeof write;
  write.pool = pool.get();
  write.tokens = 1;
  write.slots = &slot;
  write.slots_len = 1;
  write.k = write.v = values.data();
  write.k_len = write.v_len = write.k_stride = write.v_stride = 4;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "pool is on a device", lanes_kv_write(cpu.get(), &write));
}

TEST_F(RuntimeTest, HostMemoryOutOfReachIsRefused) {
  float local[4] = {1, 2, 3, 4};
  const Tensor x(runtime(), Counting(4)), y(runtime(), Counting(4));
  lanes_gate_params params = Gate(x, x, y);
  const auto refused = [&](const char* text, auto change) {
    lanes_gate_params p = params;
    change(p);
    EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, text, lanes_gate(runtime(), &p));
  };
  refused("lanes_gate: gate (", [&](auto& p) { p.gate = local; });
  refused("up (", [&](auto& p) { p.up = local; });
  refused("y (", [&](auto& p) { p.y = local; });
  refused("gate takes 20 bytes", [&](auto& p) {
    p.cols = p.gate_stride = p.up_stride = p.y_stride = 5;
    p.gate_len = p.up_len = p.y_len = 5;
  });
  ASSERT_LANES_OK(lanes_gate(runtime(), &params));
  lanes_copy_params copy = Tensor::Copy(local, local, 0);
  copy.rows = 1;
  copy.row_bytes = copy.src_stride = copy.dst_stride = copy.src_bytes = copy.dst_bytes = 4;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "lanes_upload: dst (", lanes_upload(runtime(), &copy));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "lanes_download: src (", lanes_download(runtime(), &copy));
}

#else

TEST_F(RuntimeTest, ACpuDoesNotFail) {
  EXPECT_LANES_ERROR(LANES_ERROR_UNSUPPORTED, "a CPU does not fail", lanes_fail_device(runtime()));
}

#endif

}  // namespace
}  // namespace lanes_test
