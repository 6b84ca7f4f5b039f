#!/usr/bin/env bash
# Builds the native library for Linux on arm64 with Debian's cross compiler and runs its C++ tests in an emulator:
#   ci/cross-arm64.sh [build folder]
# Needs g++-aarch64-linux-gnu, qemu-user and GoogleTest's sources (libgtest-dev).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build/arm64}
for tool in aarch64-linux-gnu-g++ qemu-aarch64; do
  command -v $tool > /dev/null || { echo "lanes: please install: g++-aarch64-linux-gnu qemu-user libgtest-dev" >&2; exit 1; }
done
cmake -S "$root" -B "$build" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
  -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc \
  -DCMAKE_CROSSCOMPILING_EMULATOR="qemu-aarch64;-L;/usr/aarch64-linux-gnu"
cmake --build "$build" -j "${LANES_JOBS:-$(nproc)}"
cd "$build"
# The library check reads the objects with this machine's own tools.
ctest --output-on-failure --no-tests=error --exclude-regex shared_library
