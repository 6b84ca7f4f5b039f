#!/usr/bin/env bash
# Builds the CUDA flavour for all its targets and checks the packaged jar on a machine without a GPU: what it holds and needs, that it loads, and
# what it answers. Run after mvn package. Exits with 3 where there is no nvcc.
#   LANES_CUDA_ARCHITECTURES    fewer targets, to save time (default: 80;90;100;120;ptx)
set -euo pipefail
cd "$(dirname "$0")/.."
command -v nvcc > /dev/null || PATH=$PATH:/usr/local/cuda/bin
command -v nvcc > /dev/null || { echo "cuda: skipped, there is no nvcc here"; exit 3; }
fail() { echo "cuda: $*" >&2; exit 1; }
most_bytes=$((10 * 1000 * 1000))

mvn -B -ntp -q -Pcuda -pl java/kernels -DskipTests package
version=$(sed -n 's/^  <version>\(.*\)<\/version>$/\1/p' pom.xml | head -n 1)
platform=linux-$(uname -m | sed 's/aarch64/arm64/')
jar=java/kernels/target/lanes-kernels-$version-$platform-cuda.jar
folder=dev/lanes/kernels/$platform-cuda
found=$(unzip -Z1 "$jar" | grep -v '/$' | grep -v '^META-INF/' | sort)
[ "$found" = "$(printf '%s\n' "$folder/libjnilanes.so" "$folder/liblanes.so")" ] || fail "$jar holds: $found"
bytes=$(stat -c %s "$jar")
[ "$bytes" -lt $most_bytes ] || fail "$jar has $bytes bytes, more than $most_bytes"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unzip -q "$jar" -d "$work"
# The driver is all that a user should have to install.
needed=$(bash ci/check-needed.sh "$work/$folder/liblanes.so")
targets=$(python3 ci/gpu-targets.py "$work/$folder/liblanes.so" | tr '\n' ';')
for architecture in $(tr ';' ' ' <<< "${LANES_CUDA_ARCHITECTURES:-80;90;100;120;ptx}"); do
  target="sm_$architecture cubin"
  [ "$architecture" != ptx ] || target="sm_80 ptx"
  case $targets in *"$target"*) ;; *) fail "no code for $target: $targets" ;; esac
done
echo "$jar: $bytes bytes; needs: $needed; $targets"

# The command line with this jar in front, as a user who added the classifier has it.
lanes() { java -cp "$jar:java/cli/target/lanes.jar" dev.lanes.cli.Main "$@"; }
lanes info | tee "$work/info"
grep -q "$platform-cuda" "$work/info" || fail "the CUDA flavour was not loaded"
if nvidia-smi > /dev/null 2>&1; then
  echo "there is a GPU here: ci/gpu.sh tests it"
else
  grep -q "no CUDA device: " "$work/info" || fail "lanes info does not say why there is no CUDA device"
  code=0
  lanes generate --device cuda --prompt a --quiet > "$work/out" 2> "$work/err" || code=$?
  [ $code -ne 0 ] && grep -q "no CUDA device: " "$work/err" || fail "--device cuda: exit $code, $(cat "$work/err")"
  [ "$(lanes generate --prompt "Once upon a time" --quiet | wc -w)" -gt 50 ] || fail "the CUDA flavour tells no story on the CPU"
fi
echo "cuda: all well"
