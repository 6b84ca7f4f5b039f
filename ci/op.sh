#!/usr/bin/env bash
# The loop of someone who works on one op: builds its tests and runs them, on every ISA of this machine.
#   ci/op.sh linear [GoogleTest options, for example --gtest_filter=*Cases*]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
op=${1:?usage: ci/op.sh <op> [GoogleTest options]; ops: $(cd "$root/tests/native" && ls *_test.cc | sed 's/_test.cc//' | tr '\n' ' ')}
shift
build=${LANES_BUILD:-$root/build/native}
"$root/ci/build-native.sh" "$build" "${op}_test"
exec "$build/tests/${op}_test" --gtest_brief=1 "$@"
