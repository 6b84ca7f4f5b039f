// What a container grants this process (control groups version 1 and 2), and what the system says is free.
#ifndef LANES_CORE_CGROUP_H_
#define LANES_CORE_CGROUP_H_

#include <cstdint>
#include <string>

namespace lanes {

// CPUs' worth of time that the tightest group grants; 0 when there is no limit. `root` stands before every path, for tests.
double CgroupCpuQuota(const std::string& root = "");

// Bytes that can be had without swapping: the system's free and reclaimable memory, cut by the groups' limits.
// UINT64_MAX where the system does not tell.
uint64_t AvailableMemory();

}  // namespace lanes

#endif  // LANES_CORE_CGROUP_H_
