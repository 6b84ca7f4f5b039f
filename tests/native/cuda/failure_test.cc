// A GPU that fails under a runtime: every call says so, everything can be destroyed, and then the GPU works again.
#include "support/lanes_test.h"
#if defined(LANES_TEST_EMULATED)
#include "emulation/control.h"
#endif

namespace lanes_test {
namespace {

class FailureTest : public LanesTest {};

lanes_runtime* NewRuntime() {
  lanes_runtime_params params = {};
  params.size = sizeof params;
  params.device = LANES_DEVICE_CUDA;
  lanes_runtime* runtime = nullptr;
  EXPECT_LANES_OK(lanes_runtime_create(&params, &runtime));
  return runtime;
}

TEST_F(FailureTest, EveryCallSaysSoAndAllCanBeDestroyed) {
  for (int round = 0; round < 2; ++round) {
    RuntimePtr runtime(NewRuntime()), other(NewRuntime());
    lanes_weight_params shape = {};
    shape.size = sizeof shape;
    shape.rows = 3;
    shape.cols = 4;
    shape.runtime = runtime.get();
    lanes_weight* weight = nullptr;
    ASSERT_LANES_OK(lanes_weight_create(&shape, &weight));
    lanes_kv_pool_params pages = {sizeof pages, 2, 1, 1, 16, LANES_BF16, runtime.get()};
    lanes_kv_pool* pool = nullptr;
    ASSERT_LANES_OK(lanes_kv_pool_create(&pages, &pool));
    void* memory = nullptr;
    ASSERT_LANES_OK(lanes_runtime_alloc(runtime.get(), 64, LANES_MEMORY_OTHER, &memory));
    ASSERT_LANES_OK(lanes_synchronize(runtime.get()));

    ASSERT_LANES_OK(lanes_fail_device(runtime.get()));
    std::vector<char> bytes(64);
    lanes_copy_params copy = {sizeof copy, memory, 64, 64, bytes.data(), 64, 64, 1, 64};
    lanes_gate_params gate = {};
    gate.size = sizeof gate;
    gate.rows = 1;
    gate.cols = gate.gate_stride = gate.up_stride = gate.y_stride = 4;
    gate.gate = gate.up = gate.y = static_cast<float*>(memory);
    gate.gate_len = gate.up_len = gate.y_len = 4;
    const lanes_call call = {LANES_CALL_GATE, 0, &gate};
    // The other runtime's device is the same.
    for (lanes_runtime* r : {runtime.get(), other.get()}) {
      const char* const message = "the CUDA device has failed: ";
      EXPECT_LANES_ERROR(LANES_ERROR_DEVICE, message, lanes_synchronize(r));
      EXPECT_LANES_ERROR(LANES_ERROR_DEVICE, message, lanes_download(r, &copy));
      EXPECT_LANES_ERROR(LANES_ERROR_DEVICE, message, lanes_gate(r, &gate));
      EXPECT_LANES_ERROR(LANES_ERROR_DEVICE, message, lanes_run(r, &call, 1));
      void* more = nullptr;
      EXPECT_LANES_ERROR(LANES_ERROR_DEVICE, message, lanes_runtime_alloc(r, 64, LANES_MEMORY_OTHER, &more));
      lanes_weight* another = nullptr;
      EXPECT_LANES_ERROR(LANES_ERROR_DEVICE, message, lanes_weight_create(&shape, &another));
    }
    EXPECT_LANES_ERROR(LANES_ERROR_DEVICE, "the CUDA device has failed: ", lanes_kv_page_poison(pool, 0));
    int32_t count = 0;
    EXPECT_LANES_ERROR(LANES_ERROR_DEVICE, "the CUDA device has failed: ", lanes_get_device_count(LANES_DEVICE_CUDA, &count));

    EXPECT_LANES_OK(lanes_runtime_free(runtime.get(), memory));
    runtime.reset();
    other.reset();
    EXPECT_LANES_OK(lanes_kv_pool_destroy(pool));
    EXPECT_LANES_OK(lanes_weight_destroy(weight));
    // The last of them has closed the device.
    EXPECT_LANES_OK(lanes_get_device_count(LANES_DEVICE_CUDA, &count));
  }
}

TEST_F(FailureTest, OutOfMemoryIsSaidBeforeAnythingIsTaken) {
  const RuntimePtr runtime(NewRuntime());
  lanes_runtime_memory before = {}, after = {};
  before.size = after.size = sizeof before;
  ASSERT_LANES_OK(lanes_get_runtime_memory(runtime.get(), &before));
  lanes_weight_params shape = {};
  shape.size = sizeof shape;
  shape.rows = static_cast<int64_t>(before.free_bytes / 4096);
  shape.cols = 1024;
  shape.runtime = runtime.get();
  lanes_weight* weight = nullptr;
  EXPECT_LANES_ERROR(LANES_ERROR_OUT_OF_MEMORY, "for weights: the device has ", lanes_weight_create(&shape, &weight));
  ASSERT_LANES_OK(lanes_get_runtime_memory(runtime.get(), &after));
  EXPECT_EQ(after.live_bytes[LANES_MEMORY_WEIGHTS], before.live_bytes[LANES_MEMORY_WEIGHTS]);
}

#if defined(LANES_TEST_EMULATED)

TEST_F(FailureTest, AGpuThatIsTooOldIsNone) {
  lanes_device_info info = {};
  info.size = sizeof info;
  ASSERT_LANES_OK(lanes_get_device_info(LANES_DEVICE_CUDA, 0, &info));
  lanes::cuda::emulation::SetArch(75);
  int32_t count = 0;
  EXPECT_LANES_ERROR(LANES_ERROR_UNSUPPORTED, "no CUDA device: compute capability 7.5 is below 8.0",
                     lanes_get_device_count(LANES_DEVICE_CUDA, &count));
  lanes_runtime_params params = {};
  params.size = sizeof params;
  params.device = LANES_DEVICE_CUDA;
  lanes_runtime* runtime = nullptr;
  EXPECT_LANES_ERROR(LANES_ERROR_UNSUPPORTED, "no CUDA device: ", lanes_runtime_create(&params, &runtime));
  lanes::cuda::emulation::SetArch(info.major * 10 + info.minor);
}

// A kernel that fails in the middle of work that nobody waits for: the next call tells.
TEST_F(FailureTest, AFailureIsToldByTheCallAfterIt) {
  const RuntimePtr runtime(NewRuntime());
  void* memory = nullptr;
  ASSERT_LANES_OK(lanes_runtime_alloc(runtime.get(), 64, LANES_MEMORY_OTHER, &memory));
  lanes_gate_params gate = {};
  gate.size = sizeof gate;
  gate.rows = 1;
  gate.cols = gate.gate_stride = gate.up_stride = gate.y_stride = 4;
  gate.gate = gate.up = gate.y = static_cast<float*>(memory);
  gate.gate_len = gate.up_len = gate.y_len = 4;
  const lanes_call calls[] = {{LANES_CALL_GATE, 0, &gate}, {LANES_CALL_GATE, 0, &gate}};
  for (int i = 0; i < 3; ++i) ASSERT_LANES_OK(lanes_run(runtime.get(), calls, 2));
  ASSERT_LANES_OK(lanes_synchronize(runtime.get()));
  lanes::cuda::emulation::FailLaunch(2);
  ASSERT_LANES_OK(lanes_run(runtime.get(), calls, 2));
  EXPECT_LANES_ERROR(LANES_ERROR_DEVICE, "the CUDA device has failed: ", lanes_synchronize(runtime.get()));
  EXPECT_LANES_ERROR(LANES_ERROR_DEVICE, "the CUDA device has failed: ", lanes_run(runtime.get(), calls, 2));
  EXPECT_LANES_OK(lanes_runtime_free(runtime.get(), memory));
}

#endif

}  // namespace
}  // namespace lanes_test
