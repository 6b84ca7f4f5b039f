#include "support/buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>

#include "support/device.h"

namespace lanes_test {

GuardedPages::GuardedPages(uint64_t bytes) {
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t usable = (bytes + page - 1) / page * page;
  mapping_bytes_ = usable + page;
  mapping_ = mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping_ == MAP_FAILED) throw std::runtime_error("mmap");
  end_ = static_cast<char*>(mapping_) + usable;
  if (mprotect(end_, page, PROT_NONE) != 0) throw std::runtime_error("mprotect");
  PageLock(mapping_, usable);
}

GuardedPages::~GuardedPages() {
  if (end_ != mapping_) PageUnlock(mapping_);
  munmap(mapping_, mapping_bytes_);
}

}  // namespace lanes_test
