// Failures inside the library: thrown as Error, turned into a status and a message at the ABI.
#ifndef LANES_CORE_ERROR_H_
#define LANES_CORE_ERROR_H_

#include <stdint.h>

#include "lanes/lanes.h"

namespace lanes {

inline constexpr int kMessageBytes = 512;

// Carries its text by value: reporting that memory is out must not need memory.
class Error {
 public:
  Error(int32_t status, const char* message);
  int32_t status() const { return status_; }
  const char* message() const { return message_; }

 private:
  int32_t status_;
  char message_[kMessageBytes];
};

// printf-like; they throw Error.
[[noreturn]] void ThrowInvalid(const char* format, ...) __attribute__((format(printf, 1, 2)));
[[noreturn]] void ThrowOutOfMemory(const char* format, ...) __attribute__((format(printf, 1, 2)));
[[noreturn]] void ThrowUnsupported(const char* format, ...) __attribute__((format(printf, 1, 2)));
[[noreturn]] void ThrowDevice(const char* format, ...) __attribute__((format(printf, 1, 2)));
[[noreturn]] void ThrowInternal(const char* format, ...) __attribute__((format(printf, 1, 2)));

// The calling thread's message, as lanes_last_error returns it: "<function>: <message>", or "" when both are empty.
void SetLastError(const char* function, const char* message) noexcept;
const char* LastError() noexcept;

}  // namespace lanes

#endif  // LANES_CORE_ERROR_H_
