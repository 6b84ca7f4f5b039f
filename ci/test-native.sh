#!/usr/bin/env bash
# Builds and runs the native tests: ci/test-native.sh [build folder] [ctest options...]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build/native}
shift || true
"$root/ci/build-native.sh" "$build"
cd "$build"
# A build without tests must not look like one whose tests passed.
ctest --output-on-failure --no-tests=error --parallel "${LANES_JOBS:-$(nproc)}" "$@"
