#if !defined(_WIN32)

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#if defined(__linux__)
#include <sched.h>
#endif

#include "core/os.h"

namespace lanes {
namespace {

constexpr uint64_t kHugePage = 2 << 20;

uint64_t PageBytes() { return static_cast<uint64_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

#if defined(__linux__)
namespace {

// CPUs that the calling thread may run on, ascending; none when the system does not say.
std::vector<int> AllowedCpus() {
  std::vector<int> cpus;
  // Machines with more CPUs than cpu_set_t holds need a wider set.
  for (int bits = 1024; bits <= 65536 && cpus.empty(); bits *= 4) {
    cpu_set_t* set = CPU_ALLOC(bits);
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(bits);
    if (sched_getaffinity(0, bytes, set) == 0) {
      for (int cpu = 0; cpu < bits; ++cpu) {
        if (CPU_ISSET_S(cpu, bytes, set)) cpus.push_back(cpu);
      }
    }
    CPU_FREE(set);
  }
  return cpus;
}

}  // namespace

int OsCpus() {
  const int cpus = static_cast<int>(AllowedCpus().size());
  return cpus > 0 ? cpus : std::max(0, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
}

void OsPinThread(int cpu) {
  const std::vector<int> cpus = AllowedCpus();
  if (cpu < 0 || cpu >= static_cast<int>(cpus.size())) return;
  const int bits = cpus[cpu] + 1;
  cpu_set_t* set = CPU_ALLOC(bits);
  if (set == nullptr) return;
  CPU_ZERO_S(CPU_ALLOC_SIZE(bits), set);
  CPU_SET_S(cpus[cpu], CPU_ALLOC_SIZE(bits), set);
  pthread_setaffinity_np(pthread_self(), CPU_ALLOC_SIZE(bits), set);
  CPU_FREE(set);
}
#else
int OsCpus() { return std::max(0, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN))); }

void OsPinThread(int) {}
#endif

int OsProcessId() { return static_cast<int>(getpid()); }

void OsNameThread(const char* name) {
#if defined(__linux__)
  pthread_setname_np(pthread_self(), name);
#else
  (void)name;
#endif
}

OsSignalsBlocked::OsSignalsBlocked() : before_(sizeof(sigset_t)) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  memcpy(before_.data(), &before, sizeof before);
}

OsSignalsBlocked::~OsSignalsBlocked() {
  sigset_t before;
  memcpy(&before, before_.data(), sizeof before);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void* OsAllocate(uint64_t alignment, uint64_t bytes) {
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, bytes) == 0 ? memory : nullptr;
}

void OsFree(void* memory) { free(memory); }

OsPages OsMap(uint64_t bytes) {
  if (bytes > UINT64_MAX / 2) return {nullptr, 0};
  const uint64_t slack = bytes >= kHugePage ? kHugePage : 0, page = PageBytes();
  const uint64_t wanted = (bytes + page - 1) / page * page;
  void* const mapping = mmap(nullptr, wanted + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return {nullptr, 0};
  char* aligned = static_cast<char*>(mapping);
  if (slack != 0) {
    // A huge page needs an address that is a multiple of it; the ends that stick out go back.
    const uint64_t lead = (kHugePage - reinterpret_cast<uintptr_t>(mapping) % kHugePage) % kHugePage;
    aligned += lead;
    if (lead != 0) munmap(mapping, lead);
    if (slack != lead) munmap(aligned + wanted, slack - lead);
#if defined(MADV_HUGEPAGE)
    madvise(aligned, wanted, MADV_HUGEPAGE);
#endif
  }
  return {aligned, wanted};
}

void OsUnmap(const OsPages& pages) { munmap(pages.address, pages.bytes); }

uint64_t OsResident(const OsPages& pages) {
#if defined(__linux__)
  const uint64_t page = PageBytes();
  std::vector<unsigned char> resident((pages.bytes + page - 1) / page);
  if (mincore(pages.address, pages.bytes, resident.data()) != 0) return 0;
  return page * static_cast<uint64_t>(std::count_if(resident.begin(), resident.end(), [](unsigned char p) { return p & 1; }));
#else
  (void)pages;
  return 0;
#endif
}

}  // namespace lanes

#endif
