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

step "The command a newcomer runs"
bash ci/smoke.sh

if [ "$(uname -s)" = Linux ] && [ "${LANES_SANITIZE:-1}" = 1 ]; then
  step "Sanitizers"
  bash ci/sanitize.sh
fi

skipped=
if [ "$(uname -s)" = Linux ] && [ "${LANES_CUDA:-1}" = 1 ]; then
  step "CUDA: every target, the packaged jar"
  status=0
  bash ci/cuda.sh || status=$?
  # 3: there is no nvcc.
  [ $status -eq 3 ] && skipped=", without CUDA"
  [ $status -eq 0 ] || [ $status -eq 3 ] || exit $status
fi
if [ "$(uname -sm)" = "Linux x86_64" ] && [ "${LANES_CROSS:-1}" = 1 ]; then
  step "arm64: C++ tests in an emulator"
  status=0
  bash ci/cross-arm64.sh || status=$?
  # 3: what it needs is not here.
  [ $status -eq 3 ] && skipped="$skipped, without arm64"
  [ $status -eq 0 ] || [ $status -eq 3 ] || exit $status
fi
step "Done$skipped"
