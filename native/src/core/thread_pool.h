// Persistent workers that share out the pieces of one job at a time.
#ifndef LANES_CORE_THREAD_POOL_H_
#define LANES_CORE_THREAD_POOL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "core/parallel.h"

namespace lanes {

// The caller of Run is worker 0 and needs nobody: it does whatever the others have not taken, and waits only for those who
// are in the middle of a piece. So a pool wider than the machine, or the child of a fork, is slower but never stuck.
// Run must not be called by two threads at once, nor from inside a body.
class ThreadPool {
 public:
  // threads >= 1, the caller included. Throws Error when the system refuses a thread.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  void Run(int64_t items, int64_t grain, ParallelBody body, const void* argument);

 private:
  // A worker's share of the job; whoever runs dry takes from the others' shares.
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  // state_: count of workers inside the job (low 12 bits), then "open", then the job's number.
  static constexpr uint32_t kInside = 0xFFF;
  static constexpr uint32_t kOpen = 0x1000;
  static constexpr uint32_t kNumber = 0x2000;

  void WorkerLoop(int worker);
  void Work(int worker);
  void Stop();

  const int threads_;
  const int process_;
  const bool spin_;
  std::unique_ptr<Share[]> shares_;
  int64_t items_ = 0;
  int64_t grain_ = 1;
  ParallelBody body_ = nullptr;
  const void* argument_ = nullptr;
  alignas(64) std::atomic<uint32_t> state_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
};

inline constexpr int kMaxThreads = 1024;

}  // namespace lanes

#endif  // LANES_CORE_THREAD_POOL_H_
