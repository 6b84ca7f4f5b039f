#!/usr/bin/env bash
# The full check of one platform: build, all tests, packaged jars, sanitizers. Called by every CI.
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
step "Done"
