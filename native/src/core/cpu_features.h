#ifndef LANES_CORE_CPU_FEATURES_H_
#define LANES_CORE_CPU_FEATURES_H_

#include "lanes/lanes.h"

namespace lanes {

// Found once; `size` is set.
const lanes_cpu_features& CpuFeatures();

// CPUs this process may use: its affinity mask, cut by a cgroup's CPU quota. At least 1. Read anew on each call.
int LogicalCpus();

// Whether this build has kernels for `isa` and this CPU runs them. `isa` may be any number.
bool IsaAvailable(int32_t isa);

const char* IsaName(int32_t isa);

}  // namespace lanes

#endif  // LANES_CORE_CPU_FEATURES_H_
