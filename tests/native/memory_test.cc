#include "core/memory.h"

#if defined(__linux__)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "core/cgroup.h"
#include "support/lanes_test.h"

namespace lanes_test {
namespace {

class MemoryTest : public LanesTest {};

lanes_memory_stats Stats() {
  lanes_memory_stats stats = {};
  stats.size = sizeof stats;
  EXPECT_LANES_OK(lanes_get_memory_stats(&stats));
  return stats;
}

TEST_F(MemoryTest, BlocksAreAlignedZeroedAndCounted) {
  const lanes_memory_stats before = Stats();
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{1}, uint64_t{63}, uint64_t{64}, uint64_t{4097}, uint64_t{1} << 20,
                               (uint64_t{5} << 20) + 12345}) {
    void* block = nullptr;
    ASSERT_LANES_OK(lanes_alloc(bytes, LANES_MEMORY_KV, &block));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0u);
    for (uint64_t i = 0; i < bytes; i += 97) ASSERT_EQ(static_cast<char*>(block)[i], 0);
    memset(block, 0xA5, bytes);
    EXPECT_EQ(Stats().live_bytes[LANES_MEMORY_KV], before.live_bytes[LANES_MEMORY_KV] + bytes);
    EXPECT_EQ(Stats().live_blocks[LANES_MEMORY_KV], before.live_blocks[LANES_MEMORY_KV] + 1);
    EXPECT_LANES_OK(lanes_free(block));
  }
  EXPECT_EQ(Stats().live_total, before.live_total);
}

TEST_F(MemoryTest, PeakIsKeptUntilReset) {
  EXPECT_LANES_OK(lanes_reset_memory_peak());
  const uint64_t live = Stats().live_total;
  void* block = nullptr;
  ASSERT_LANES_OK(lanes_alloc(12345, LANES_MEMORY_OTHER, &block));
  EXPECT_LANES_OK(lanes_free(block));
  EXPECT_EQ(Stats().peak_total, live + 12345);
  EXPECT_LANES_OK(lanes_reset_memory_peak());
  EXPECT_EQ(Stats().peak_total, live);
}

TEST_F(MemoryTest, ForeignPointersAreRefused) {
  int local = 0;
  EXPECT_LANES_OK(lanes_free(nullptr));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "not a live block", lanes_free(&local));
  void* block = nullptr;
  ASSERT_LANES_OK(lanes_alloc(100, LANES_MEMORY_OTHER, &block));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "not a live block", lanes_free(static_cast<char*>(block) + 64));
  EXPECT_LANES_OK(lanes_free(block));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "not a live block", lanes_free(block));
}

TEST_F(MemoryTest, MoreThanIsFreeIsRefusedBeforeItIsTouched) {
  const uint64_t available = lanes::AvailableMemory();
  if (available == UINT64_MAX) GTEST_SKIP() << "this system does not tell how much memory is free";
  void* block = &block;
  EXPECT_LANES_ERROR(LANES_ERROR_OUT_OF_MEMORY, "MiB free", lanes_alloc(available + (64 << 20), LANES_MEMORY_WEIGHTS, &block));
  EXPECT_EQ(block, nullptr);
  for (const uint64_t bytes : {UINT64_MAX, UINT64_MAX - 63, uint64_t{1} << 63, (uint64_t{1} << 63) - 1, uint64_t{1} << 47}) {
    EXPECT_LANES_ERROR(LANES_ERROR_OUT_OF_MEMORY, "weights", lanes_alloc(bytes, LANES_MEMORY_WEIGHTS, &block));
  }
}

TEST_F(MemoryTest, WhatIsPromisedAndNotYetTouchedCountsAsTaken) {
  const uint64_t available = lanes::AvailableMemory();
  if (available == UINT64_MAX) GTEST_SKIP() << "this system does not tell how much memory is free";
  // Neither block is touched, so the system's own figure hardly changes between them.
  void *first = nullptr, *second = nullptr;
  ASSERT_LANES_OK(lanes_alloc(available / 5 * 3, LANES_MEMORY_KV, &first));
  EXPECT_LANES_ERROR(LANES_ERROR_OUT_OF_MEMORY, "promised", lanes_alloc(available / 5 * 3, LANES_MEMORY_KV, &second));
  EXPECT_LANES_OK(lanes_free(first));
}

