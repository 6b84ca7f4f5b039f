#!/usr/bin/env bash
# Configures once, then builds what changed: ci/build-native.sh [build folder] [target...]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build/native}
shift || true

"$root/ci/setup.sh"
if [ ! -f "$build/CMakeCache.txt" ] || { [ ! -f "$build/build.ninja" ] && [ ! -f "$build/Makefile" ]; }; then
  generator=()
  if command -v ninja > /dev/null; then
    generator=(-G Ninja)
  fi
  cmake -S "$root" -B "$build" "${generator[@]}" ${LANES_CMAKE_ARGS:-}
fi
targets=()
for target in "$@"; do targets+=(--target "$target"); done
# Silent when there is nothing to do.
cmake --build "$build" -j "${LANES_JOBS:-$(nproc)}" "${targets[@]}" | sed -e '/no work to do/d' -e '/Re-checking globbed/d' -e '/^\[100%\] Built target/d'
