#!/usr/bin/env bash
# Makes sure that what the native build needs is here: a C++ compiler, CMake and GoogleTest. Installs what is missing
# through apt-get where that is allowed, and otherwise names it in one line. Quick and silent when nothing is missing.
set -euo pipefail

missing=()
command -v cmake >/dev/null || missing+=(cmake)
command -v "${CXX:-c++}" >/dev/null || missing+=(g++)
command -v make >/dev/null || command -v ninja >/dev/null || missing+=(make)
have_gtest() {
  local dir
  for dir in /usr /usr/local /opt/homebrew "${GTEST_ROOT:-/usr}"; do
    [ -f "$dir/include/gtest/gtest.h" ] && return 0
  done
  return 1
}
have_gtest || missing+=(libgtest-dev)
[ ${#missing[@]} -eq 0 ] && exit 0

bash "$(dirname "$0")/install.sh" "${missing[@]}" && exit 0
echo "lanes: please install: ${missing[*]} (Debian and Ubuntu package names), then run this again" >&2
exit 1
