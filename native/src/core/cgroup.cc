#include "core/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <string>

namespace lanes {
namespace {

std::string ReadFile(const std::string& path) {
  std::string text;
#if defined(__linux__)
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return text;
  char buffer[4096];
  ssize_t count;
  while ((count = read(file, buffer, sizeof buffer)) > 0 && text.size() < (1 << 20)) text.append(buffer, count);
  close(file);
#else
  (void)path;
#endif
  return text;
}

// The number after `key` at the start of a line; `missing` when there is none ("max" counts as none).
uint64_t Field(const std::string& text, const char* key, uint64_t missing) {
  size_t line = 0;
  const size_t length = strlen(key);
  while (line < text.size()) {
    if (text.compare(line, length, key) == 0) {
      size_t at = line + length;
      while (at < text.size() && (text[at] == ' ' || text[at] == ':')) ++at;
      if (at < text.size() && text[at] >= '0' && text[at] <= '9') return strtoull(text.c_str() + at, nullptr, 10);
      return missing;
    }
    line = text.find('\n', line);
    if (line == std::string::npos) break;
    ++line;
  }
  return missing;
}

// Whether `name` is an item of a comma-separated list.
bool Lists(const std::string& list, const std::string& name) {
  size_t begin = 0;
  while (begin <= list.size()) {
    const size_t end = std::min(list.find(',', begin), list.size());
    if (list.compare(begin, end - begin, name) == 0) return true;
    begin = end + 1;
  }
  return false;
}

// This process's path in the hierarchy of `controller` ("" for version 2), "" when there is none.
std::string GroupPath(const std::string& root, const char* controller) {
  const std::string text = ReadFile(root + "/proc/self/cgroup");
  size_t line = 0;
  while (line < text.size()) {
    size_t end = text.find('\n', line);
    if (end == std::string::npos) end = text.size();
    const std::string entry = text.substr(line, end - line);
    const size_t first = entry.find(':');
    const size_t second = first == std::string::npos ? first : entry.find(':', first + 1);
    if (second != std::string::npos) {
      // The list of controllers is empty for version 2.
      const std::string controllers = entry.substr(first + 1, second - first - 1);
      const bool matches = *controller == '\0' ? controllers.empty() : Lists(controllers, controller);
      if (matches) return entry.substr(second + 1);
    }
    line = end + 1;
  }
  return "";
}

// Calls `visit` with the folder of this process's group and of each group above it. `root` is where the file system begins.
template <class Visit>
void VisitGroups(const std::string& root, const std::string& mount, const char* controller, const Visit& visit) {
  std::string path = GroupPath(root, controller);
  if (path.empty()) return;
  while (true) {
    if (path == "/") path.clear();
    visit(root + mount + path);
    if (path.empty()) return;
    path.resize(path.rfind('/'));
  }
}

}  // namespace

double CgroupCpuQuota(const std::string& root) {
  double least = 0;
  const auto take = [&least](double quota) {
    if (quota > 0 && (least == 0 || quota < least)) least = quota;
  };
  VisitGroups(root, "/sys/fs/cgroup", "", [&](const std::string& folder) {
    const std::string text = ReadFile(folder + "/cpu.max");
    double quota = 0, period = 0;
    if (sscanf(text.c_str(), "%lf %lf", &quota, &period) == 2 && period > 0) take(quota / period);
  });
  VisitGroups(root, "/sys/fs/cgroup/cpu", "cpu", [&](const std::string& folder) {
    const double quota = atof(ReadFile(folder + "/cpu.cfs_quota_us").c_str());
    const double period = atof(ReadFile(folder + "/cpu.cfs_period_us").c_str());
    if (quota > 0 && period > 0) take(quota / period);
  });
  return least;
}

uint64_t AvailableMemory() {
  uint64_t available = UINT64_MAX;
  const uint64_t system = Field(ReadFile("/proc/meminfo"), "MemAvailable", UINT64_MAX);
  if (system != UINT64_MAX) available = system > UINT64_MAX / 1024 ? UINT64_MAX : system * 1024;
  const auto take = [&available](uint64_t limit, uint64_t used, uint64_t reclaimable) {
    if (limit == UINT64_MAX) return;
    const uint64_t held = used - std::min(used, reclaimable);
    available = std::min(available, limit - std::min(limit, held));
  };
  VisitGroups("", "/sys/fs/cgroup", "", [&](const std::string& folder) {
    take(Field(ReadFile(folder + "/memory.max"), "", UINT64_MAX), Field(ReadFile(folder + "/memory.current"), "", 0),
         Field(ReadFile(folder + "/memory.stat"), "inactive_file", 0));
  });
  VisitGroups("", "/sys/fs/cgroup/memory", "memory", [&](const std::string& folder) {
    take(Field(ReadFile(folder + "/memory.limit_in_bytes"), "", UINT64_MAX),
         Field(ReadFile(folder + "/memory.usage_in_bytes"), "", 0),
         Field(ReadFile(folder + "/memory.stat"), "total_inactive_file", 0));
  });
  return available;
}

}  // namespace lanes
