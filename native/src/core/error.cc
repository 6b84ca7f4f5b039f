#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

namespace lanes {
namespace {

thread_local char last_error[kMessageBytes];

void Copy(char* to, const char* from) {
  const size_t length = strnlen(from, kMessageBytes - 1);
  memcpy(to, from, length);
  to[length] = '\0';
}

[[noreturn]] void Throw(int32_t status, const char* format, va_list arguments) {
  char text[kMessageBytes];
  vsnprintf(text, sizeof text, format, arguments);
  throw Error(status, text);
}

}  // namespace

Error::Error(int32_t status, const char* message) : status_(status) { Copy(message_, message); }

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

void ThrowInternal(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Throw(LANES_ERROR_INTERNAL, format, arguments);
}

void SetLastError(const char* message) noexcept { Copy(last_error, message); }

const char* LastError() noexcept { return last_error; }

}  // namespace lanes
