#include "core/cpu_features.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "core/cgroup.h"
#include "core/os.h"

namespace lanes {
namespace {

#if defined(__x86_64__)
uint64_t EnabledRegisters() {
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

void Detect(lanes_cpu_features* f) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return;
  const bool fma = (c >> 12) & 1, osxsave = (c >> 27) & 1, f16c = (c >> 29) & 1, avx = (c >> 28) & 1;
  const uint64_t enabled = osxsave ? EnabledRegisters() : 0;
  const bool ymm = (enabled & 0x6) == 0x6, zmm = (enabled & 0xE6) == 0xE6;
  uint32_t b7 = 0, c7 = 0, d7 = 0, a71 = 0;
  if (__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) {
    const uint32_t subleaves = a;
    if (subleaves >= 1) __get_cpuid_count(7, 1, &a71, &b, &c, &d);
  }
  const auto bit = [](uint32_t word, int n) { return ((word >> n) & 1) != 0; };
  f->avx2 = ymm && avx && fma && f16c && bit(b7, 5);
  f->avx512 = f->avx2 && zmm && bit(b7, 16) && bit(b7, 17) && bit(b7, 30) && bit(b7, 31);
  f->avx512_bf16 = f->avx512 && bit(a71, 5);
  f->avx512_vnni = f->avx512 && bit(c7, 11);
  uint32_t brand[12];
  if (__get_cpuid(0x80000002, brand, brand + 1, brand + 2, brand + 3) &&
      __get_cpuid(0x80000003, brand + 4, brand + 5, brand + 6, brand + 7) &&
      __get_cpuid(0x80000004, brand + 8, brand + 9, brand + 10, brand + 11)) {
    memcpy(f->name, brand, sizeof brand);
    f->name[sizeof brand] = '\0';
  }
}
#elif defined(__aarch64__) && defined(__linux__)
// Bits of the kernel's interface, by number: headers of older systems lack the later ones.
constexpr uint64_t kHwcapAsimd = 1ull << 1, kHwcapCpuid = 1ull << 11, kHwcapDotProd = 1ull << 20;
constexpr uint64_t kHwcap2I8mm = 1ull << 13, kHwcap2Bf16 = 1ull << 14;

// Implementer and part number of the main identification register, which is all that these CPUs say of themselves.
void Name(lanes_cpu_features* f) {
  uint64_t id;
  asm("mrs %0, midr_el1" : "=r"(id));
  const unsigned implementer = (id >> 24) & 0xFF, part = (id >> 4) & 0xFFF;
  const struct {
    unsigned implementer, part;
    const char* name;
  } kKnown[] = {
      {0x41, 0xD03, "Arm Cortex-A53"},   {0x41, 0xD07, "Arm Cortex-A57"},   {0x41, 0xD08, "Arm Cortex-A72"},
      {0x41, 0xD0B, "Arm Cortex-A76"},   {0x41, 0xD0C, "Arm Neoverse N1"},  {0x41, 0xD40, "Arm Neoverse V1"},
      {0x41, 0xD49, "Arm Neoverse N2"},  {0x41, 0xD4F, "Arm Neoverse V2"},  {0xC0, 0xAC3, "Ampere-1"},
  };
  for (const auto& known : kKnown) {
    if (known.implementer == implementer && known.part == part) snprintf(f->name, sizeof f->name, "%s", known.name);
  }
  if (f->name[0] == '\0') snprintf(f->name, sizeof f->name, "arm64, implementer 0x%02x, part 0x%03x", implementer, part);
}

void Detect(lanes_cpu_features* f) {
  const uint64_t hwcap = getauxval(AT_HWCAP), hwcap2 = getauxval(AT_HWCAP2);
  f->neon = (hwcap & kHwcapAsimd) != 0;
  f->neon_dotprod = f->neon && (hwcap & kHwcapDotProd) != 0;
  f->neon_bf16 = f->neon && (hwcap2 & kHwcap2Bf16) != 0;
  f->neon_i8mm = f->neon && (hwcap2 & kHwcap2I8mm) != 0;
  // With this bit the kernel lets programs read the register.
  if ((hwcap & kHwcapCpuid) != 0) Name(f);
}
#elif defined(__aarch64__) && defined(__APPLE__)
bool Sysctl(const char* name) {
  int32_t value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}

void Detect(lanes_cpu_features* f) {
  f->neon = 1;
  f->neon_dotprod = Sysctl("hw.optional.arm.FEAT_DotProd");
  f->neon_bf16 = Sysctl("hw.optional.arm.FEAT_BF16");
  f->neon_i8mm = Sysctl("hw.optional.arm.FEAT_I8MM");
  size_t size = sizeof f->name - 1;
  if (sysctlbyname("machdep.cpu.brand_string", f->name, &size, nullptr, 0) != 0) f->name[0] = '\0';
}
#else
void Detect(lanes_cpu_features*) {}
#endif

lanes_cpu_features Make() {
  lanes_cpu_features f = {};
  f.size = sizeof f;
  Detect(&f);
  size_t end = strlen(f.name);
  while (end > 0 && f.name[end - 1] == ' ') f.name[--end] = '\0';
  f.best_isa = LANES_ISA_REFERENCE;
#if defined(LANES_HAVE_AVX2)
  if (f.avx2) f.best_isa = LANES_ISA_AVX2;
#endif
#if defined(LANES_HAVE_AVX512)
  if (f.avx512) f.best_isa = LANES_ISA_AVX512;
#endif
#if defined(LANES_HAVE_NEON)
  if (f.neon) f.best_isa = LANES_ISA_NEON;
#endif
  f.logical_cpus = LogicalCpus();
  return f;
}

}  // namespace

const lanes_cpu_features& CpuFeatures() {
  static const lanes_cpu_features features = Make();
  return features;
}

int LogicalCpus() {
  int cpus = OsCpus();
  const double quota = CgroupCpuQuota();
  if (quota > 0 && ceil(quota) < cpus) cpus = static_cast<int>(ceil(quota));
  return cpus < 1 ? 1 : cpus;
}

bool IsaAvailable(int32_t isa) {
  switch (isa) {
    case LANES_ISA_REFERENCE:
      return true;
#if defined(LANES_HAVE_AVX2)
    case LANES_ISA_AVX2:
      return CpuFeatures().avx2 != 0;
#endif
#if defined(LANES_HAVE_AVX512)
    case LANES_ISA_AVX512:
      return CpuFeatures().avx512 != 0;
#endif
#if defined(LANES_HAVE_NEON)
    case LANES_ISA_NEON:
      return CpuFeatures().neon != 0;
#endif
    default:
      return false;
  }
}

const char* IsaName(int32_t isa) {
  switch (isa) {
    case LANES_ISA_AUTO:
      return "auto";
    case LANES_ISA_REFERENCE:
      return "reference";
    case LANES_ISA_AVX2:
      return "avx2";
    case LANES_ISA_AVX512:
      return "avx512";
    case LANES_ISA_NEON:
      return "neon";
    default:
      return "unknown";
  }
}

}  // namespace lanes
