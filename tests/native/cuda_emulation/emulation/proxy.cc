#include "emulation/proxy.h"

#include <string.h>

#include <memory>

#include "emulation/machine.h"

namespace lanes::cuda::emulation {

namespace {

constexpr uint32_t kUnit = 16;

// Of one block.
struct View {
  uint64_t run = 0;  // of the cluster that it belongs to
  uint32_t fences = 0;
  uint32_t fences_then[kSharedWindow / kUnit];
  unsigned char bytes[kSharedWindow];
};

View& ViewOf(uint32_t rank) {
  static std::unique_ptr<View> views[kMaxCluster];
  if (views[rank] == nullptr) views[rank] = std::make_unique<View>();
  View& view = *views[rank];
  if (view.run != m.cluster.run) {
    const uint32_t used = kSharedStart + m.cluster.shared_bytes;
    view.run = m.cluster.run;
    view.fences = 0;
    memset(view.fences_then, 0, (used + kUnit - 1) / kUnit * sizeof view.fences_then[0]);
    memset(view.bytes, 0xFF, used);  // as the memory itself begins
  }
  return view;
}

}  // namespace

void FenceProxy() { ++ViewOf(current->block->rank).fences; }

void AsyncWrote(const unsigned char* shared, uint32_t bytes) {
  const auto offset = static_cast<uint32_t>(shared - m.arena);
  View& view = ViewOf(offset / kSharedWindow);
  const uint32_t begin = offset % kSharedWindow;
  memcpy(view.bytes + begin, shared, bytes);
  for (uint32_t unit = begin / kUnit; unit < (begin + bytes) / kUnit; ++unit) view.fences_then[unit] = view.fences;
}

void AsyncReads(const unsigned char* shared, uint32_t bytes, const char* what) {
  const auto offset = static_cast<uint32_t>(shared - m.arena);
  View& view = ViewOf(offset / kSharedWindow);
  for (uint32_t at = offset % kSharedWindow, end = at + bytes; at < end; at += kUnit, shared += kUnit) {
    if (memcmp(view.bytes + at, shared, kUnit) == 0) continue;
    uint32_t& then = view.fences_then[at / kUnit];
    if (then == view.fences) {
      Fault("%s reads what ordinary instructions have written at offset %u of shared memory, and no ProxyFence since", what,
            at - kSharedStart);
    }
    memcpy(view.bytes + at, shared, kUnit);
    then = view.fences;
  }
}

}  // namespace lanes::cuda::emulation
