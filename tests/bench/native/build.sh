#!/usr/bin/env bash
# Builds the benchmarks' own native library. Usage: build.sh OUTPUT_DIRECTORY JAVA_HOME
set -euo pipefail
out=$1
java_home=$2
source_file=$(dirname "${BASH_SOURCE[0]}")/ceilings.c
library=$out/liblanesbench.so
if [[ $library -nt $source_file && $library -nt ${BASH_SOURCE[0]} ]]; then
  exit 0
fi
mkdir -p "$out"
"${CC:-cc}" -std=c11 -O2 -Wall -Wextra -shared -fPIC -pthread -I"$java_home/include" -I"$java_home/include/linux" \
  "$source_file" -o "$library.tmp" -ldl
mv "$library.tmp" "$library"
