#include "abi/check.h"

#include <cmath>
#include <exception>
#include <new>

namespace lanes {
namespace {

using LongLong = long long;

// Bytes from the first element to behind the last.
uintptr_t Extent(const Region& r) { return static_cast<uintptr_t>((r.rows - 1) * r.stride_bytes + r.row_bytes); }

bool Overlap(const Region& a, const Region& b) {
  if (a.rows <= 0 || b.rows <= 0 || a.row_bytes <= 0 || b.row_bytes <= 0) return false;
  const uintptr_t a_begin = reinterpret_cast<uintptr_t>(a.data), b_begin = reinterpret_cast<uintptr_t>(b.data);
  if (a_begin >= b_begin + Extent(b) || b_begin >= a_begin + Extent(a)) return false;
  if (a.stride_bytes != b.stride_bytes || a.rows == 1 || b.rows == 1) return true;
  // Rows of both come at the same distance: they meet when their places inside that distance do.
  const uintptr_t stride = static_cast<uintptr_t>(a.stride_bytes);
  const uintptr_t ahead = a_begin >= b_begin ? (a_begin - b_begin) % stride : (stride - (b_begin - a_begin) % stride) % stride;
  return ahead < static_cast<uintptr_t>(b.row_bytes) || stride - ahead < static_cast<uintptr_t>(a.row_bytes);
}

}  // namespace

int32_t ReportException(const char* function) noexcept {
  try {
    throw;
  } catch (const Error& e) {
    SetLastError(function, e.message());
    return e.status();
  } catch (const std::bad_alloc&) {
    SetLastError(function, "out of memory");
    return LANES_ERROR_OUT_OF_MEMORY;
  } catch (const std::exception& e) {
    SetLastError(function, e.what());
    return LANES_ERROR_INTERNAL;
  } catch (...) {
    SetLastError(function, "unknown exception");
    return LANES_ERROR_INTERNAL;
  }
}

void CheckAligned(const void* pointer, uint64_t alignment, const char* name) {
  if (reinterpret_cast<uintptr_t>(pointer) % alignment != 0) {
    ThrowInvalid("%s (%p) is not aligned to its elements of %llu bytes", name, pointer,
                 static_cast<unsigned long long>(alignment));
  }
}

void CheckRange(int64_t value, int64_t lowest, int64_t highest, const char* name) {
  if (value >= lowest && value <= highest) return;
  if (highest == INT64_MAX) {
    ThrowInvalid("%s is %lld: expected at least %lld", name, static_cast<LongLong>(value), static_cast<LongLong>(lowest));
  }
  ThrowInvalid("%s is %lld: expected %lld to %lld", name, static_cast<LongLong>(value), static_cast<LongLong>(lowest),
               static_cast<LongLong>(highest));
}

void CheckActivation(int32_t activation) {
  CheckRange(activation, LANES_ACTIVATION_NONE, LANES_ACTIVATION_TANH, "activation");
}

void CheckFinite(double value, const char* name) {
  if (!std::isfinite(value)) ThrowInvalid("%s is %g: expected a finite number", name, value);
}

void CheckScale(float scale, const char* name) {
  CheckFinite(scale, name);
  if (scale < 0) ThrowInvalid("%s is %g: expected 0 or more", name, static_cast<double>(scale));
}

void CheckQuantizedOutput(const QuantizedRows& rows, int64_t count, int64_t cols) {
  CheckScale(rows.static_scale, "output_scale");
  if (rows.q == nullptr) {
    if (rows.scale != nullptr || rows.static_scale != 0) ThrowInvalid("yq is NULL, but y_scale or output_scale is given");
    return;
  }
  CheckMatrix(rows.q, rows.q_len, count, cols, rows.q_stride, "yq");
  CheckArray(rows.scale, rows.scale_len, count, "y_scale");
  CheckDisjoint(RegionOf(rows.q, count, cols, rows.q_stride, "yq"), RegionOf(rows.scale, count, "y_scale"));
}

void CheckArray(const void* data, uint64_t length, int64_t count, uint64_t element_bytes, const char* name) {
  CheckMatrix(data, length, count == 0 ? 0 : 1, count, count, element_bytes, name);
}

void CheckMatrix(const void* data, uint64_t length, int64_t rows, int64_t cols, int64_t stride, uint64_t element_bytes,
                 const char* name) {
  if (rows == 0 || cols == 0) return;
  if (data == nullptr) ThrowInvalid("%s is NULL", name);
  CheckAligned(data, element_bytes, name);
  if (stride < cols) {
    ThrowInvalid("%s_stride is %lld: expected at least the row's %lld elements", name, static_cast<LongLong>(stride),
                 static_cast<LongLong>(cols));
  }
  const int64_t needed = CheckedAdd(CheckedMul(rows - 1, stride, name), cols, name);
  CheckedMul(needed, static_cast<int64_t>(element_bytes), name);
  if (static_cast<uint64_t>(needed) > length) {
    ThrowInvalid("%s_len is %llu: [%lld, %lld] with a stride of %lld needs %lld elements", name,
                 static_cast<unsigned long long>(length), static_cast<LongLong>(rows), static_cast<LongLong>(cols),
                 static_cast<LongLong>(stride), static_cast<LongLong>(needed));
  }
}

void CheckDisjoint(const Region& a, const Region& b) {
  if (Overlap(a, b)) ThrowInvalid("%s and %s overlap", a.name, b.name);
}

void CheckDisjointOrSame(const Region& a, const Region& b) {
  if (a.data == b.data && (a.stride_bytes == b.stride_bytes || a.rows <= 1)) return;
  if (Overlap(a, b)) ThrowInvalid("%s and %s overlap without being the same", a.name, b.name);
}

void CheckReachable(const lanes_runtime& runtime, std::initializer_list<Region> regions) {
  Accelerator* const device = runtime.context.device().get();
  if (device == nullptr) return;
  for (const Region& region : regions) {
    if (region.rows > 0 && region.row_bytes > 0) {
      device->CheckReachable(region.data, static_cast<int64_t>(Extent(region)), region.name);
    }
  }
}

void CheckSameDevice(const lanes_runtime& runtime, const Accelerator* device, const char* name) {
  const Accelerator* const expected = runtime.context.device().get();
  if (device == expected) return;
  const char* const where = device == nullptr ? "in host memory" : "on a device";
  ThrowInvalid("%s is %s: expected one that was created with a runtime of %s", name, where,
               expected == nullptr ? "the CPU, or with none" : "the same device");
}

std::shared_ptr<Accelerator> DeviceOfParams(const lanes_runtime* runtime) {
  if (runtime == nullptr) return nullptr;
  const Pinned<const lanes_runtime> pinned(runtime, "params->runtime");
  return pinned->context.device();
}

}  // namespace lanes