TEST_F(MemoryTest, TheNthAllocationFailsOnRequest) {
  void* block = nullptr;
  ASSERT_LANES_OK(lanes_fail_allocation(2));
  ASSERT_LANES_OK(lanes_alloc(10, LANES_MEMORY_OTHER, &block));
  EXPECT_LANES_OK(lanes_free(block));
  EXPECT_LANES_ERROR(LANES_ERROR_OUT_OF_MEMORY, "on request", lanes_alloc(10, LANES_MEMORY_OTHER, &block));
  EXPECT_EQ(block, nullptr);
  ASSERT_LANES_OK(lanes_alloc(10, LANES_MEMORY_OTHER, &block));
  EXPECT_LANES_OK(lanes_free(block));
  ASSERT_LANES_OK(lanes_fail_allocation(1));
  ASSERT_LANES_OK(lanes_fail_allocation(0));
  ASSERT_LANES_OK(lanes_alloc(10, LANES_MEMORY_OTHER, &block));
  EXPECT_LANES_OK(lanes_free(block));
}

TEST_F(MemoryTest, ArgumentsAreChecked) {
  void* block = nullptr;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "out is NULL", lanes_alloc(1, LANES_MEMORY_OTHER, nullptr));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "tag -1", lanes_alloc(1, -1, &block));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "tag 4", lanes_alloc(1, LANES_MEMORY_TAGS, &block));
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "stats is NULL", lanes_get_memory_stats(nullptr));
  lanes_memory_stats stats = {};
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "size", lanes_get_memory_stats(&stats));
  stats.size = sizeof stats + 8;
  EXPECT_LANES_ERROR(LANES_ERROR_INVALID_ARGUMENT, "size", lanes_get_memory_stats(&stats));
  // An older caller knows less; nothing behind its struct is written.
  stats.size = offsetof(lanes_memory_stats, live_total);
  stats.live_total = 42;
  EXPECT_LANES_OK(lanes_get_memory_stats(&stats));
  EXPECT_EQ(stats.live_total, 42u);
}

#if defined(__linux__)
std::string FolderWith(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string root = ::testing::TempDir() + "lanes-groups-XXXXXX";
  EXPECT_NE(mkdtemp(root.data()), nullptr);
  for (const auto& [path, text] : files) {
    std::filesystem::create_directories(std::filesystem::path(root + path).parent_path());
    std::ofstream(root + path) << text;
  }
  return root;
}

// The tightest of the groups above a process counts, in either version of control groups.
TEST_F(MemoryTest, ContainersLimitTheCpus) {
  const std::string none = FolderWith({{"/proc/self/cgroup", "0::/a/b\n"}, {"/sys/fs/cgroup/a/cpu.max", "max 100000\n"}});
  EXPECT_EQ(lanes::CgroupCpuQuota(none), 0);
  const std::string two = FolderWith({{"/proc/self/cgroup", "0::/a/b\n"},
                                      {"/sys/fs/cgroup/a/cpu.max", "150000 100000\n"},
                                      {"/sys/fs/cgroup/a/b/cpu.max", "400000 100000\n"}});
  EXPECT_EQ(lanes::CgroupCpuQuota(two), 1.5);
  const std::string one = FolderWith({{"/proc/self/cgroup", "4:memory:/x\n3:cpuset,cpu,cpuacct:/docker/y\n"},
                                      {"/sys/fs/cgroup/cpu/docker/y/cpu.cfs_quota_us", "50000\n"},
                                      {"/sys/fs/cgroup/cpu/docker/y/cpu.cfs_period_us", "100000\n"},
                                      {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
                                      {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}});
  EXPECT_EQ(lanes::CgroupCpuQuota(one), 0.5);
  EXPECT_EQ(lanes::CgroupCpuQuota("/no/such/root"), 0);
  for (const std::string& root : {none, two, one}) std::filesystem::remove_all(root);
}

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
// Where huge pages are not to be had, memory comes in small ones: a system that refuses every madvise.
TEST_F(MemoryTest, HugePagesAreAWish) {
  const pid_t child = fork();
  if (child == 0) {
    sock_filter refuse[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_madvise, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program = {sizeof refuse / sizeof refuse[0], refuse};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) _exit(0);
    if (madvise(nullptr, 0, MADV_HUGEPAGE) != -1) _exit(3);
    void* block = nullptr;
    const uint64_t bytes = 9 << 20;
    if (lanes_alloc(bytes, LANES_MEMORY_WEIGHTS, &block) != LANES_OK) _exit(1);
    for (uint64_t i = 0; i < bytes; i += 4096) {
      if (static_cast<char*>(block)[i] != 0) _exit(2);
      static_cast<char*>(block)[i] = 1;
    }
    _exit(lanes_free(block) == LANES_OK ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}
#endif
#endif

}  // namespace
}  // namespace lanes_test
