#!/usr/bin/env bash
# Runs the native tests of a build: ci/test-native.sh [build folder] [ctest options...]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build/native}
shift || true
cd "$build"
# A build without tests must not look like one whose tests passed.
ctest --output-on-failure --no-tests=error "$@"
