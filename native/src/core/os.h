// What the core needs of the operating system.
#ifndef LANES_CORE_OS_H_
#define LANES_CORE_OS_H_

#include <stdint.h>

#include <vector>

namespace lanes {

// CPUs that this process may run on, 0 when the system does not say.
int OsCpus();

int OsProcessId();

// Shows in debuggers and profilers; at most 15 characters.
void OsNameThread(const char* name);

// Keeps the calling thread on the CPU with this number among those that the process may run on; does nothing where the system
// cannot, or has no such CPU.
void OsPinThread(int cpu);

// Threads that are started while one lives take none of the process's signals.
class OsSignalsBlocked {
 public:
  OsSignalsBlocked();
  ~OsSignalsBlocked();
  OsSignalsBlocked(const OsSignalsBlocked&) = delete;
  OsSignalsBlocked& operator=(const OsSignalsBlocked&) = delete;

 private:
  std::vector<unsigned char> before_;
};

// A multiple of `alignment`, a power of two; nullptr when there is none. Not zeroed.
void* OsAllocate(uint64_t alignment, uint64_t bytes);
void OsFree(void* memory);

// Zeroed pages, huge ones where the size suits and the system gives them. `bytes` is rounded up to whole pages.
struct OsPages {
  void* address;  // nullptr when there are none
  uint64_t bytes;
};
OsPages OsMap(uint64_t bytes);
void OsUnmap(const OsPages& pages);

// Bytes of them that the system backs with memory already; 0 when it does not say.
uint64_t OsResident(const OsPages& pages);

}  // namespace lanes

#endif  // LANES_CORE_OS_H_
