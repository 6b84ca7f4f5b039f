#!/usr/bin/env bash
# Builds the CUDA backend on a machine with an NVIDIA GPU, tests it there and measures it, in under nine minutes:
#   ci/gpu.sh [--only PART[,PART...]] [--kernels REGEX]
# Parts, in this order:
#   build      1   the library for this GPU, and the C++ tests
#   native     2   C++ tests, several at a time
#   kernels    4   each kernel beside PyTorch's libraries (tests/bench/gpu)
#   models     8   whole models, tokens a second
#   java      16   Java tests, models against their reference outputs; last because they take longest and say least about a kernel
#   sanitize  32   only when it is named: compute-sanitizer's memcheck, synccheck, initcheck and racecheck over the C++ tests
# A part that fails does not keep the next ones from running; what the time does not suffice for is cut short or skipped. The table at the end
# tells all, and the exit code is the sum of the numbers above of the parts that failed or had no time.
#
# Needs nvcc 13, CMake, a C++ compiler, Python with numpy and PyTorch; and build/gpu-kit.tar.xz from ci/gpu-kit.sh for GoogleTest, Java and
# the checkpoints. What is missing is said, and what needs it is skipped.
#   LANES_GPU_OUT          where figures and logs go, one file a part (default: build/gpu-out)
#   LANES_GPU_SECONDS      when to be done (default: 530)
#   LANES_GPU_BUILD        build folder (default: build/gpu)
#   LANES_GPU_EMULATED=1   the same without a GPU, on the emulated one (docs/cuda-emulation.md) and with small shapes: for who changes this
#                          script or the benchmark; its figures mean nothing
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
# Names of files and what programs print, in any container.
export LC_ALL=C.UTF-8
begin=$SECONDS
parts=build,native,kernels,models,java
kernels=
while [ $# -gt 0 ]; do
  case $1 in
    --only) parts=${2:?}; shift 2 ;;
    --kernels) kernels=${2:?}; shift 2 ;;
    *) echo "usage: ci/gpu.sh [--only build,native,kernels,models,java,sanitize] [--kernels REGEX]" >&2; exit 64 ;;
  esac
done
emulated=${LANES_GPU_EMULATED:-0}
build=${LANES_GPU_BUILD:-build/gpu}
kit=build/gpu-kit
java=$kit/jre/bin/java
scratch=$root/build/gpu-tmp
mkdir -p "${LANES_GPU_OUT:=build/gpu-out}" "$scratch"
out=$(cd "$LANES_GPU_OUT" && pwd)
export TMPDIR=$scratch

# The toolkit is not always on the PATH.
export PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
if [ "$emulated" = 1 ]; then
  gpu="an emulated GPU"
  library=$root/$build/emulated/liblanes.so
  kind=emulated
else
  gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv,noheader) \
    || { echo "gpu.sh: there is no NVIDIA GPU here" >&2; exit 1; }
  gpu=$(head -n 1 <<< "$gpu")
  library=$root/$build/cuda/liblanes.so
  kind=cuda
fi
echo "$gpu; $(nproc) CPUs; $(git log -1 --format='commit %h of %cs' 2> /dev/null || echo 'no commit')"
if [ ! -d "$kit" ] && [ -f "$kit.tar.xz" ]; then
  # Small systems have no xz.
  tar -C build -xf "$kit.tar.xz" 2> /dev/null || python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall("build")' "$kit.tar.xz"
fi

# ---- Parts: each gets the seconds that it may take, sets `detail`, and returns 0, 1 for failed, 3 for skipped --------------------------

part_build() { # <seconds>
  local options=() targets status=0
  command -v cmake > /dev/null || { detail="no cmake"; return 1; }
  command -v ninja > /dev/null && options+=(-G Ninja)
  if [ "$emulated" = 1 ]; then
    options+=(-DLANES_CUDA=OFF)
    targets=(lanes_emulated lanes_emulated_tests)
  else
    command -v nvcc > /dev/null || { detail="no nvcc"; return 1; }
    # This compiler, and the warnings of whichever version it has, are not a reason to learn nothing about the GPU.
    options+=(-DLANES_CUDA=ON -DLANES_CUDA_STRICT=OFF "-DLANES_CUDA_ARCHITECTURES=$(sed 's/.*, //; s/\.//' <<< "$gpu")")
    targets=(lanes_cuda lanes_cuda_tests)
  fi
  if [ -d "$kit/googletest" ]; then options+=("-DLANES_GTEST_SOURCES=$root/$kit/googletest"); fi
  [ -f "$build/build.ninja" ] || [ -f "$build/Makefile" ] || cmake -S . -B "$build" -DLANES_BUILD_BENCH=OFF "${options[@]}" > "$out/build.log" 2>&1 || {
    # Without tests, where GoogleTest is missing.
    rm -rf "$build"
    targets=("${targets[0]}")
    cmake -S . -B "$build" -DLANES_BUILD_BENCH=OFF -DLANES_BUILD_TESTS=OFF "${options[@]}" >> "$out/build.log" 2>&1 || status=$?
  }
  local go_on=-k
  [ ! -f "$build/build.ninja" ] || go_on=-k0
  [ $status -ne 0 ] || timeout -k 5 "$1" cmake --build "$build" -j "$(nproc)" --target "${targets[@]}" -- $go_on >> "$out/build.log" 2>&1 || status=$?
  grep -E 'no CUDA backend|nvcc\.sh: |warning[: ]|error:|Error [0-9]' "$out/build.log" | head -n 30
  [ $status -ne 124 ] || { detail="not done after $1 s"; return 1; }
  [ $status -eq 0 ] || { tail -n 20 "$out/build.log"; detail="exit $status"; return 1; }
  detail=$(grep -c 'nvcc\.sh: ' "$out/build.log") && detail="$detail remarks on kernels" || detail=
}

