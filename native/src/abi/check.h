// What every entry point of lanes.h does with its arguments before an op sees them.
#ifndef LANES_ABI_CHECK_H_
#define LANES_ABI_CHECK_H_

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>

#include "core/error.h"
#include "core/handles.h"
#include "core/numeric.h"
#include "core/runtime.h"
#include "lanes/lanes.h"

namespace lanes {

// Called inside a catch block: keeps the exception's message for lanes_last_error, and returns its status.
int32_t ReportException(const char* function) noexcept;

// Runs the body of an entry point: whatever is thrown becomes a status and this thread's message.
template <class Body>
int32_t Guard(const char* function, const Body& body) noexcept {
  try {
    body();
    SetLastError("", "");
    return LANES_OK;
  } catch (...) {
    return ReportException(function);
  }
}

void CheckAligned(const void* pointer, uint64_t alignment, const char* name);

// The caller's struct, as long as it says it is; what an older caller lacks reads as zero.
template <class Params>
Params ReadParams(const Params* params) {
  if (params == nullptr) ThrowInvalid("params is NULL");
  CheckAligned(params, alignof(Params), "params");
  const uint64_t size = params->size;
  if (size < sizeof(uint64_t) || size > sizeof(Params)) {
    ThrowInvalid("params->size is %llu: expected at most %llu (was it set to sizeof?)", static_cast<unsigned long long>(size),
                 static_cast<unsigned long long>(sizeof(Params)));
  }
  Params copy;
  memset(&copy, 0, sizeof copy);
  memcpy(&copy, params, size);
  return copy;
}

// Fills the part of an output struct that the caller knows; its `size` stays.
template <class Result>
void WriteResult(Result* out, const Result& value, const char* name) {
  if (out == nullptr) ThrowInvalid("%s is NULL", name);
  CheckAligned(out, alignof(Result), name);
  const uint64_t size = out->size;
  if (size < sizeof(uint64_t) || size > sizeof(Result)) {
    ThrowInvalid("%s->size is %llu: expected at most %llu (was it set to sizeof?)", name,
                 static_cast<unsigned long long>(size), static_cast<unsigned long long>(sizeof(Result)));
  }
  memcpy(out, &value, size);
  out->size = size;
}

template <class T>
void CheckOut(T** out, const char* name) {
  if (out == nullptr) ThrowInvalid("%s is NULL", name);
}

// lowest <= value <= highest.
void CheckRange(int64_t value, int64_t lowest, int64_t highest, const char* name);

void CheckActivation(int32_t activation);

// A finite float.
void CheckFinite(double value, const char* name);

// A finite float, at least 0.
void CheckScale(float scale, const char* name);

// `length` elements of `element_bytes` hold `count` of them; the pointer may be null only when count is 0.
void CheckArray(const void* data, uint64_t length, int64_t count, uint64_t element_bytes, const char* name);

// The same for [rows, cols] with a stride (in elements) of at least cols. rows and cols must have been checked to be >= 0.
void CheckMatrix(const void* data, uint64_t length, int64_t rows, int64_t cols, int64_t stride, uint64_t element_bytes,
                 const char* name);

template <class T>
void CheckArray(const T* data, uint64_t length, int64_t count, const char* name) {
  CheckArray(data, length, count, sizeof(T), name);
}
template <class T>
void CheckMatrix(const T* data, uint64_t length, int64_t rows, int64_t cols, int64_t stride, const char* name) {
  CheckMatrix(data, length, rows, cols, stride, sizeof(T), name);
}

// Quantized rows that an op writes: q [rows, cols] with its scales [rows], and the static scale, or 0. rows and cols have been
// checked to be >= 0. Without q there must be nothing of it.
struct QuantizedRows {
  int8_t* q;
  uint64_t q_len;
  int64_t q_stride;
  float* scale;
  uint64_t scale_len;
  float static_scale;
};
void CheckQuantizedOutput(const QuantizedRows& rows, int64_t count, int64_t cols);

// A checked matrix or array, for the rules on aliasing. An array is one row.
struct Region {
  const void* data;
  int64_t rows;
  int64_t row_bytes;
  int64_t stride_bytes;
  const char* name;
};

template <class T>
Region RegionOf(const T* data, int64_t rows, int64_t cols, int64_t stride, const char* name) {
  return {data, data == nullptr ? 0 : rows, static_cast<int64_t>(cols * sizeof(T)), static_cast<int64_t>(stride * sizeof(T)),
          name};
}
template <class T>
Region RegionOf(const T* data, int64_t count, const char* name) {
  return RegionOf(data, 1, count, count, name);
}

// Refuses an output that shares memory with an input (or another output). Column slices of one matrix do not.
void CheckDisjoint(const Region& a, const Region& b);
// The same, except that both may begin at the same address when their strides agree.
void CheckDisjointOrSame(const Region& a, const Region& b);

// What an op reads and writes on the runtime's device must be within that one's reach. Nothing to do on the CPU.
void CheckReachable(const lanes_runtime& runtime, std::initializer_list<Region> regions);

// A weight or pool must be on the runtime's device; null stands for host memory.
void CheckSameDevice(const lanes_runtime& runtime, const Accelerator* device, const char* name);

// The device of the runtime that a params struct names, null for the CPU and where it names none.
std::shared_ptr<Accelerator> DeviceOfParams(const lanes_runtime* runtime);

}  // namespace lanes

#endif  // LANES_ABI_CHECK_H_
