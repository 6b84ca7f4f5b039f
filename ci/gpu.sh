#!/usr/bin/env bash
# Builds the CUDA backend on a machine with an NVIDIA GPU, tests it there and measures it, in under nine minutes:
#   ci/gpu.sh [--only PART[,PART...]] [--kernels REGEX]
# Parts: build, native (C++ tests), java (Java tests, models against their reference outputs), kernels (each beside PyTorch's libraries), models
# (whole models). Another part, sanitize, takes minutes of its own and runs only when it is named: compute-sanitizer's memcheck, racecheck,
# synccheck and initcheck over the C++ tests.
#
# Needs nvcc 13, CMake, Python with PyTorch; and build/gpu-kit.tar.xz from ci/gpu-kit.sh for GoogleTest, Java and the checkpoints. What is
# missing is said and skipped, and the last line counts it.
#   LANES_GPU_OUT   where figures and logs go (default: build/gpu-out)
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
parts=build,native,java,kernels,models
kernels=
while [ $# -gt 0 ]; do
  case $1 in
    --only) parts=$2; shift 2 ;;
    --kernels) kernels=$2; shift 2 ;;
    *) echo "usage: ci/gpu.sh [--only build,native,java,kernels,models,sanitize] [--kernels REGEX]" >&2; exit 2 ;;
  esac
done
out=${LANES_GPU_OUT:-build/gpu-out}
build=build/gpu
kit=build/gpu-kit
library=$root/$build/cuda/liblanes.so
mkdir -p "$out"
begin=$SECONDS
failed=()
skipped=()
wanted() { case ",$parts," in *",$1,"*) ;; *) return 1 ;; esac; printf '\n== %s (%d s)\n' "$1" $((SECONDS - begin)); }
skip() { echo "skipped: $1: $2"; skipped+=("$1"); }

command -v nvcc > /dev/null || export PATH=$PATH:/usr/local/cuda/bin
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || { echo "gpu.sh: there is no NVIDIA GPU here" >&2; exit 1; }
git log -1 --format='commit %h of %cs' 2> /dev/null || true
[ -d "$kit" ] || [ ! -f "$kit.tar.xz" ] || tar -C build -xf "$kit.tar.xz"

if wanted build; then
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
  gtest=(-DLANES_BUILD_TESTS=OFF)
  [ -d "$kit/googletest" ] && gtest=(-DLANES_BUILD_TESTS=ON "-DLANES_GTEST_SOURCES=$root/$kit/googletest")
  [ ${#gtest[@]} -eq 2 ] || skip native "no GoogleTest: build/gpu-kit.tar.xz is not here"
  { cmake -S . -B "$build" -DLANES_CUDA=ON "-DLANES_CUDA_ARCHITECTURES=$capability" "${gtest[@]}" \
      && cmake --build "$build" -j "$(nproc)" --target lanes_cuda $([ ${#gtest[@]} -eq 2 ] && echo lanes_cuda_tests); } > "$out/build.log" 2>&1 \
    || { failed+=(build); tail -n 40 "$out/build.log"; }
fi

run_tests() { # <part> <command before the test...>
  local part=$1 name
  shift
  for test in "$build"/tests/*_cuda_test; do
    name=$(basename "$test")
    if "$@" "$test" > "$out/$part-$name.log" 2>&1; then
      grep -E '^\[  (PASSED|SKIPPED) ' "$out/$part-$name.log" | head -n 2 | sed "s/^/$name: /"
    else
      failed+=("$part:$name")
      echo "$name: FAILED"
      grep -E 'FAILED|ERROR SUMMARY|Failure|========= [A-Z]' -A 4 "$out/$part-$name.log" | head -n 30
    fi
  done
}

if wanted native; then
  if ls "$build"/tests/*_cuda_test > /dev/null 2>&1; then run_tests native timeout 120; else skip native "not built"; fi
fi

if wanted java; then
  if [ -x "$kit/jre/bin/java" ]; then
    suites='.*\.(model\.(Cuda|ReferenceOutputs|NanoGptSort|QuantizedModel)|engine\.(Cuda|Engine|ContextWindow|NativeStep)|backend\.(Batch|RowOps|Sample|Linear|Attention|Norm)|Lifecycle|SharedModels|Perplexity).*Test'
    LANES_SHARED=$root/$kit/shared timeout 240 "$kit/jre/bin/java" "-Ddev.lanes.kernels.library=$library" -Dlanes.test.cuda=device \
      "-Dlanes.root=$root" -cp "$kit/lib/tests.jar:$kit/lib/lanes.jar:$kit/lib/*:$kit/test-libraries/*" \
      org.junit.platform.console.ConsoleLauncher execute --scan-class-path "$kit/lib/tests.jar" --include-classname "$suites" \
      --details=summary --disable-banner --fail-if-no-tests > "$out/java.log" 2>&1 || failed+=(java)
    grep -E 'tests (found|successful|failed|skipped)|=>' "$out/java.log" | head -n 40
  else
    skip java "no Java runtime: build/gpu-kit.tar.xz is not here"
  fi
fi

if wanted kernels; then
  python3 tests/bench/gpu/bench.py --library "$library" --header native/include/lanes/lanes.h --only "$kernels" --json "$out/kernels.json" \
    2>&1 | tee "$out/kernels.log" || failed+=(kernels)
fi

if wanted models; then
  if [ -x "$kit/jre/bin/java" ]; then
    for shape in "1.2b" "135m"; do
      for options in "--compute bf16 --kv-dtype bf16" "--compute bf16 --kv-dtype int8 --quantize w8a8"; do
        echo "$shape $options"
        # shellcheck disable=SC2086
        timeout 120 "$kit/jre/bin/java" "-Ddev.lanes.kernels.library=$library" -jar "$kit/lib/lanes.jar" bench model --device cuda --shape "$shape" \
          --prompt 1024 --output 128 $options 2>&1 | tee -a "$out/models.log" || failed+=("models:$shape")
      done
    done
  else
    skip models "no Java runtime: build/gpu-kit.tar.xz is not here"
  fi
fi

if wanted sanitize; then
  # The tests' cases are small; those that take minutes under a checker are left to the other checkers.
  for tool in memcheck synccheck initcheck racecheck; do
    echo "-- $tool"
    LANES_TEST_SIZE_LIMIT=${LANES_TEST_SIZE_LIMIT:-2000000} run_tests "$tool" timeout 300 compute-sanitizer --tool "$tool" --error-exitcode 1 --kill yes
  done
fi

printf '\n%d s; %d failed%s; %d skipped%s\n' $((SECONDS - begin)) ${#failed[@]} "${failed[*]:+ (${failed[*]})}" ${#skipped[@]} "${skipped[*]:+ (${skipped[*]})}"
[ ${#failed[@]} -eq 0 ]
