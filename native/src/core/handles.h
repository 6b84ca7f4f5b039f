// Which handles are live. A pointer that is not a live handle of the right kind is refused, never followed; and a handle
// that an op is using is not destroyed under it.
#ifndef LANES_CORE_HANDLES_H_
#define LANES_CORE_HANDLES_H_

#include <type_traits>

#include "lanes/lanes.h"

namespace lanes {

enum class HandleKind { kRuntime, kWeight, kKvPool };

template <class T>
struct HandleKindOf;
template <>
struct HandleKindOf<lanes_runtime> {
  static constexpr HandleKind value = HandleKind::kRuntime;
};
template <>
struct HandleKindOf<lanes_weight> {
  static constexpr HandleKind value = HandleKind::kWeight;
};
template <>
struct HandleKindOf<lanes_kv_pool> {
  static constexpr HandleKind value = HandleKind::kKvPool;
};

struct HandleEntry;

void AddHandle(const void* handle, HandleKind kind);
// Throws Error (INVALID_ARGUMENT) unless live; `name` is the argument's name for the message. What it returns is to be unpinned.
HandleEntry* PinHandle(const void* handle, HandleKind kind, const char* name);
void UnpinHandle(HandleEntry* entry) noexcept;
// From here on the handle is refused; returns when the last pin is gone. The caller then deletes the object.
void RemoveHandle(const void* handle, HandleKind kind, const char* name);

// The runtime that this thread has pinned already for a run of several calls, or null.
extern thread_local const lanes_runtime* run_runtime;

// A handle kept alive for the duration of a call.
template <class T>
class Pinned {
 public:
  Pinned(T* handle, const char* name) : handle_(handle) {
    if constexpr (std::is_same_v<std::remove_const_t<T>, lanes_runtime>) {
      if (handle != nullptr && handle == run_runtime) return;
    }
    entry_ = PinHandle(handle, HandleKindOf<std::remove_const_t<T>>::value, name);
  }
  ~Pinned() {
    if (entry_ != nullptr) UnpinHandle(entry_);
  }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  T& operator*() const { return *handle_; }
  T* operator->() const { return handle_; }

 private:
  T* handle_;
  HandleEntry* entry_ = nullptr;  // null in a run, whose pin covers this one
};

}  // namespace lanes

#endif  // LANES_CORE_HANDLES_H_
