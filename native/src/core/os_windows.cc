#if defined(_WIN32)

#define WIN32_LEAN_AND_MEAN
#include <malloc.h>
#include <windows.h>

#include "core/os.h"

namespace lanes {

int OsCpus() {
  DWORD_PTR mine = 0, all = 0;
  if (GetProcessAffinityMask(GetCurrentProcess(), &mine, &all) && mine != 0) return __builtin_popcountll(mine);
  return static_cast<int>(GetActiveProcessorCount(ALL_PROCESSOR_GROUPS));
}

int OsProcessId() { return static_cast<int>(GetCurrentProcessId()); }

void OsNameThread(const char*) {}

void OsPinThread(int cpu) {
  DWORD_PTR mine = 0, all = 0;
  if (!GetProcessAffinityMask(GetCurrentProcess(), &mine, &all)) return;
  for (DWORD_PTR bit = 1; bit != 0; bit <<= 1) {
    if ((mine & bit) != 0 && cpu-- == 0) {
      SetThreadAffinityMask(GetCurrentThread(), bit);
      return;
    }
  }
}

// Windows has no signals that a thread could take.
OsSignalsBlocked::OsSignalsBlocked() {}
OsSignalsBlocked::~OsSignalsBlocked() {}

void* OsAllocate(uint64_t alignment, uint64_t bytes) { return _aligned_malloc(bytes, alignment); }

void OsFree(void* memory) { _aligned_free(memory); }

OsPages OsMap(uint64_t bytes) {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  if (bytes > UINT64_MAX / 2) return {nullptr, 0};
  const uint64_t wanted = (bytes + info.dwPageSize - 1) / info.dwPageSize * info.dwPageSize;
  void* const memory = VirtualAlloc(nullptr, wanted, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
  return {memory, memory == nullptr ? 0 : wanted};
}

void OsUnmap(const OsPages& pages) { VirtualFree(pages.address, 0, MEM_RELEASE); }

// Committed pages are set aside by the system at once.
uint64_t OsResident(const OsPages& pages) { return pages.bytes; }

}  // namespace lanes

#endif
