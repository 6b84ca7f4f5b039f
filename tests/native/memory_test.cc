#include "core/memory.h"

#include <cstring>

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

}  // namespace
}  // namespace lanes_test
