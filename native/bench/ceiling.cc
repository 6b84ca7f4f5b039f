#include "ceiling.h"

#include <immintrin.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "core/cpu_features.h"
#include "core/memory.h"

namespace lanes_bench {
namespace {

constexpr int kChains = 24;

__attribute__((target("avx512f"))) float Fma512(int64_t rounds) {
  __m512 sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512 a = _mm512_set1_ps(1.0f - 0x1p-20f), b = _mm512_set1_ps(0x1p-20f);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
  }
  for (int i = 1; i < kChains; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_reduce_add_ps(sum[0]);
}

__attribute__((target("avx2,fma"))) float Fma256(int64_t rounds) {
  constexpr int kFew = 12;
  __m256 sum[kFew];
  for (int i = 0; i < kFew; ++i) sum[i] = _mm256_set1_ps(static_cast<float>(i));
  const __m256 a = _mm256_set1_ps(1.0f - 0x1p-20f), b = _mm256_set1_ps(0x1p-20f);
  for (int64_t r = 0; r < rounds * 2; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kFew; ++i) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
  }
  for (int i = 1; i < kFew; ++i) sum[0] = _mm256_add_ps(sum[0], sum[i]);
  float lanes[8];
  _mm256_storeu_ps(lanes, sum[0]);
  return lanes[0];
}

__attribute__((target("avx512f,avx512bf16"))) float Dot512(int64_t rounds) {
  __m512 sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512bh a = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3F803F80));
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sum[i] = _mm512_dpbf16_ps(sum[i], a, a);
  }
  for (int i = 1; i < kChains; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_reduce_add_ps(sum[0]);
}

__attribute__((target("avx512f,avx512vnni"))) int32_t Dot512S8(int64_t rounds) {
  __m512i sum[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_epi32(i);
  const __m512i a = _mm512_set1_epi32(0x01010101);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) {
      // Written out: of the intrinsic the compiler may see what the rounds add up to.
      __asm__("vpdpbusd %1, %1, %0" : "+v"(sum[i]) : "v"(a));
    }
  }
#pragma GCC unroll 24
  for (int i = 1; i < kChains; ++i) sum[0] = _mm512_add_epi32(sum[0], sum[i]);
  return _mm512_reduce_add_epi32(sum[0]);
}

__attribute__((target("avx2"))) int32_t Madd256(int64_t rounds) {
  constexpr int kFew = 12;
  __m256i sum[kFew];
  for (int i = 0; i < kFew; ++i) sum[i] = _mm256_set1_epi32(i);
  __m256i a = _mm256_set1_epi32(0x00010001);
  for (int64_t r = 0; r < rounds * 2; ++r) {
    __asm__ volatile("" : "+x"(a));
#pragma GCC unroll 12
    for (int i = 0; i < kFew; ++i) {
      __m256i product = _mm256_madd_epi16(a, a);
      __asm__ volatile("" : "+x"(product));
      sum[i] = _mm256_add_epi32(sum[i], product);
    }
  }
  for (int i = 1; i < kFew; ++i) sum[0] = _mm256_add_epi32(sum[0], sum[i]);
  return _mm256_extract_epi32(sum[0], 0);
}

__attribute__((target("avx2"))) int64_t Read(const char* data, int64_t bytes) {
  __m256i sum[4] = {};
  for (int64_t i = 0; i + 256 <= bytes; i += 256) {
    _mm_prefetch(data + i + 4096, _MM_HINT_T0);
    _mm_prefetch(data + i + 4160, _MM_HINT_T0);
    _mm_prefetch(data + i + 4224, _MM_HINT_T0);
    _mm_prefetch(data + i + 4288, _MM_HINT_T0);
    for (int j = 0; j < 8; ++j) {
      sum[j % 4] = _mm256_xor_si256(sum[j % 4], _mm256_load_si256(reinterpret_cast<const __m256i*>(data + i + 32 * j)));
    }
  }
  const __m256i all = _mm256_xor_si256(_mm256_xor_si256(sum[0], sum[1]), _mm256_xor_si256(sum[2], sum[3]));
  return _mm256_extract_epi64(all, 0);
}

std::atomic<int64_t> sink{0};
bool cpu_time = false;

// Seconds until all threads have run `body(thread)`, the best of some tries.
template <class Body>
double Best(int threads, const Body& body) {
  double best = 1e30;
  for (int attempt = 0; attempt < 5; ++attempt) {
    std::atomic<int> ready{0};
    std::atomic<bool> go{false};
    std::vector<std::thread> others;
    const auto wait_and_run = [&](int thread) {
      ++ready;
      while (!go) {
      }
      body(thread);
    };
    for (int t = 1; t < threads; ++t) others.emplace_back(wait_and_run, t);
    while (ready < threads - 1) {
    }
    const double start = Seconds();
    go = true;
    body(0);
    for (std::thread& other : others) other.join();
    best = std::min(best, Seconds() - start);
  }
  return best;
}

}  // namespace

double Seconds() {
  timespec now;
  clock_gettime(cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

void UseCpuTime() { cpu_time = true; }

double PeakFma(int threads) {
  const lanes_cpu_features& cpu = lanes::CpuFeatures();
  constexpr int64_t kRounds = 4000000;
  if (cpu.avx512) {
    const double seconds = Best(threads, [](int) { sink += static_cast<int64_t>(Fma512(kRounds)); });
    return 2.0 * 16 * kChains * kRounds * threads / seconds * 1e-9;
  }
  if (!cpu.avx2) return 0;
  const double seconds = Best(threads, [](int) { sink += static_cast<int64_t>(Fma256(kRounds)); });
  return 2.0 * 8 * kChains * kRounds * threads / seconds * 1e-9;
}

double PeakBf16(int threads) {
  if (!lanes::CpuFeatures().avx512_bf16) return 0;
  constexpr int64_t kRounds = 4000000;
  const double seconds = Best(threads, [](int) { sink += static_cast<int64_t>(Dot512(kRounds)); });
  return 4.0 * 16 * kChains * kRounds * threads / seconds * 1e-9;
}

double PeakS8(int threads) {
  constexpr int64_t kRounds = 4000000;
  if (lanes::CpuFeatures().avx512_vnni) {
    const double seconds = Best(threads, [](int) { sink += Dot512S8(kRounds); });
    return 8.0 * 16 * kChains * kRounds * threads / seconds * 1e-9;
  }
  if (!lanes::CpuFeatures().avx2) return 0;
  const double seconds = Best(threads, [](int) { sink += Madd256(kRounds); });
  return 4.0 * 8 * kChains * kRounds * threads / seconds * 1e-9;
}

double ReadBandwidth(int threads) {
  constexpr int64_t kBytes = 768 << 20;
  const lanes::Block block(kBytes + 8192, LANES_MEMORY_OTHER);
  char* data = static_cast<char*>(block.data());
  std::fill(data, data + kBytes, 1);
  const int64_t share = kBytes / threads / 4096 * 4096;
  const double seconds = Best(threads, [&](int thread) { sink += Read(data + thread * share, share); });
  return static_cast<double>(share) * threads / seconds * 1e-9;
}

}  // namespace lanes_bench
