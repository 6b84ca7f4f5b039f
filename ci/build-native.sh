#!/usr/bin/env bash
# Configures once, then builds what changed: ci/build-native.sh [build folder] [target...]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build/native}
shift || true

for tool in cmake; do
  command -v $tool > /dev/null || { echo "$tool is missing: apt-get install cmake" >&2; exit 1; }
done
if ! command -v "${CXX:-c++}" > /dev/null && ! command -v g++ > /dev/null && ! command -v clang++ > /dev/null; then
  echo "a C++ compiler is missing: apt-get install g++" >&2
  exit 1
fi
if [ ! -f "$build/CMakeCache.txt" ] || { [ ! -f "$build/build.ninja" ] && [ ! -f "$build/Makefile" ]; }; then
  generator=()
  if command -v ninja > /dev/null; then
    generator=(-G Ninja)
  elif ! command -v make > /dev/null; then
    echo "make or ninja is missing: apt-get install make" >&2
    exit 1
  fi
  cmake -S "$root" -B "$build" "${generator[@]}" ${LANES_CMAKE_ARGS:-}
fi
targets=()
for target in "$@"; do targets+=(--target "$target"); done
cmake --build "$build" -j "${LANES_JOBS:-$(nproc)}" "${targets[@]}"
