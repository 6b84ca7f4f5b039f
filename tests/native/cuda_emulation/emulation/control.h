// What tests can tell the emulated device. Settings come from the environment first:
//   LANES_EMULATE_ARCH=80|90             compute capability (default 90)
//   LANES_EMULATE_SCHEDULE=forward|backward|random[:seed]
//   LANES_EMULATE_MEMORY=<bytes>         device memory (default 8 GiB)
//   LANES_EMULATE_FAIL_LAUNCH=<n>        the n-th kernel to run, from 1, ends in a sticky error
#ifndef LANES_TESTS_CUDA_EMULATION_CONTROL_H_
#define LANES_TESTS_CUDA_EMULATION_CONTROL_H_

#include <stdint.h>

#include <string>

namespace lanes::cuda::emulation {

enum class Schedule {
  kForward,   // threads, warps and blocks in ascending order, each as far as it can
  kBackward,  // in descending order
  kRandom,    // in any order, asynchronous copies land at any time before they must
};

void SetSchedule(Schedule schedule, uint64_t seed = 1);
Schedule CurrentSchedule();

void SetArch(int arch);          // 80 or 90
void SetPtx(int arch);           // what kernels were compiled for, where the driver makes them for an older GPU; 0: that of SetArch
void SetDevices(int count);      // without contexts, which is all that they are told apart by (default 1)
bool HasContext(int device);     // somebody has worked on it
void SetMemory(int64_t bytes);
void FailLaunch(int64_t n);      // the n-th kernel from now, from 1; 0: none
void Reset();                    // forgets a sticky error; memory and streams stay

int64_t KernelsRun();            // since the process began
int64_t GraphsRun();
const std::string& LastFault();  // the report of the last fault, empty without one

}  // namespace lanes::cuda::emulation

#endif  // LANES_TESTS_CUDA_EMULATION_CONTROL_H_
