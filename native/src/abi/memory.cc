// Memory of a runtime's device, and copies to and from it.
#include <cstring>

#include "abi/check.h"
#include "core/cgroup.h"
#include "core/memory.h"

using namespace lanes;

namespace {

CopyRows CheckedCopy(const lanes_copy_params* params) {
  const lanes_copy_params p = ReadParams(params);
  CheckRange(p.rows, 0, INT64_MAX, "rows");
  CheckRange(p.row_bytes, 0, INT64_MAX, "row_bytes");
  CheckMatrix(p.src, p.src_bytes, p.rows, p.row_bytes, p.src_stride, 1, "src");
  CheckMatrix(p.dst, p.dst_bytes, p.rows, p.row_bytes, p.dst_stride, 1, "dst");
  return {p.dst, p.dst_stride, p.src, p.src_stride, p.row_bytes == 0 ? 0 : p.rows, p.row_bytes};
}

Region From(const CopyRows& rows) { return {rows.from, rows.rows, rows.row_bytes, rows.from_stride, "src"}; }
Region To(const CopyRows& rows) { return {rows.to, rows.rows, rows.row_bytes, rows.to_stride, "dst"}; }

void CopyOnHost(const CopyRows& rows) {
  CheckDisjoint(From(rows), To(rows));
  for (int64_t r = 0; r < rows.rows; ++r) {
    memcpy(static_cast<char*>(rows.to) + r * rows.to_stride, static_cast<const char*>(rows.from) + r * rows.from_stride,
           static_cast<size_t>(rows.row_bytes));
  }
}

}  // namespace

int32_t lanes_runtime_alloc(lanes_runtime* runtime, uint64_t bytes, int32_t tag, void** out) {
  return Guard("lanes_runtime_alloc", [&] {
    CheckOut(out, "out");
    *out = nullptr;
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const auto& device = pinned->context.device();
    *out = device ? device->Allocate(bytes, tag) : Allocate(bytes, tag);
  });
}

int32_t lanes_runtime_free(lanes_runtime* runtime, void* memory) {
  return Guard("lanes_runtime_free", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    if (const auto& device = pinned->context.device()) {
      device->Free(memory);
    } else {
      Free(memory);
    }
  });
}

int32_t lanes_upload(lanes_runtime* runtime, const lanes_copy_params* params) {
  return Guard("lanes_upload", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const CopyRows rows = CheckedCopy(params);
    CheckReachable(*pinned, {To(rows)});
    if (const auto& device = pinned->context.device()) {
      device->CopyIn(rows);
    } else {
      CopyOnHost(rows);
    }
  });
}

int32_t lanes_download(lanes_runtime* runtime, const lanes_copy_params* params) {
  return Guard("lanes_download", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const CopyRows rows = CheckedCopy(params);
    CheckReachable(*pinned, {From(rows)});
    if (const auto& device = pinned->context.device()) {
      device->CopyOut(rows);
    } else {
      CopyOnHost(rows);
    }
  });
}

int32_t lanes_synchronize(lanes_runtime* runtime) {
  return Guard("lanes_synchronize", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    if (const auto& device = pinned->context.device()) device->Synchronize();
  });
}

int32_t lanes_get_runtime_memory(lanes_runtime* runtime, lanes_runtime_memory* memory) {
  return Guard("lanes_get_runtime_memory", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    lanes_runtime_memory now = {};
    if (const auto& device = pinned->context.device()) {
      device->GetMemory(&now);
    } else {
      GetMemoryByTag(&now);
      now.free_bytes = AvailableMemory();
    }
    WriteResult(memory, now, "memory");
  });
}

int32_t lanes_reset_runtime_memory_peak(lanes_runtime* runtime) {
  return Guard("lanes_reset_runtime_memory_peak", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    if (const auto& device = pinned->context.device()) {
      device->ResetMemoryPeak();
    } else {
      ResetMemoryPeak();
    }
  });
}

int32_t lanes_fail_device(lanes_runtime* runtime) {
  return Guard("lanes_fail_device", [&] {
    const Pinned<lanes_runtime> pinned(runtime, "runtime");
    const auto& device = pinned->context.device();
    if (!device) ThrowUnsupported("a CPU does not fail");
    device->Fail();
  });
}
