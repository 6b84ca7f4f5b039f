#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

namespace lanes {
namespace {

thread_local char last_error[kMessageBytes];

// Appends to a text of `used` bytes, cutting what does not fit; returns the new length.
size_t Append(char* to, size_t used, const char* from) {
  const size_t length = strnlen(from, kMessageBytes - 1 - used);
  memcpy(to + used, from, length);
  to[used + length] = '\0';
  return used + length;
}

[[noreturn]] void Throw(int32_t status, const char* format, va_list arguments) {
  char text[kMessageBytes];
  vsnprintf(text, sizeof text, format, arguments);
  throw Error(status, text);
}

}  // namespace

Error::Error(int32_t status, const char* message) : status_(status) { Append(message_, 0, message); }

void ThrowInvalid(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Throw(LANES_ERROR_INVALID_ARGUMENT, format, arguments);
}

void ThrowOutOfMemory(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Throw(LANES_ERROR_OUT_OF_MEMORY, format, arguments);
}

void ThrowUnsupported(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Throw(LANES_ERROR_UNSUPPORTED, format, arguments);
}

void ThrowDevice(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Throw(LANES_ERROR_DEVICE, format, arguments);
}

void ThrowInternal(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Throw(LANES_ERROR_INTERNAL, format, arguments);
}

void SetLastError(const char* function, const char* message) noexcept {
  size_t used = Append(last_error, 0, function);
  if (used > 0) used = Append(last_error, used, ": ");
  Append(last_error, used, message);
}

const char* LastError() noexcept { return last_error; }

}  // namespace lanes
