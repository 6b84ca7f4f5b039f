#!/usr/bin/env bash
# What is in the packaged jars, and that they work: run after mvn package. ci/check-jars.sh
#   LANES_JDKS          JDK folders to load the jars with (default: JAVA_HOME or the java on the PATH, and what /usr/lib/jvm has)
#   LANES_MAVEN_REPO    local Maven repository with the JavaCPP jars (default: ~/.m2/repository)
#   LANES_GLIBC_FLOOR   the newest C library symbol version that is allowed (default: 2.34, that of RHEL 9)
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "check-jars: $*" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

version=$(sed -n 's/^  <version>\(.*\)<\/version>$/\1/p' pom.xml | head -n 1)
javacpp=$(sed -n 's/.*<javacpp.version>\(.*\)<\/javacpp.version>.*/\1/p' pom.xml)
platform=linux-$(uname -m | sed 's/aarch64/arm64/')
kernels=java/kernels/target/lanes-kernels-$version.jar
natives=java/kernels/target/lanes-kernels-$version-$platform.jar
library=java/lanes/target/lanes-$version.jar
tiny=java/tiny-model/target/lanes-tiny-model-$version.jar
command=java/cli/target/lanes.jar
for jar in "$kernels" "$natives" "$library" "$tiny" "$command"; do
  [ -s "$jar" ] || fail "$jar is missing: run mvn package first"
done
home=${JAVA_HOME:-$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")}
files() { "$home/bin/jar" --list --file "$1" | grep -v '/$' | sort; }
has() { grep -qxF -- "$2" <<< "$(files "$1")"; }

echo "== contents"
folder=dev/lanes/kernels/$platform
expected=$(printf '%s\n' "$folder/libjnilanes.so" "$folder/liblanes.so")
found=$(files "$natives" | grep -v '^META-INF/')
[ "$found" = "$expected" ] || fail "$natives holds: $found"
if grep -q jnijavacpp <<< "$(files "$natives")"; then fail "$natives holds files of JavaCPP's own library"; fi
for jar in "$kernels" "$library"; do
  if files "$jar" | grep -E '\.(so|dylib|dll|jnilib|cpp|h)$'; then fail "$jar holds native files"; fi
done
has "$kernels" dev/lanes/kernels/NativeLibrary.class || fail "$kernels lacks the loader"
has "$kernels" dev/lanes/kernels/global/lanes.class || fail "$kernels lacks the binding"
has "$library" dev/lanes/backend/Backends.class || fail "$library lacks the backends"
for file in "$folder/libjnilanes.so" "$folder/liblanes.so" "org/bytedeco/javacpp/$platform/libjnijavacpp.so"; do
  has "$command" "$file" || fail "$command lacks $file"
done
for jar in "$tiny" "$command"; do
  has "$jar" dev/lanes/tiny/model.safetensors || fail "$jar lacks the bundled model"
done
[ "$(stat -c %s "$tiny")" -le $((16 << 20)) ] || fail "$tiny is larger than 16 MiB"
if files "$command" | grep -E '^META-INF/.*\.(SF|DSA|RSA)$'; then fail "$command holds signatures of other jars"; fi
for jar in "$kernels" "$natives" "$library" "$tiny" "$command"; do
  echo "$jar: $(files "$jar" | wc -l) files, $(stat -c %s "$jar") bytes"
done

echo "== native libraries"
(archive=$PWD/$natives && cd "$work" && "$home/bin/jar" --extract --file "$archive" "$folder")
floor=${LANES_GLIBC_FLOOR:-2.34}
for so in "$work/$folder"/*.so; do
  name=$(basename "$so")
  case $name in
    libjnilanes.so) needed=$(bash ci/check-needed.sh "$so" liblanes.so) ;;
    *) needed=$(bash ci/check-needed.sh "$so") ;;
  esac
  path=$(readelf -d "$so" | sed -n 's/.*(\(RUNPATH\|RPATH\)).*\[\(.*\)\]/\2/p')
  case $path in
    '' | '$ORIGIN' | '$ORIGIN/') ;;
    *) fail "$name has the run path $path" ;;
  esac
  highest=$(objdump -T "$so" | grep -oE 'GLIBC_[0-9.]+' | sed 's/GLIBC_//' | sort -Vu | tail -n 1)
  [ "$(printf '%s\n%s\n' "$highest" "$floor" | sort -V | tail -n 1)" = "$floor" ] || fail "$name needs glibc $highest, more than $floor"
  if strings -a "$so" | grep -F "$PWD"; then fail "$name holds the build folder's path"; fi
  echo "$name: glibc $highest, needs: $needed"
done
grep -qw 'liblanes.so' <<< "$(bash ci/check-needed.sh "$work/$folder/libjnilanes.so" liblanes.so)" || fail "libjnilanes.so is not linked to liblanes.so"

echo "== fresh JVMs"
cat > "$work/Check.java" <<'JAVA'
import dev.lanes.backend.Activation;
import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.Op;
import dev.lanes.backend.Tensor;

public class Check {
  public static void main(String[] args) {
    try (Backend b = Backends.open(BackendOptions.defaults()); Tensor x = b.tensor(MemoryTag.OTHER, 1, 3)) {
      x.copyFrom(new float[] {-1, 2, 3}, 0);
      b.gate(new Op.Gate(Activation.RELU, x, x, x));
      System.out.println(b.info().name() + " " + b.info().isa() + " " + x.toArray()[0] + " " + x.toArray()[2]);
    } catch (dev.lanes.error.NativeException e) {
      System.out.println(e.getMessage());
    }
  }
}
JAVA
repository=${LANES_MAVEN_REPO:-$HOME/.m2/repository}/org/bytedeco/javacpp/$javacpp
javacpp_jars=$repository/javacpp-$javacpp.jar:$repository/javacpp-$javacpp-$platform.jar
[ -s "$repository/javacpp-$javacpp.jar" ] || fail "no JavaCPP in $repository; set LANES_MAVEN_REPO"

jdks=${LANES_JDKS:-}
if [ -z "$jdks" ]; then
  candidates=("$home")
  for jdk in /usr/lib/jvm/*; do [ -L "$jdk" ] || candidates+=("$jdk"); done
  for jdk in "${candidates[@]}"; do
    [ -x "$jdk/bin/javac" ] || continue
    case " $jdks " in *" $jdk "*) ;; *) jdks="$jdks $jdk" ;; esac
  done
fi
check() { # <jdk> <class path> <expected words> [JVM options]
  local jdk=$1 path=$2 words=$3 output
  shift 3
  output=$("$jdk/bin/java" --enable-native-access=ALL-UNNAMED -Dorg.bytedeco.javacpp.cachedir="$work/cache" \
    -Ddev.lanes.backend=cpu "$@" -cp "$path" "$work/Check.java" 2>&1) || fail "$jdk: $output"
  case $output in
    *"$words"*) ;;
    *) fail "$jdk: expected \"$words\", got: $output" ;;
  esac
  # JDK 24 and later warn of native access that is not enabled; the option above must be all that is needed.
  case $output in *WARNING*) fail "$jdk warns: $output" ;; esac
  echo "$(basename "$jdk"): $output"
}
for jdk in $jdks; do
  check "$jdk" "$kernels:$natives:$library:$javacpp_jars" "9.0"
  check "$jdk" "$kernels:$natives:$library:$javacpp_jars" "cpu reference -0.0 9.0" -Ddev.lanes.isa=reference
  check "$jdk" "$kernels:$library:$javacpp_jars" "dev.lanes:lanes-kernels:$version with classifier $platform"
  check "$jdk" "$command" "9.0"
done
echo "check-jars: all well"
