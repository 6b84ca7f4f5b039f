#include "core/turns.h"

namespace lanes {

void Turns::Take(const void* owner) {
  std::unique_lock<std::mutex> lock(mutex_);
  const bool queue = serving_ != next_;
  if (!taken_ && (!queue || (owner == last_ && Clock::now() < slice_end_))) {
    taken_ = true;
    last_ = owner;
    return;
  }
  if (!queue) slice_end_ = Clock::now() + kSlice;
  const uint64_t number = next_++;
  ++waiting_;
  // Whoever finds its slice over joins the queue and lets the first one in.
  given_.notify_all();
  while (taken_ || serving_ != number) given_.wait_for(lock, kPoll);
  ++serving_;
  --waiting_;
  taken_ = true;
  last_ = owner;
  slice_end_ = Clock::now() + kSlice;
}

void Turns::Give() {
  std::lock_guard<std::mutex> lock(mutex_);
  taken_ = false;
}

}  // namespace lanes
