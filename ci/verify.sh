#!/usr/bin/env bash
# The full check of one platform: build, all tests, packaged jars, sanitizers, CUDA; on Linux x86_64 also arm64 in an emulator. Called
# by every CI.
set -euo pipefail
cd "$(dirname "$0")/.."
step() { printf '\n== %s (%s)\n' "$1" "$(date -u +%H:%M:%S)"; }

step "Set-up"
bash ci/setup.sh
command -v java >/dev/null && command -v mvn >/dev/null || { echo "lanes: needs a JDK 17 or newer and Maven" >&2; exit 1; }

step "Build, C++ tests, Java tests, jars: mvn -B verify"
mvn -B -ntp verify

step "Packaged jars"
bash ci/check-jars.sh

if [ -f build/native/emulated/liblanes.so ]; then
  step "GPU benchmark: its calls, on the emulated GPU"
  LANES_GPU_EMULATED=1 LANES_GPU_BUILD=build/native bash ci/gpu.sh --only kernels
fi

step "The command a newcomer runs"
bash ci/smoke.sh

if [ "$(uname -s)" = Linux ] && [ "${LANES_SANITIZE:-1}" = 1 ]; then
  step "Sanitizers"
  bash ci/sanitize.sh
fi

skipped=
optional() { # <title> <what is skipped where the script exits with 3: what it needs is not here> <script>
  local status=0
  step "$1"
  bash "$3" || status=$?
  case $status in
    0) ;;
    3) skipped="$skipped, without $2" ;;
    *) exit $status ;;
  esac
}
if [ "$(uname -s)" = Linux ] && [ "${LANES_CUDA:-1}" = 1 ]; then
  optional "CUDA: the packaged jar" CUDA ci/cuda.sh
fi
if [ "$(uname -sm)" = "Linux x86_64" ] && [ "${LANES_CROSS:-1}" = 1 ]; then
  optional "arm64: C++ tests in an emulator" arm64 ci/cross-arm64.sh
fi
step "Done$skipped"
