#include "core/thread_pool.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "core/cpu_features.h"
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

TEST_F(ThreadPoolTest, AllWhoAskForTheSameShareAPoolUntilTheLastIsGone) {
  std::shared_ptr<lanes::ThreadPool> first = lanes::ThreadPool::Shared(3, false);
  std::shared_ptr<lanes::ThreadPool> second = lanes::ThreadPool::Shared(3, false);
  EXPECT_EQ(first, second);
  EXPECT_NE(first, lanes::ThreadPool::Shared(2, false));
  EXPECT_NE(first, lanes::ThreadPool::Shared(3, true));
  // A single thread has nothing to share.
  EXPECT_NE(lanes::ThreadPool::Shared(1, false), lanes::ThreadPool::Shared(1, false));
  const std::weak_ptr<lanes::ThreadPool> watched = first;
  first.reset();
  EXPECT_FALSE(watched.expired());
  second.reset();
  EXPECT_TRUE(watched.expired());
}

TEST_F(ThreadPoolTest, CallersOfASharedPoolTakeTurns) {
  const std::shared_ptr<lanes::ThreadPool> pool = lanes::ThreadPool::Shared(3, false);
  std::atomic<int> inside{0}, overlaps{0};
  const char owners[4] = {};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int round = 0; round < 500; ++round) {
        pool->turns().Take(&owners[caller]);
        if (++inside != 1) ++overlaps;
        std::atomic<int64_t> sum{0};
        RunPool(*pool, 20, 1, [&](int64_t begin, int64_t, int) { sum += begin; });
        if (sum != 190) ++overlaps;
        --inside;
        pool->turns().Give();
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(overlaps, 0);
}

// One owner comes back at once, again and again, until the other has had its turns: no end, were it starved.
TEST_F(ThreadPoolTest, NobodyKeepsTheTurnFromOthers) {
  lanes::Turns turns;
  std::atomic<bool> done{false};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  std::thread greedy([&] {
    while (!done && std::chrono::steady_clock::now() < deadline) {
      turns.Take(&done);
      turns.Give();
    }
  });
  int taken = 0;
  for (; taken < 20; ++taken) {
    turns.Take(&taken);
    turns.Give();
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  EXPECT_LT(std::chrono::steady_clock::now(), deadline);
  done = true;
  greedy.join();
  EXPECT_EQ(taken, 20);
}

TEST_F(ThreadPoolTest, CountsWhatIsLostOnlyWhenTimed) {
  lanes::ThreadPool pool(2);
  const auto work = [](int64_t, int64_t, int worker) {
    if (worker != 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  };
  for (int round = 0; round < 20; ++round) RunPool(pool, 8, 1, work);
  EXPECT_EQ(pool.lost().wait, 0u);
  EXPECT_EQ(pool.lost().idle, 0u);
  pool.set_timing(true);
  // Until the second worker was caught in the middle of a piece at least once.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (pool.lost().wait == 0 && std::chrono::steady_clock::now() < deadline) RunPool(pool, 8, 1, work);
  EXPECT_GT(pool.lost().wait, 0u);
}

#if defined(__linux__)
int AllowedCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

TEST_F(ThreadPoolTest, PinnedWorkersStayOnOneCpuAndTheCallerIsLeftAlone) {
  if (lanes::LogicalCpus() < 2) GTEST_SKIP() << "one CPU";
  const int before = AllowedCpus();
  for (const bool pinned : {false, true}) {
    lanes::ThreadPool pool(2, pinned);
    std::atomic<int> cpus{0};
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (cpus == 0 && std::chrono::steady_clock::now() < deadline) {
      RunPool(pool, 4, 1, [&](int64_t, int64_t, int worker) {
        if (worker == 1) cpus = AllowedCpus();
        if (worker == 0) std::this_thread::yield();
      });
    }
    EXPECT_EQ(cpus, pinned ? 1 : before);
    EXPECT_EQ(AllowedCpus(), before);
  }
}

#if !defined(__SANITIZE_THREAD__)
// As under `taskset -c N`: one CPU is seen, and pools wider than that, pinned or not, still do all work.
TEST_F(ThreadPoolTest, OneAllowedCpuIsEnough) {
  const pid_t child = fork();
  if (child == 0) {
    cpu_set_t set, one;
    if (sched_getaffinity(0, sizeof set, &set) != 0) _exit(0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &set)) ++cpu;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) _exit(0);
    if (lanes::LogicalCpus() != 1) _exit(2);
    for (const int threads : {1, 2, 64}) {
      for (const bool pinned : {false, true}) {
        lanes::ThreadPool pool(threads, pinned);
        for (int round = 0; round < 50; ++round) {
          std::atomic<int64_t> sum{0};
          RunPool(pool, 100, 1, [&](int64_t begin, int64_t, int) { sum += begin; });
          if (sum != 4950) _exit(1);
        }
      }
    }
    _exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}
#endif
#endif

TEST_F(ThreadPoolTest, RuntimesThatShareThreadsWorkSideBySide) {
  constexpr int kRuntimes = 3;
  std::vector<float> gate(4000), up(4000);
  for (size_t i = 0; i < gate.size(); ++i) gate[i] = static_cast<float>(i % 17), up[i] = static_cast<float>(i % 5);
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  std::vector<RuntimePtr> runtimes;
  for (int i = 0; i < kRuntimes; ++i) runtimes.push_back(MakeRuntime(LANES_ISA_AUTO, 2));
  for (int i = 0; i < kRuntimes; ++i) {
    callers.emplace_back([&, i] {
      std::vector<float> y(gate.size());
      lanes_gate_params p = {};
      p.size = sizeof p;
      p.activation = LANES_ACTIVATION_NONE;
      p.rows = 1;
      p.cols = p.gate_stride = p.up_stride = p.y_stride = static_cast<int64_t>(gate.size());
      p.gate = gate.data();
      p.up = up.data();
      p.y = y.data();
      p.gate_len = p.up_len = p.y_len = gate.size();
      // One by one, and in lists that keep the threads until another runtime wants them.
      const std::vector<lanes_call> calls(20, lanes_call{LANES_CALL_GATE, 0, &p});
      for (int round = 0; round < 300; ++round) {
        std::fill(y.begin(), y.end(), -1.0f);
        lanes_runtime* const runtime = runtimes[i].get();
        const int32_t status = round % 2 == 0 ? lanes_gate(runtime, &p) : lanes_run(runtime, calls.data(), calls.size());
        if (status != LANES_OK) ++wrong;
        for (size_t j = 0; j < y.size(); ++j) wrong += y[j] != gate[j] * up[j];
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
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
