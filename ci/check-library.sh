#!/usr/bin/env bash
# The shared library exports the header's functions and nothing else, needs only the C library and libgcc_s, and carries no run
# path; no object of ours calls abort, exit or assert; and no object of an ISA offers the linker a function that the rest of
# the library could end up with, instructions unknown to an older CPU included.
#   ci/check-library.sh <liblanes.so> <lanes.h> [objects...]
# For a library of another machine LANES_BINUTILS names its tools' prefix, such as aarch64-linux-gnu-.
set -euo pipefail
library=$1
header=$2
shift 2
tools=${LANES_BINUTILS:-}
fail() { echo "check-library: $*" >&2; exit 1; }

exported=$("${tools}nm" -D --defined-only "$library" | awk '{print $NF}' | sed 's/@.*//' | sort)
declared=$(grep -oE '^LANES_API [^(]*\b(lanes_[a-z0-9_]+)\(' "$header" | grep -oE 'lanes_[a-z0-9_]+\(' | tr -d '(' | sort)
undeclared=$(comm -23 <(echo "$exported") <(echo "$declared"))
missing=$(comm -13 <(echo "$exported") <(echo "$declared"))
[ -z "$undeclared" ] || fail "exported, but not in lanes.h: $undeclared"
[ -z "$missing" ] || fail "in lanes.h, but not exported: $missing"

needed=$(bash "$(dirname "$0")/check-needed.sh" "$library")
! "${tools}readelf" -d "$library" | grep -qE 'RPATH|RUNPATH' || fail "carries a run path"

# The highest symbol version of the C library says on which distributions it loads; RHEL 9 and
# Amazon Linux 2023 have 2.34. (libgcc is linked dynamically for that: the static one of GCC 12 needs 2.35.)
floor=${LANES_GLIBC_FLOOR:-2.34}
highest=$("${tools}objdump" -T "$library" | grep -oE 'GLIBC_[0-9.]+' | sed 's/GLIBC_//' | sort -Vu | tail -1)
[ "$(printf '%s\n%s\n' "$highest" "$floor" | sort -V | tail -1)" = "$floor" ] || fail "needs glibc $highest, more than $floor"

for object in "$@"; do
  calls=$("${tools}nm" -u "$object" | awk '{print $NF}' | grep -xE 'abort|exit|_exit|_Exit|quick_exit|__assert_fail' || true)
  [ -z "$calls" ] || fail "$(basename "$object") calls $calls"
  case $object in
    *_avx*.o | *_neon*.o)
      # What names the ISA's namespace is its own; the reference to the personality routine of exceptions is data.
      weak=$("${tools}nm" "$object" | awk '$2 ~ /^[WVu]$/ && $3 !~ /^DW\.ref\.|5lanes[0-9]+(avx|neon)/ {print $3}')
      [ -z "$weak" ] || fail "$(basename "$object") offers $weak"
      ;;
  esac
done

echo "check-library: $# objects, $(echo "$exported" | wc -l) functions, glibc $highest, needs: $needed"
