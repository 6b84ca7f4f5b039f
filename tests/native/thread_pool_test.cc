#include "core/thread_pool.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "support/lanes_test.h"

namespace lanes_test {
namespace {

using Body = std::function<void(int64_t begin, int64_t end, int worker)>;

void RunPool(lanes::ThreadPool& pool, int64_t items, int64_t grain, const Body& body) {
  pool.Run(
      items, grain,
      [](const void* argument, int64_t begin, int64_t end, int worker) {
        (*static_cast<const Body*>(argument))(begin, end, worker);
      },
      &body);
}

class ThreadPoolTest : public LanesTest {};

TEST_F(ThreadPoolTest, DoesEveryItemOnceInPiecesOfTheGrain) {
  for (const int threads : {1, 2, 3, 8, 65}) {
    lanes::ThreadPool pool(threads);
    for (const int64_t items : {0, 1, 2, 7, 64, 1000}) {
      for (const int64_t grain : {1, 3, 64, 5000}) {
        std::vector<std::atomic<int>> done(items);
        std::atomic<int> wrong{0};
        RunPool(pool, items, grain, [&](int64_t begin, int64_t end, int worker) {
          if (begin % grain != 0 || end - begin > grain || begin >= end || worker < 0 || worker >= threads) ++wrong;
          for (int64_t i = begin; i < end; ++i) ++done[i];
        });
        EXPECT_EQ(wrong, 0);
        for (const auto& count : done) ASSERT_EQ(count, 1) << items << " items, grain " << grain << ", " << threads << " threads";
      }
    }
  }
}

TEST_F(ThreadPoolTest, ResultsOfAJobAreSeenByTheNext) {
  lanes::ThreadPool pool(4);
  std::vector<int64_t> values(333, 0);
  for (int round = 0; round < 2000; ++round) {
    // Item i reads what another worker may have written in the round before.
    std::vector<int64_t> next(values.size());
    RunPool(pool, static_cast<int64_t>(values.size()), 5, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) next[i] = values[(i + 1) % values.size()] + 1;
    });
    values.swap(next);
  }
  for (const int64_t value : values) ASSERT_EQ(value, 2000);
}

TEST_F(ThreadPoolTest, SeveralWorkersTakePart) {
  lanes::ThreadPool pool(2);
  std::atomic<int> met{0};
  std::atomic<bool> together{false};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  RunPool(pool, 2, 1, [&](int64_t, int64_t, int) {
    ++met;
    while (met < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    if (met == 2) together = true;
  });
  EXPECT_TRUE(together) << "the second worker never came";
}

TEST_F(ThreadPoolTest, ReturnsWhenEveryPieceIsDone) {
  lanes::ThreadPool pool(2);
  std::atomic<int> met{0}, finished{0};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  RunPool(pool, 2, 1, [&](int64_t, int64_t, int worker) {
    ++met;
    while (met < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    // The caller is long done by then.
    if (worker != 0) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    ++finished;
  });
  EXPECT_EQ(finished, 2);
}

TEST_F(ThreadPoolTest, WakesAfterItHasParked) {
  lanes::ThreadPool pool(3);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int64_t> sum{0};
    RunPool(pool, 100, 1, [&](int64_t begin, int64_t, int) { sum += begin; });
    ASSERT_EQ(sum, 4950);
  }
}

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

TEST_F(ThreadPoolTest, UsesNoCpuWhileIdle) {
  lanes::ThreadPool pool(4);
  RunPool(pool, 100, 1, [](int64_t, int64_t, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const double before = CpuSeconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_LT(CpuSeconds() - before, 0.05);
}

TEST_F(ThreadPoolTest, ManyPoolsComeAndGo) {
  for (int i = 0; i < 100; ++i) {
    lanes::ThreadPool pool(1 + i % 9);
    if (i % 2 == 0) RunPool(pool, 50, 1, [](int64_t, int64_t, int) {});
  }
}

#if !defined(__SANITIZE_THREAD__)
TEST_F(ThreadPoolTest, TheChildOfAForkWorksAlone) {
  lanes::ThreadPool* pool = new lanes::ThreadPool(3);
  RunPool(*pool, 100, 1, [](int64_t, int64_t, int) {});
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<int64_t> sum{0};
    RunPool(*pool, 100, 1, [&](int64_t begin, int64_t, int) { sum += begin; });
    delete pool;
    _exit(sum == 4950 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  delete pool;
}
#endif

}  // namespace
}  // namespace lanes_test
