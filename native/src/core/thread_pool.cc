#include "core/thread_pool.h"

#include <stdio.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <system_error>
#include <tuple>

#include "core/cpu_features.h"
#include "core/error.h"
#include "core/numeric.h"
#include "core/os.h"

namespace lanes {
namespace {

using Clock = std::chrono::steady_clock;

// Long enough to bridge the gap between two ops of a step, short enough that an idle pool costs nothing.
constexpr std::chrono::microseconds kSpinTime(60);
// From here on a spinning thread lets others have its CPU between two looks.
constexpr std::chrono::microseconds kYieldTime(20);
constexpr int kPausesPerClockRead = 32;
constexpr int kPausesBeforeYield = 2000;

inline void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

uint64_t Nanos(Clock::duration time) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
}

}  // namespace

ThreadPool::ThreadPool(int threads, bool pinned)
    : threads_(threads), process_(OsProcessId()), cpus_(LogicalCpus()), pinned_(pinned), shares_(new Share[threads]) {
  // Signals belong to the threads of the program (the JVM uses many); ours take none.
  const OsSignalsBlocked blocked;
  try {
    workers_.reserve(threads - 1);
    for (int worker = 1; worker < threads; ++worker) {
      workers_.emplace_back([this, worker] { WorkerLoop(worker); });
    }
  } catch (const std::system_error& e) {
    const int started = static_cast<int>(workers_.size());
    Stop();
    ThrowOutOfMemory("cannot start thread %d of %d: %s", started + 2, threads, e.what());
  } catch (...) {
    Stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { Stop(); }

std::shared_ptr<ThreadPool> ThreadPool::Shared(int threads, bool pinned) {
  // A single thread has nothing to share, and callers need not take turns.
  if (threads == 1) return std::make_shared<ThreadPool>(threads, pinned);
  struct Pools {
    std::mutex mutex;
    std::map<std::tuple<int, int, bool>, std::weak_ptr<ThreadPool>> live;
  };
  // Never destroyed: runtimes may be used by threads that outlive static destructors.
  static Pools& pools = *new Pools;
  std::lock_guard<std::mutex> lock(pools.mutex);
  // The threads of a pool do not follow a fork.
  std::weak_ptr<ThreadPool>& known = pools.live[{OsProcessId(), threads, pinned}];
  std::shared_ptr<ThreadPool> pool = known.lock();
  if (pool == nullptr) {
    pool = std::make_shared<ThreadPool>(threads, pinned);
    known = pool;
  }
  return pool;
}

void ThreadPool::Stop() {
  if (OsProcessId() != process_) {
    // After a fork the threads live in the parent only; there is nothing to join, and detaching forgets them.
    for (std::thread& worker : workers_) worker.detach();
    workers_.clear();
    return;
  }
  stopping_.store(true);
  state_.fetch_add(kNumber);
  state_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void ThreadPool::Run(int64_t items, int64_t grain, ParallelBody body, const void* argument) {
  if (items <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  const int64_t pieces = CeilDiv(items, grain);
  if (pieces == 1 || threads_ == 1) {
    // The caller alone: nobody is woken.
    for (int64_t begin = 0; begin < items; begin += grain) body(argument, begin, std::min(items, begin + grain), 0);
    return;
  }
  items_ = items;
  grain_ = grain;
  body_ = body;
  argument_ = argument;
  for (int worker = 0; worker < threads_; ++worker) {
    shares_[worker].next.store(pieces * worker / threads_, std::memory_order_relaxed);
    shares_[worker].end = pieces * (worker + 1) / threads_;
  }
  // Nobody is inside and the job is closed: only this thread changes state_ now.
  const uint32_t number = (state_.load(std::memory_order_relaxed) & ~(kInside | kOpen)) + kNumber;
  if (!timing_) {
    state_.store(number | kOpen);
    Wake();
    Work(0);
    Join();
    return;
  }
  for (int worker = 1; worker < threads_; ++worker) shares_[worker].busy = 0;
  const Clock::time_point begin = Clock::now();
  state_.store(number | kOpen);
  Wake();
  Work(0);
  const Clock::time_point done = Clock::now();
  Join();
  const Clock::time_point end = Clock::now();
  lost_.wait += Nanos(end - done);
  for (int worker = 1; worker < threads_; ++worker) {
    const uint64_t total = Nanos(end - begin);
    lost_.idle += total - std::min(total, shares_[worker].busy);
  }
}

void ThreadPool::Wake() {
  if (threads_ <= cpus_) {
    state_.notify_all();
    return;
  }
  // More threads than the machine can run at once would only take the CPU from each other.
  for (int i = 1; i < std::max(cpus_, 2); ++i) state_.notify_one();
}

// Closes the job and waits for those inside.
void ThreadPool::Join() {
  uint32_t state = state_.fetch_and(~kOpen, std::memory_order_acq_rel);
  for (int spins = 0; (state & kInside) != 0; ++spins) {
    if (spins < kPausesBeforeYield) {
      Pause();
    } else {
      std::this_thread::yield();
    }
    state = state_.load(std::memory_order_acquire);
  }
}

void ThreadPool::Work(int worker) {
  for (int i = 0; i < threads_; ++i) {
    Share& share = shares_[(worker + i) % threads_];
    while (share.next.load(std::memory_order_relaxed) < share.end) {
      const int64_t piece = share.next.fetch_add(1, std::memory_order_relaxed);
      if (piece >= share.end) break;
      const int64_t begin = piece * grain_;
      body_(argument_, begin, std::min(items_, begin + grain_), worker);
    }
  }
}

void ThreadPool::TimedWork(int worker) {
  const Clock::time_point begin = Clock::now();
  Work(worker);
  shares_[worker].busy = Nanos(Clock::now() - begin);
}

// True when there may be a job to look at; false after kSpinTime.
bool ThreadPool::SpinForJob(uint32_t seen) const {
  const Clock::time_point begin = Clock::now();
  while (true) {
    for (int i = 0; i < kPausesPerClockRead; ++i) {
      Pause();
      if (IsNewJob(state_.load(std::memory_order_acquire), seen)) return true;
    }
    if (stopping_.load(std::memory_order_relaxed)) return true;
    const Clock::duration spent = Clock::now() - begin;
    if (spent >= kSpinTime) return false;
    if (spent >= kYieldTime) std::this_thread::yield();
  }
}

void ThreadPool::WorkerLoop(int worker) {
  char name[16];
  snprintf(name, sizeof name, "lanes-%d", worker);
  OsNameThread(name);
  if (pinned_ && threads_ <= cpus_) OsPinThread(worker);
  uint32_t seen = 0;
  while (true) {
    uint32_t state = state_.load(std::memory_order_acquire);
    if (stopping_.load(std::memory_order_acquire)) return;
    if (IsNewJob(state, seen)) {
      const uint32_t number = state & ~(kInside | kOpen);
      // Entering counts only while the job is open: the exchange fails when it has been closed meanwhile.
      if (state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) {
        seen = number;
        if (timing_) {
          TimedWork(worker);
        } else {
          Work(worker);
        }
        state_.fetch_sub(1, std::memory_order_release);
      }
      continue;
    }
    if (threads_ <= cpus_ && SpinForJob(seen)) continue;
    state = state_.load(std::memory_order_acquire);
    if (IsNewJob(state, seen)) continue;
    if (stopping_.load(std::memory_order_acquire)) return;
    state_.wait(state, std::memory_order_acquire);
  }
}

}  // namespace lanes
