#include "core/handles.h"

#include <condition_variable>
#include <mutex>
#include <unordered_map>

#include "core/error.h"

namespace lanes {

struct HandleEntry {
  HandleKind kind;
  int64_t pins;
  bool closing;
};

namespace {

struct Table {
  std::mutex mutex;
  std::condition_variable unpinned;
  // An entry stays where it is until it is erased, which waits for its pins.
  std::unordered_map<const void*, HandleEntry> entries;
};

Table& GetTable() {
  static Table& table = *new Table;
  return table;
}

const char* KindName(HandleKind kind) {
  switch (kind) {
    case HandleKind::kRuntime:
      return "runtime";
    case HandleKind::kWeight:
      return "weight";
    case HandleKind::kKvPool:
      return "KV pool";
  }
  return "handle";
}

HandleEntry& Find(Table& table, const void* handle, HandleKind kind, const char* name) {
  if (handle == nullptr) ThrowInvalid("%s is NULL: expected a live %s", name, KindName(kind));
  const auto found = table.entries.find(handle);
  if (found == table.entries.end() || found->second.closing) {
    ThrowInvalid("%s (%p) is not a live %s", name, handle, KindName(kind));
  }
  if (found->second.kind != kind) {
    ThrowInvalid("%s (%p) is a %s: expected a %s", name, handle, KindName(found->second.kind), KindName(kind));
  }
  return found->second;
}

}  // namespace

thread_local const lanes_runtime* run_runtime = nullptr;

void AddHandle(const void* handle, HandleKind kind) {
  Table& table = GetTable();
  std::lock_guard<std::mutex> lock(table.mutex);
  table.entries.emplace(handle, HandleEntry{kind, 0, false});
}

HandleEntry* PinHandle(const void* handle, HandleKind kind, const char* name) {
  Table& table = GetTable();
  std::lock_guard<std::mutex> lock(table.mutex);
  HandleEntry& entry = Find(table, handle, kind, name);
  entry.pins += 1;
  return &entry;
}

void UnpinHandle(HandleEntry* entry) noexcept {
  Table& table = GetTable();
  std::lock_guard<std::mutex> lock(table.mutex);
  if (--entry->pins == 0 && entry->closing) table.unpinned.notify_all();
}

void RemoveHandle(const void* handle, HandleKind kind, const char* name) {
  Table& table = GetTable();
  std::unique_lock<std::mutex> lock(table.mutex);
  HandleEntry& entry = Find(table, handle, kind, name);
  entry.closing = true;
  table.unpinned.wait(lock, [&entry] { return entry.pins == 0; });
  table.entries.erase(handle);
}

}  // namespace lanes
