#include "core/thread_pool.h"

#include <stdio.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "core/cpu_features.h"
#include "core/error.h"
#include "core/numeric.h"
#include "core/os.h"

namespace lanes {
namespace {

// Long enough to bridge the gap between two ops of a step, short enough that an idle pool costs nothing.
constexpr std::chrono::microseconds kSpinTime(60);
constexpr int kPausesPerClockRead = 32;

inline void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads)
    : threads_(threads),
      process_(OsProcessId()),
      spin_(threads <= LogicalCpus()),
      shares_(new Share[threads]) {
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
  state_.store(number | kOpen);
  state_.notify_all();
  Work(0);
  uint32_t state = state_.fetch_and(~kOpen, std::memory_order_acq_rel);
  for (int spins = 0; (state & kInside) != 0; ++spins) {
    if (spins < 2000) {
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

void ThreadPool::WorkerLoop(int worker) {
  char name[16];
  snprintf(name, sizeof name, "lanes-%d", worker);
  OsNameThread(name);
  uint32_t seen = 0;
  while (true) {
    uint32_t state = state_.load(std::memory_order_acquire);
    if (stopping_.load(std::memory_order_acquire)) return;
    const uint32_t number = state & ~(kInside | kOpen);
    if ((state & kOpen) != 0 && number != seen) {
      // Entering counts only while the job is open: the exchange fails when it has been closed meanwhile.
      if (state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) {
        seen = number;
        Work(worker);
        state_.fetch_sub(1, std::memory_order_release);
      }
      continue;
    }
    if (spin_) {
      const auto deadline = std::chrono::steady_clock::now() + kSpinTime;
      bool changed = false;
      while (!changed && std::chrono::steady_clock::now() < deadline) {
        for (int i = 0; i < kPausesPerClockRead && !changed; ++i) {
          Pause();
          const uint32_t now = state_.load(std::memory_order_acquire);
          changed = (now & kOpen) != 0 && (now & ~(kInside | kOpen)) != seen;
        }
        changed = changed || stopping_.load(std::memory_order_relaxed);
      }
      if (changed) continue;
    }
    state = state_.load(std::memory_order_acquire);
    if ((state & kOpen) != 0 && (state & ~(kInside | kOpen)) != seen) continue;
    if (stopping_.load(std::memory_order_acquire)) return;
    state_.wait(state, std::memory_order_acquire);
  }
}

}  // namespace lanes
