#!/usr/bin/env bash
# Builds the library with the CUDA backend, <build folder>/cuda/liblanes.so, and checks it as the other one is checked. Exits with 3
# where there is no nvcc. The CPU's kernels are those of the library without, compiled once for both.
#   ci/build-cuda.sh [build folder] [target...]     LANES_CUDA_ARCHITECTURES=90 compiles for one GPU only
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build/native}
shift || true
if ! command -v nvcc > /dev/null && [ ! -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ]; then
  echo "lanes: SKIPPED: the CUDA backend was not built; that needs nvcc of CUDA 13.0 or later" >&2
  exit 3
fi
architectures=-DLANES_CUDA_ARCHITECTURES=${LANES_CUDA_ARCHITECTURES:-80;90;100;120;ptx}
# A folder that is configured already may be so for other GPUs.
if [ -f "$build/CMakeCache.txt" ]; then
  cmake -DLANES_CUDA=ON "$architectures" "$build" > /dev/null
fi
export LANES_CMAKE_ARGS="${LANES_CMAKE_ARGS:-} -DLANES_CUDA=ON $architectures"
if [ $# -eq 0 ]; then set -- lanes_cuda; fi
bash "$root/ci/build-native.sh" "$build" "$@"
bash "$root/ci/check-library.sh" "$build/cuda/liblanes.so" "$root/native/include/lanes/lanes.h"
