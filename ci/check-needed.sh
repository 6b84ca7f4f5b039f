#!/usr/bin/env bash
# Prints which shared libraries one of ours needs; fails where that is more than the C library and libgcc, which every Linux system has.
#   ci/check-needed.sh <library> [others that it may need...]
# For a library of another machine LANES_BINUTILS names its tools' prefix, such as aarch64-linux-gnu-.
set -euo pipefail
library=$1
shift
needed=$("${LANES_BINUTILS:-}readelf" -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
for name in $needed; do
  case $name in
    libc.so.6 | libm.so.6 | libpthread.so.0 | libdl.so.2 | librt.so.1 | libgcc_s.so.1 | ld-linux*.so.*) continue ;;
  esac
  case " $* " in
    *" $name "*) ;;
    *) echo "check-needed: $(basename "$library") needs $name" >&2; exit 1 ;;
  esac
done
echo $needed
