// What this machine can do at most, measured: fused multiply-adds, bfloat16 and int8 dot products a second, and bytes read a second.
#ifndef LANES_BENCH_CEILING_H_
#define LANES_BENCH_CEILING_H_

namespace lanes_bench {

// GFLOP/s of `threads` threads; 0 where this CPU lacks the instruction.
double PeakFma(int threads);
double PeakBf16(int threads);

// GOP/s, two for each product of bytes.
double PeakS8(int threads);

// GB/s of reading a buffer much larger than the caches.
double ReadBandwidth(int threads);

double Seconds();

// Seconds counts the calling thread's CPU time from here on: for one thread on a machine that is busy with other things.
void UseCpuTime();

}  // namespace lanes_bench

#endif  // LANES_BENCH_CEILING_H_
