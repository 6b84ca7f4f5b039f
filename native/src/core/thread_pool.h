// Persistent workers that share out the pieces of one job at a time.
#ifndef LANES_CORE_THREAD_POOL_H_
#define LANES_CORE_THREAD_POOL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "core/parallel.h"
#include "core/turns.h"

namespace lanes {

// The caller of Run is worker 0 and needs nobody: it does whatever the others have not taken, and waits only for those who
// are in the middle of a piece. So a pool wider than the machine, or the child of a fork, is slower but never stuck; and no
// more of its workers are woken than the machine has CPUs for.
// Run must not be called by two threads at once (see turns()), nor from inside a body.
class ThreadPool {
 public:
  // threads >= 1, the caller included. Throws Error when the system refuses a thread.
  // `pinned`: each worker stays on a CPU of its own, where the system can do that and there are as many. The caller is not
  // ours to pin.
  explicit ThreadPool(int threads, bool pinned = false);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // The pool that all callers who ask for the same share; it ends with the last of them. Throws like the constructor.
  static std::shared_ptr<ThreadPool> Shared(int threads, bool pinned);

  int threads() const { return threads_; }
  bool pinned() const { return pinned_; }
  void Run(int64_t items, int64_t grain, ParallelBody body, const void* argument);

  // Whoever calls Run holds a turn.
  Turns& turns() { return turns_; }

  // What parallel regions lost, in nanoseconds; grows while Run is called with timing switched on.
  struct Lost {
    uint64_t wait = 0;  // the caller, done, for workers in the middle of a piece
    uint64_t idle = 0;  // all workers: before they came and after they ran dry
  };
  void set_timing(bool on) { timing_ = on; }
  const Lost& lost() const { return lost_; }

 private:
  // A worker's share of the job; whoever runs dry takes from the others' shares.
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
    uint64_t busy = 0;  // nanoseconds inside the job, when timed
  };

  // state_: count of workers inside the job (low 12 bits), then "open", then the job's number.
  static constexpr uint32_t kInside = 0xFFF;
  static constexpr uint32_t kOpen = 0x1000;
  static constexpr uint32_t kNumber = 0x2000;

  void WorkerLoop(int worker);
  bool SpinForJob(uint32_t seen) const;
  bool IsNewJob(uint32_t state, uint32_t seen) const {
    return (state & kOpen) != 0 && (state & ~(kInside | kOpen)) != seen;
  }
  void Wake();
  void Work(int worker);
  void TimedWork(int worker);
  void Join();
  void Stop();

  const int threads_;
  const int process_;
  const int cpus_;
  const bool pinned_;
  std::unique_ptr<Share[]> shares_;
  int64_t items_ = 0;
  int64_t grain_ = 1;
  ParallelBody body_ = nullptr;
  const void* argument_ = nullptr;
  bool timing_ = false;
  Lost lost_;
  Turns turns_;
  alignas(64) std::atomic<uint32_t> state_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
};

inline constexpr int kMaxThreads = 1024;

}  // namespace lanes

#endif  // LANES_CORE_THREAD_POOL_H_
