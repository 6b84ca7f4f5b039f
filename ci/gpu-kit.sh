#!/usr/bin/env bash
# Packs what ci/gpu.sh needs and a bare GPU machine lacks into one archive, build/gpu-kit.tar.xz: a small Java runtime (jlink), the jars of
# the library and of its tests, JUnit's console, GoogleTest's sources and the small checkpoints of the test suite. Run it where Maven and a
# JDK are, after mvn package; then take it along with the source tree.
#   ci/gpu-kit.sh
set -euo pipefail
cd "$(dirname "$0")/.."
kit=build/gpu-kit
shared=${LANES_SHARED:-../shared}
home=${JAVA_HOME:-$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")}
fail() { echo "gpu-kit: $*" >&2; exit 1; }

[ -s java/cli/target/lanes.jar ] || fail "java/cli/target/lanes.jar is missing: run mvn -DskipTests package first"
rm -rf "$kit"
mkdir -p "$kit/lib"

# The modules that the library, its tests and JUnit use; without debug information.
"$home/bin/jlink" --add-modules java.base,java.logging,java.management,java.sql,java.xml,jdk.unsupported,jdk.zipfs \
  --strip-debug --no-header-files --no-man-pages --output "$kit/jre"

# The whole command line with all that it depends on, less the tokenizers of other platforms.
cp java/cli/target/lanes.jar "$kit/lib/lanes.jar"
platform=linux-$(uname -m)
unused=$("$home/bin/jar" --list --file "$kit/lib/lanes.jar" | grep -E '^native/lib/[^/]+/' | grep -v "^native/lib/$platform/" || true)
[ -z "$unused" ] || (cd "$kit/lib" && xargs -d '\n' zip -q -d lanes.jar <<< "$unused")

# Tests of the library, and what they need beyond it.
mvn -B -q -DskipTests -pl java/lanes -am test-compile dependency:copy-dependencies -DincludeScope=test \
  -DoutputDirectory="$PWD/$kit/test-libraries" \
  -DincludeGroupIds=org.junit.jupiter,org.junit.platform,org.assertj,org.opentest4j,org.apiguardian,net.jqwik,net.bytebuddy
"$home/bin/jar" --create --file "$kit/lib/tests.jar" -C java/lanes/target/test-classes .
junit=$(sed -n 's/.*<junit.version>5\(.*\)<\/junit.version>.*/1\1/p' pom.xml)
mvn -B -q dependency:copy -Dartifact="org.junit.platform:junit-platform-console-standalone:$junit" -DoutputDirectory="$PWD/$kit/lib"

# Stored, not deflated: xz finds more.
find "$PWD/$kit/lib" "$PWD/$kit/test-libraries" -name '*.jar' | while read -r jar; do
  mkdir "$kit/jar"
  (cd "$kit/jar" && unzip -qo "$jar" && rm "$jar" && zip -q -0 -r "$jar" .)
  rm -r "$kit/jar"
done

gtest=${LANES_GTEST_SOURCES:-/usr/src/googletest}
[ -f "$gtest/CMakeLists.txt" ] || fail "GoogleTest's sources are not in $gtest (Debian: libgtest-dev)"
cp -r "$gtest" "$kit/googletest"

# Checkpoints with reference outputs, the small ones.
if [ -d "$shared/models" ]; then
  mkdir -p "$kit/shared/models"
  for model in stories260K stories260K-moe-clone stories260K-moe-split random nano-gpt-sort; do cp -r "$shared/models/$model" "$kit/shared/models/"; done
else
  echo "gpu-kit: no checkpoints with reference outputs ($shared is not here)"
fi
tar -C build -cJf "$kit.tar.xz" gpu-kit
du -sh "$kit"/* "$kit.tar.xz"