# Every C++ test, at most so many at a time.
run_tests() { # <part> <seconds> <at a time> <words for a test that is left out> <command before the test...>
  local part=$1 seconds=$2 most=$3 without=$4 end=$((SECONDS + $2)) test name failed=0 count=0 status
  shift 4
  local logs=$scratch/$part
  rm -rf "$logs"
  mkdir -p "$logs"
  for test in "$build"/tests/*_"${kind}_test"; do
    [ -x "$test" ] || continue
    name=$(basename "$test" "_${kind}_test")
    case " $without " in *" $name "*) continue ;; esac
    while [ "$(jobs -rp | wc -l)" -ge "$most" ]; do wait -n; done
    status=$((end - SECONDS))
    if [ $status -lt 5 ]; then echo "no time" > "$logs/$name.status"; continue; fi
    { begun=$SECONDS; timeout -k 5 "$status" "$@" "$test" > "$logs/$name.log" 2>&1; echo "$? $((SECONDS - begun))" > "$logs/$name.status"; } &
  done
  wait
  for status in "$logs"/*.status; do
    [ -f "$status" ] || continue
    name=$(basename "$status" .status)
    status=$(cat "$status")
    count=$((count + 1))
    { printf '\n==== %s %s: %s\n' "$part" "$name" "$status"; cat "$logs/$name.log" 2> /dev/null; } >> "$out/$part.log"
    case $status in
      "0 "*) printf '%-10s ok, %s s: %s\n' "$name" "${status#* }" "$(grep -hE '^\[  (PASSED|SKIPPED) ' "$logs/$name.log" | tr -s ' \n' ' ')" ;;
      *)
        failed=$((failed + 1))
        case $status in 124* | 137*) status="no end within its time" ;; "no time") ;; *) status="exit ${status% *}" ;; esac
        echo "$name: FAILED ($status)"
        [ ! -f "$logs/$name.log" ] || { grep -E 'Failure|^\[  FAILED|ERROR SUMMARY|========= [A-Z]' -A 4 "$logs/$name.log" || tail -n 4 "$logs/$name.log"; } | head -n 16
        ;;
    esac
  done
  [ $count -gt 0 ] || { detail="no tests were built"; return 3; }
  detail="$count tests, $failed failed"
  [ $failed -eq 0 ]
}

part_native() { # <seconds>
  : > "$out/native.log"
  run_tests native "$1" $(($(nproc) > 8 ? 6 : $(nproc))) ""
}

part_sanitize() { # <seconds>
  local tool failed=0 each words=
  command -v compute-sanitizer > /dev/null || [ "$emulated" = 1 ] || { detail="no compute-sanitizer"; return 3; }
  : > "$out/sanitize.log"
  for tool in memcheck synccheck initcheck racecheck; do
    # The tools that are left share what is left.
    each=$((($1 - (SECONDS - part_begin)) / (4 - failed - $(wc -w <<< "$words"))))
    echo "-- $tool, $each s"
    # Small cases, and each kernel's once: a checker takes ten to a hundred times as long. failure_test makes kernels trap.
    local checker=(compute-sanitizer --tool "$tool" --error-exitcode 1 --report-api-errors no)
    [ "$emulated" = 0 ] || checker=(env)
    if LANES_TEST_SIZE_LIMIT=${LANES_TEST_SIZE_LIMIT:-2000000} GTEST_FILTER=${GTEST_FILTER:--*DoNotDepend*} run_tests sanitize "$each" 4 failure "${checker[@]}"; then
      words="$words $tool"
    else
      failed=$((failed + 1))
    fi
  done
  detail="well:${words:- none}"
  [ $failed -eq 0 ]
}

part_kernels() { # <seconds>
  local options=(--deadline "$1" --seconds 0.2)
  python3 -c 'import numpy' 2> /dev/null || { detail="no Python with numpy"; return 3; }
  [ "$emulated" = 0 ] || options+=(--small)
  timeout -k 5 $(($1 + 15)) python3 tests/bench/gpu/bench.py --library "$library" --header native/include/lanes/lanes.h --only "$kernels" \
    --json "$out/kernels.json" "${options[@]}" 2>&1 | tee "$out/kernels.log"
  local status=${PIPESTATUS[0]}
  detail=$(tail -n 1 "$out/kernels.log")
  return "$status"
}

run_java() { # <seconds> <arguments of java...>
  local seconds=$1
  shift
  timeout -k 5 "$seconds" "$java" "-Ddev.lanes.kernels.library=$library" "-Djava.io.tmpdir=$scratch" "-XX:ErrorFile=$out/java-crash.log" \
    "-Dorg.bytedeco.javacpp.cachedir=$scratch/javacpp" "$@"
}

part_models() { # <seconds>
  local shape options status failed=0 shapes="1.2b 135m" tokens="--prompt 1024 --output 128"
  [ -x "$java" ] || { detail="no Java runtime: $kit.tar.xz is not here"; return 3; }
  [ "$emulated" = 0 ] || { shapes=15m; tokens="--prompt 20 --output 3 --rounds 1"; }
  : > "$out/models.log"
  for shape in $shapes; do
    for options in "--compute bf16 --kv-dtype bf16" "--compute bf16 --kv-dtype int8 --quantize w8a8"; do
      echo "$shape $options" | tee -a "$out/models.log"
      # shellcheck disable=SC2086
      run_java $(($1 - (SECONDS - part_begin))) -jar "$kit/lib/lanes.jar" bench model --device cuda --shape "$shape" $tokens $options 2>&1 \
        | tee -a "$out/models.log"
      status=${PIPESTATUS[0]}
      [ "$status" -eq 0 ] || { failed=$((failed + 1)); echo "FAILED (exit $status)" | tee -a "$out/models.log"; }
    done
  done
  detail="$failed failed"
  [ $failed -eq 0 ]
}

part_java() { # <seconds>
  local suites status=0
  [ -x "$java" ] || { detail="no Java runtime: $kit.tar.xz is not here"; return 3; }
  suites='.*\.(model\.(Cuda|RowForms|ReferenceOutputs|NanoGptSort|QuantizedModel)|engine\.(Cuda|Engine|ContextWindow|NativeStep)|backend\.(Batch|RowOps|Sample|Linear|Attention|Norm|Lifetime|Tensor|Bf16Rows|KvRotation)|Lifecycle|SharedModels|Perplexity).*Test'
  local device=device
  [ "$emulated" = 0 ] || { device=emulated suites='.*(\.Cuda|engine\.NativeStep|backend\.(Batch|RowOps|Sample)).*Test'; }
  LANES_SHARED=$root/$kit/shared run_java "$1" "-Dlanes.test.cuda=$device" "-Dlanes.root=$root" -Dlanes.test.rounds=20 \
    -cp "$kit/lib/tests.jar:$kit/lib/lanes.jar:$kit/lib/*:$kit/test-libraries/*" \
    org.junit.platform.console.ConsoleLauncher execute --scan-class-path "$kit/lib/tests.jar" --include-classname "$suites" \
    --details=tree --disable-ansi-colors --disable-banner --fail-if-no-tests > "$out/java.log" 2>&1 || status=$?
  grep -E '^  *(JUnit|jqwik).*:|=> ' "$out/java.log" | cut -c 1-200 | head -n 40
  detail="$(sed -n 's/^\[ *\([0-9]*\) tests \(successful\|failed\|aborted\) *\]/\1 \2/p' "$out/java.log" | paste -sd , -)"
  [ $status -ne 124 ] || detail="not done after $1 s"
  return $((status != 0))
}

# ---- All of them ----------------------------------------------------------------------------------------------------------------------

number=1
failures=0
rows=()
for part in build:240 native:130 kernels:170 models:120 java:240 sanitize:600; do
  most=${part#*:}
  part=${part%:*}
  case ",$parts," in
    *",$part,"*)
      printf '\n== %s (%d s)\n' "$part" $((SECONDS - begin))
      left=$((${LANES_GPU_SECONDS:-530} - (SECONDS - begin)))
      [ "$emulated" = 0 ] || most=$left
      part_begin=$SECONDS
      detail=
      if [ "$part" != build ] && [ ! -f "$library" ]; then
        detail="there is no $library"
        status=1
      elif [ $left -lt 20 ]; then
        detail="no time left"
        status=1
      else
        status=0
        "part_$part" $((left < most ? left : most)) || status=$?
      fi
      case $status in
        0) verdict=ok ;;
        3) verdict=skipped ;;
        *) verdict=FAILED; failures=$((failures + number)) ;;
      esac
      rows+=("$(printf '%-9s %4d s  %-8s %s' "$part" $((SECONDS - part_begin)) $verdict "$detail")")
      ;;
  esac
  number=$((number * 2))
done
{ printf '\n== %s, %d s; logs in %s\n' "$gpu" $((SECONDS - begin)) "$LANES_GPU_OUT"; printf '%s\n' "${rows[@]}"; } | tee "$out/summary.txt"
exit $failures
