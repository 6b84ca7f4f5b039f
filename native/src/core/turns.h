// Who may use a pool of threads that several runtimes share.
#ifndef LANES_CORE_TURNS_H_
#define LANES_CORE_TURNS_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace lanes {

// A lock that is cheap for an owner who comes back again and again, as a model does op after op, and fair among owners: while
// somebody waits, an owner keeps coming back for a slice of time only, then the first in the queue has its own. A lock that
// changed hands with every op would cost a thread's waking each time; a plain one would let the others starve.
class Turns {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::microseconds kSlice{2000};

  // Waits for a turn. `owner` tells apart who keeps a slice: the runtime.
  void Take(const void* owner);
  void Give();
  // Whether anybody waits: whoever keeps a turn over several ops then gives it up between two of them.
  bool Wanted() const { return waiting_.load(std::memory_order_relaxed) != 0; }

 private:
  // The queue looks this often whether the last owner has stopped coming back.
  static constexpr std::chrono::microseconds kPoll{500};

  std::mutex mutex_;
  std::condition_variable given_;
  bool taken_ = false;
  const void* last_ = nullptr;
  Clock::time_point slice_end_;
  // Numbers of the queue: those in [serving_, next_) wait.
  uint64_t serving_ = 0, next_ = 0;
  std::atomic<int> waiting_{0};
};

}  // namespace lanes

#endif  // LANES_CORE_TURNS_H_
