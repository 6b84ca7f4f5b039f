#!/usr/bin/env bash
# All native tests under AddressSanitizer and UndefinedBehaviorSanitizer, then the tests with threads under ThreadSanitizer.
#   ci/sanitize.sh [asan|tsan]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
which=${1:-all}

build() { # <name> <sanitizers>
  LANES_CMAKE_ARGS="-DLANES_SANITIZE=$2 -DLANES_BUILD_BENCH=OFF" "$root/ci/build-native.sh" "$root/build/$1"
}

if [ "$which" = all ] || [ "$which" = asan ]; then
  build asan address,undefined
  # The oracle's bits are compared with each other in the plain build; here that alone would take a third of the time.
  GTEST_FILTER='-*AttentionTest.BitsDoNotDepend*reference' \
    ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:strict_string_checks=1 \
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 "$root/ci/test-native.sh" "$root/build/asan"
fi
if [ "$which" = all ] || [ "$which" = tsan ]; then
  build tsan thread
  TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 \
    "$root/ci/test-native.sh" "$root/build/tsan" -R '^(thread_pool|abi|memory|embed|weight|weight_s8)_test$'
  for test in linear linear_s8; do
    TSAN_OPTIONS=halt_on_error=1 "$root/build/tsan/tests/${test}_test" --gtest_brief=1 --gtest_filter='*Threads*-*reference'
  done
fi
