// What the sections of native_bench share.
#ifndef LANES_BENCH_BENCH_H_
#define LANES_BENCH_BENCH_H_

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "ceiling.h"
#include "lanes/lanes.h"

namespace lanes_bench {

struct Options {
  int threads = 0;
  int32_t isa = LANES_ISA_AUTO;
  std::string only;

  bool Wants(const std::string& name) const { return only.empty() || name.find(only) != std::string::npos; }
};

struct Ceilings {
  double fma, bf16, s8, read;
};

inline void Check(int32_t status) {
  if (status == LANES_OK) return;
  std::fprintf(stderr, "%s\n", lanes_last_error());
  std::exit(1);
}

struct Timing {
  double median, least, most;
};

// Repeats for about half a second. `call(i)` runs the i-th call.
template <class Call>
Timing Measure(const Call& call) {
  for (int i = 0; i < 3; ++i) call(i);
  std::vector<double> times;
  const double start = Seconds();
  for (int i = 0; times.size() < 7 || (Seconds() - start < 0.5 && times.size() < 20000); ++i) {
    const double before = Seconds();
    call(i);
    times.push_back(Seconds() - before);
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front(), times.back()};
}

// Attention, norms, gate and sampling (attention_bench.cc).
void BenchAttention(lanes_runtime* runtime, const Options& options, const Ceilings& ceilings);

}  // namespace lanes_bench

#endif  // LANES_BENCH_BENCH_H_
