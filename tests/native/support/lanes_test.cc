#include "support/lanes_test.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "cpu/scalar.h"

namespace lanes_test {

uint64_t Seed() {
  static const uint64_t seed = [] {
    const char* text = std::getenv("LANES_TEST_SEED");
    return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 10) : 20261120ull;
  }();
  return seed;
}

std::vector<int32_t> Isas() {
  if (kOnGpu) return {LANES_ISA_AUTO};
  lanes_cpu_features features = {};
  features.size = sizeof features;
  if (lanes_get_cpu_features(&features) != LANES_OK) throw std::runtime_error(lanes_last_error());
  std::vector<int32_t> isas = {LANES_ISA_REFERENCE};
  // A path that the machine has but the build lacks must not go unnoticed: creating its runtime fails the test.
  if (features.avx2 != 0) isas.push_back(LANES_ISA_AVX2);
  if (features.avx512 != 0) isas.push_back(LANES_ISA_AVX512);
  if (features.neon != 0) isas.push_back(LANES_ISA_NEON);
  return isas;
}

const char* IsaName(int32_t isa) {
  switch (isa) {
    case LANES_ISA_REFERENCE:
      return "reference";
    case LANES_ISA_AVX2:
      return "avx2";
    case LANES_ISA_AVX512:
      return "avx512";
    case LANES_ISA_NEON:
      return "neon";
    default:
      return kOnGpu ? "cuda" : "unknown";
  }
}

std::string IsaParamName(const ::testing::TestParamInfo<int32_t>& info) { return IsaName(info.param); }

RuntimePtr MakeRuntime(int32_t isa, int threads) {
  lanes_runtime_params params = {};
  params.size = sizeof params;
  if (kOnGpu) {
    params.device = LANES_DEVICE_CUDA;
  } else {
    params.isa = isa;
    params.threads = threads;
  }
  lanes_runtime* runtime = nullptr;
  if (lanes_runtime_create(&params, &runtime) != LANES_OK) throw std::runtime_error(lanes_last_error());
  return RuntimePtr(runtime);
}

WeightPtr NewWeight(int64_t rows, int64_t cols, int32_t dtype) {
  lanes_weight_params params = {};
  params.size = sizeof params;
  params.rows = rows;
  params.cols = cols;
  params.dtype = dtype;
  params.runtime = DeviceRuntime();
  lanes_weight* weight = nullptr;
  if (lanes_weight_create(&params, &weight) != LANES_OK) throw std::runtime_error(lanes_last_error());
  return WeightPtr(weight);
}

WeightPtr MakeWeight(lanes_runtime* runtime, const std::vector<float>& values, int64_t rows, int64_t cols, int32_t dtype) {
  WeightPtr weight = NewWeight(rows, cols, dtype);
  lanes_weight_pack_params pack = {};
  pack.size = sizeof pack;
  pack.weight = weight.get();
  pack.src = values.data();
  pack.src_bytes = values.size() * sizeof(float);
  pack.src_dtype = LANES_F32;
  pack.row_count = rows;
  pack.col_count = cols;
  if (lanes_weight_pack(runtime, &pack) != LANES_OK) throw std::runtime_error(lanes_last_error());
  return weight;
}

float RoundTo(int32_t dtype, float value) {
  if (dtype == LANES_BF16) return lanes::reference::Bf16ToFloat(lanes::reference::FloatToBf16(value));
  if (dtype == LANES_F16) return lanes::reference::F16ToFloat(lanes::reference::FloatToF16(value));
  return value;
}

std::vector<float> RoundTo(int32_t dtype, std::vector<float> values) {
  for (float& value : values) value = RoundTo(dtype, value);
  return values;
}

std::vector<float> WidenBf16(const std::vector<uint16_t>& elements) {
  std::vector<float> values;
  for (const uint16_t element : elements) values.push_back(lanes::reference::Bf16ToFloat(element));
  return values;
}

int32_t ParseDtype(const std::string& name) {
  if (name == "f32") return LANES_F32;
  if (name == "bf16") return LANES_BF16;
  if (name == "f16") return LANES_F16;
  throw std::runtime_error("dtype " + name);
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  if (a.empty() || memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0) return true;
#if defined(LANES_TEST_EMULATED)
  // A GPU has one NaN. Here which one an operation hands on, and with which sign, is up to the host's compiler.
  for (size_t i = 0; i < a.size(); ++i) {
    if (memcmp(&a[i], &b[i], sizeof a[i]) != 0 && !(std::isnan(a[i]) && std::isnan(b[i]))) return false;
  }
  return true;
#else
  return false;
#endif
}

void LanesTest::SetUp() {
  before_ = {};
  before_.size = sizeof before_;
  ASSERT_LANES_OK(lanes_get_memory_stats(&before_));
}

void LanesTest::TearDown() {
  lanes_fail_allocation(0);
  lanes_memory_stats after = {};
  after.size = sizeof after;
  ASSERT_LANES_OK(lanes_get_memory_stats(&after));
  EXPECT_EQ(after.live_total, before_.live_total) << "native bytes were left allocated";
  for (int tag = 0; tag < LANES_MEMORY_TAGS; ++tag) EXPECT_EQ(after.live_blocks[tag], before_.live_blocks[tag]) << "tag " << tag;
  if (HasFailure()) std::fprintf(stderr, "replay with LANES_TEST_SEED=%llu\n", static_cast<unsigned long long>(Seed()));
}

}  // namespace lanes_test

int main(int argc, char** argv) {
  lanes_test::PageLockHeap();
  ::testing::InitGoogleTest(&argc, argv);
  std::printf("seed %llu\n", static_cast<unsigned long long>(lanes_test::Seed()));
  return RUN_ALL_TESTS();
}
