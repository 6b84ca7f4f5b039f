#!/usr/bin/env bash
# Builds the native library for Linux on arm64 with Debian's cross compiler and runs its C++ tests in an emulator, as a CPU that
# has everything and as one of plain ARMv8-A. Installs what is missing through apt-get where that is allowed, and exits with 3
# where it cannot run at all.
#   ci/cross-arm64.sh [build folder]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build/arm64}
jobs=${LANES_JOBS:-$(nproc)}
export LANES_JOBS=$jobs

missing=()
command -v aarch64-linux-gnu-g++ >/dev/null || missing+=(g++-aarch64-linux-gnu)
command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
# Its sources: the library that is installed is for this machine.
[ -f /usr/src/googletest/CMakeLists.txt ] || missing+=(libgtest-dev)
if [ ${#missing[@]} -ne 0 ] && ! bash "$root/ci/install.sh" "${missing[@]}"; then
  echo "lanes: SKIPPED: the arm64 kernels were neither built nor tested here; that needs ${missing[*]} (Debian and Ubuntu package names)" >&2
  exit 3
fi

LANES_CMAKE_ARGS="-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ \
  -DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64;-L;/usr/aarch64-linux-gnu -DLANES_BUILD_BENCH=OFF" \
  bash "$root/ci/build-native.sh" "$build"

run() { # <CPU> <GoogleTest filter> [ctest options]
  local cpu=$1 filter=$2
  shift 2
  echo "lanes: emulated $cpu"
  (cd "$build" && QEMU_CPU=$cpu GTEST_FILTER=$filter GTEST_BRIEF=1 ctest --output-on-failure --no-tests=error -j "$jobs" "$@")
}
# All tests. The oracle's attention checks itself on every other platform, and would take half of the time here.
run max '-*AttentionTest*reference'
# What depends on the CPU beyond ARMv8-A: the choice of instructions, and products that lack theirs. The one in the middle has
# int8 dot products and nothing later; emulators older than 7.1 do not know it.
if qemu-aarch64 -cpu help | grep -qw cortex-a76; then
  run cortex-a76 '-*reference' -R '^(abi|linear_s8)_test$'
fi
run cortex-a53 '-*reference' -R '^(abi|math|linear|linear_s8|weight|weight_s8)_test$'
