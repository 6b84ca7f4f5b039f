#!/usr/bin/env bash
# Measures Lanes beside its peers on this machine, building what it needs first:
#   ci/bench.sh kernels|attention|model [--quick] [--only REGEX] [--json FILE] [--threads N] [--list] [--profile]
# Results on standard output, a line per case; everything else on standard error. See tests/bench/README.md.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
bench=$root/tests/bench/target

if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
  echo "lanes: the benchmarks' peers are set up for Linux on x86-64 only" >&2
  exit 1
fi
bash "$root/ci/setup.sh" >&2
command -v java >/dev/null && command -v mvn >/dev/null || { echo "lanes: needs a JDK 17 or newer and Maven" >&2; exit 1; }
(cd "$root" && mvn -B -ntp -q -Pbench -pl tests/bench -am -DskipTests -Dmaven.test.skip=true package) >&2

# Peers choose their kernels for this CPU themselves.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE OPENBLAS_VERBOSE ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA
unset OMP_NUM_THREADS OMP_THREAD_LIMIT OMP_PROC_BIND OMP_PLACES OMP_WAIT_POLICY GOMP_CPU_AFFINITY

# Threads that wait for work in a loop would take the CPU from whoever has the next turn. Each turn begins 4 ms after the last one:
# by then GCC's OpenMP (oneDNN, libtorch, llama.cpp) and OpenBLAS have stopped looping and sleep. Within its own turn a peer's
# calls follow each other at once, so it keeps its threads awake and loses nothing.
export OMP_DYNAMIC=false
export GOMP_SPINCOUNT=100000
# 2^22 cycles, about a millisecond.
export OPENBLAS_THREAD_TIMEOUT=22
# libtorch calls OpenBLAS from its own threads. Cases of OpenBLAS itself set their number of threads.
export OPENBLAS_NUM_THREADS=1

# JavaCPP's accounting against -Xmx is off: the peers' tensors are larger. JMH's lock would forbid two runs on one machine; that is
# for whoever starts them to avoid.
exec java -Xms512m -Xmx4g -XX:+UseSerialGC \
  -Dorg.bytedeco.javacpp.maxBytes=0 -Dorg.bytedeco.javacpp.maxPhysicalBytes=0 \
  -Djmh.ignoreLock=true \
  -Dlanes.bench.library="$bench/native/liblanesbench.so" -Dlanes.bench.models="$bench/models" \
  -cp "$bench/classes:$(cat "$bench/classpath.txt")" dev.lanes.bench.Main "$@"
